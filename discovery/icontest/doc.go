// Package icontest is a small ICON network to test against: an api/v3 that
// pages, errs and remembers old heights the way goloop's does.
//
// A [Network] is the chain: a ranked list of P-Reps and every earlier state of
// it. [Generate] makes one of any size from a seed, [Load] reads a recorded
// getPReps answer. A [Node] serves a network over HTTP and can be told to
// misbehave; several nodes can serve one network. A [Server] is a node on a
// loopback port:
//
//	network := icontest.Generate(150, 1)
//	server := icontest.NewServer(network)
//	defer server.Close()
//	network.Leave(network.PReps()[3].Address())
//	server.Misbehave(icontest.Truncated())
//
// # What it serves
//
// POST to /api/v3, /api/v3/ and /api/v3/<channel>, JSON-RPC 2.0, single or in
// batches of at most 10:
//
//   - icx_call of the system contract cx00…00 with getPReps, getPRep and
//     getPRepTerm; "height" selects the state.
//   - icx_getNetworkInfo
//   - icx_getLastBlock
//
// Integers travel as hex strings. A P-Rep has the fields of the network's
// [Revision]; unregistered P-Reps are not listed, jailed ones are.
//
// # Where the facts come from
//
// Request validation, error codes, texts and HTTP statuses follow goloop's
// server/v3 and server/jsonrpc packages; ranking rules follow Ex_getPReps in
// icon/chainscore_iiss.go and GetPRepsInJSON in icon/iiss/icstate/state.go;
// fields follow the ToJSON methods of icon/iiss/icstate, all read at goloop
// 67f6ff84 (May 2025). Fields of the first node implementation ("ICON1")
// follow answers that were recorded from mainnet in 2020.
//
// # What it leaves out
//
// Everything else of api/v3 is answered with -32601, other contracts and
// methods with the SCORE errors goloop has for them. There are no
// transactions: the chain changes when a method of Network is called, each
// change in a block of its own.
package icontest

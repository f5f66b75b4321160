package icontest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
)

// batchLimit is goloop's default for the requests of one batch.
const batchLimit = 10

// A Node serves a network's api/v3. It is an [http.Handler], to be mounted at
// the root of a server.
type Node struct {
	network *Network

	mu       sync.Mutex
	fault    Fault // of every request
	next     Fault // of the next requests, before fault
	left     int   // how many of them
	requests int
}

// NewNode makes a node of n.
func NewNode(n *Network) *Node { return &Node{network: n} }

// Misbehave makes every answer from now on faulty, until [Node.Behave].
func (n *Node) Misbehave(f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault, n.left = f, 0
}

// MisbehaveNext makes the next HTTP requests faulty, then behaves as before.
func (n *Node) MisbehaveNext(requests int, f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next, n.left = f, requests
}

// Behave ends all misbehaviour.
func (n *Node) Behave() { n.Misbehave(Fault{}) }

// Requests is how many HTTP requests the node has received.
func (n *Node) Requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests
}

func (n *Node) count() Fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.requests++
	if n.left > 0 {
		n.left--
		return n.next
	}
	return n.fault
}

// ServeHTTP answers as goloop does: errors of single requests with HTTP 400,
// notifications with an empty 200, batches with 200 whatever is in them.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := n.count()
	if f.serve != nil {
		f.serve(w, r, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.answer(w, r, Fault{}) }))
		return
	}
	n.answer(w, r, f)
}

func (n *Node) answer(w http.ResponseWriter, r *http.Request, f Fault) {
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/v3")
	channel := strings.TrimPrefix(rest, "/")
	switch {
	case !ok || rest != "" && rest[0] != '/' || strings.Contains(channel, "/"):
		text(w, http.StatusNotFound, "Not Found <nil>")
		return
	case r.Method != http.MethodPost:
		text(w, http.StatusMethodNotAllowed, "Method Not Allowed <nil>")
		return
	}
	var raw json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&raw); err != nil && err != io.EOF {
		writeJSON(w, http.StatusBadRequest, &response{Version: "2.0", Error: &rpcError{Code: codeParse, Message: "ParseError"}})
		return
	}
	if channel != "" && channel != n.network.Channel() {
		text(w, http.StatusNotFound, "No channel")
		return
	}
	var batch []json.RawMessage
	if json.Unmarshal(raw, &batch) == nil {
		n.answerBatch(w, batch, f)
		return
	}
	resp := n.handle(raw, f)
	switch {
	case resp == nil:
		w.WriteHeader(http.StatusOK)
	case resp.Error != nil:
		writeJSON(w, http.StatusBadRequest, resp)
	default:
		writeJSON(w, http.StatusOK, resp)
	}
}

func (n *Node) answerBatch(w http.ResponseWriter, batch []json.RawMessage, f Fault) {
	refusal := &response{Version: "2.0", Error: &rpcError{Code: codeInvalidRequest, Message: "InvalidRequest"}}
	switch {
	case len(batch) == 0:
		writeJSON(w, http.StatusBadRequest, refusal)
		return
	case len(batch) > batchLimit:
		refusal.Error.Data = "too many request"
		writeJSON(w, http.StatusServiceUnavailable, refusal)
		return
	}
	answers := []*response{}
	for _, raw := range batch {
		if resp := n.handle(raw, f); resp != nil {
			answers = append(answers, resp)
		}
	}
	writeJSON(w, http.StatusOK, answers)
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// writeJSON writes v as goloop does: no escaping of HTML, a newline at the end.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("icontest: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	w.Write(body.Bytes())
}

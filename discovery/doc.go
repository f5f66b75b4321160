// Package discovery turns a network's P-Reps into targets for Prometheus.
//
// An [Agent] asks each configured network's api/v3 who its P-Reps are, and
// writes one target for every P-Rep and exporter to a file that Prometheus'
// file_sd_configs read. What the network says is never trusted, and never costs
// a target that was right: an alert whose target vanishes is resolved.
//
// # What it reads
//
// From the first endpoint that gives an acceptable answer: icx_getNetworkInfo
// (where network_id is set) and getPReps of the system contract, in pages of 100
// ranks, all of the block that the first page came from. From disk: the two
// files that it wrote itself. From DNS: hostnames of P-Reps, unless
// allow_private is set.
//
// # What it writes
//
// <targets_dir>/<network>.json has a group a line, by owner, with the labels
//
//	network        the network's name
//	prep           the owner's address: the one thing about a P-Rep that stays
//	prep_name      its name, sanitised, at most 64 bytes; the address without one
//	exporter       the exporter's name
//
// which stay on the series unless relabelled, __scheme__ and __metrics_path__
// of the exporter, and for relabelling only, each where known:
//
//	__meta_icon_rank, __meta_icon_grade        1 and up; 0 main, 1 sub, 2 candidate
//	__meta_icon_country, __meta_icon_city      as registered, the country in capitals
//	__meta_icon_node_address                   the address the node signs with
//	__meta_icon_p2p_host, __meta_icon_p2p_port the registered endpoint
//	__meta_icon_website
//
// The host of a target is that of the registered endpoint; its port comes from
// the configuration. Height, time and source of the last accepted answer, and
// who has been missing since when, are in <targets_dir>/.stoker/<network>.state;
// the type store says why there and in which order. Both files are 0644 and
// replaced whole. A file that wouldn't change isn't touched. [Agent.Repeat] writes a
// targets file that did a second time, with the same bytes: Prometheus reads it
// before it watches the folder, and would miss what falls in between.
//
// [Agent.TargetsFile] returns the bytes of the targets file, for http_sd. Without a
// targets_dir they are all there is: nothing is written, and the baseline goes with
// the process.
//
// # What contacts say
//
// A contact may say how an exporter of its P-Reps is reached instead: see Override.
// Another port, path or scheme changes the target where it is. A URL moves it to
// <targets_dir>/owners/<network>.json, with the same labels and
//
//	__meta_stoker_contact                      whose scrape job it is for
//	__meta_stoker_address, _scheme, _path      of the URL, to put right what relabelling does
//
// which only the jobs read that MakeScrapeJobs makes for a release of Prometheus, each
// with one contact's password. A P-Rep that moves takes no password with it: that
// goes where the contact says. What can't be followed leaves the target as it would
// be, so that there is one: a claim of two contacts, an unknown exporter, a host that
// isn't allowed, a job that isn't in the live release yet.
//
// # What it promises
//
// An answer is taken whole or not at all. Not taken is one that fails, takes
// too long, is too large, isn't JSON-RPC, lacks what it should have or has it in
// another type, lists a P-Rep twice, is of another network, of a lower height
// than the one before, or of one that no chain has, mixes blocks, or leaves no
// target. Then the next endpoint is asked, as it is after one that has stood at
// the same block for 10 minutes; an endpoint that failed is only asked as a last
// resort until its time has come, which doubles from 10 s to 1 h, or is what its
// Retry-After says.
//
// In an answer that is taken, single P-Reps that can't be scraped safely are
// refused by reason and name. Those that were there and are gone keep their
// targets for remove_after, and longer if too many go at once or within a day.
// Before one goes, or is followed to another host, the other endpoints are asked:
// what one of them contradicts doesn't happen, and is held as "disputed". Where
// there is only one endpoint, or no other answers, its word counts. The tables at
// the functions judge, climb and hear have all cases. A file with no target is
// never written.
//
// The targets file is the baseline. After a restart it is compared to and kept
// as if nothing had been; remove it and the next answer is the first one.
//
// # What it refuses
//
//   - Endpoints in any but the strictest spelling: "malformed".
//   - Hosts that aren't on the public internet, by address, by any address that
//     a hostname resolves to, or by a name that is local by convention: "private".
//     With allow_private, private, shared and loopback addresses and all
//     hostnames pass; link-local, multicast, unspecified and documentation
//     addresses never do.
//   - Hosts that the operator denies, and those of our own servers, by address, by
//     name, or by an address that their name resolves to, too: "denied".
//   - Hostnames without an address: "unresolved". One that had an address when
//     it was accepted keeps its target, to be alerted about.
//
// Prometheus resolves a hostname again at each scrape, so who doubts the
// operators' DNS restricts where Prometheus may connect to as well.
//
// # What it tells
//
// [Agent.Status] as plain data, the same as metrics (stoker_discovery_…), and
// in the log what changed, and each refused or held P-Rep once. What became of
// every answer is counted by endpoint, in stoker_discovery_answers_total.
// stoker_discovery_last_good_timestamp_seconds only moves with the network's
// height: an endpoint that stopped at a block looks as old as it is.
//
// [Agent.Chains] and [Agent.ChainCollector] (icon_…) have what the last accepted
// answer says about every P-Rep in it, those that are refused as targets too, so
// that one in jail raises an alert even where its exporters are closed. The type
// Chain says how they differ from targets: nothing is kept, and nothing is read
// from disk.
//
// # Where the facts come from
//
// The API's rules are those of goloop; package icontest says where they were
// read, and implements them. What file_sd makes of a file was tried with
// Prometheus' own package, which a test here runs.
package discovery

// Package sidecar runs the agents of stoker as one process.
//
// It is the root of a star: it alone imports discovery, routing, silencing and reload, hands each its section
// of stoker.yml, and passes data between them. What it owns is the only scheduler (one loop an agent, all in
// one oklog/run group), the metrics registry and the web listener.
//
//	discovery ──► <targets_dir>/<network>.json          Prometheus reads it by itself, or asks /sd/<network>
//	routing ────► alertmanager (its Generate hook)      contacts become part of the release
//	        ├───► prometheus (the same)                 scrape jobs for exporters behind a password
//	        └───► discovery (its Overrides)             targets where operators say they are
//	prometheus, alertmanager ──► releases               package reload, once a server
//	silencing ──► Alertmanager's API
//
// Two invariants make locks between agents unnecessary: each output file has one writer, and each server's
// reload has one caller. The lock of an output_dir keeps a second process from breaking them.
//
// A failing agent never ends its loop and never its neighbours': it is tried again with growing pauses, keeps
// its last good state, and says so in the log, in /metrics and on the status page. Only a listener that can't
// be opened, or a signal, ends the process.
package sidecar

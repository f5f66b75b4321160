// Package reload makes a server run exactly the files it was given, or keeps the ones that ran before.
//
// The unit is a release: a server's main file and every file that it refers to, checked as a whole and
// stored in a folder that is named after its content. One rename of one symbolic link makes it live:
//
//	<output_dir>/
//	  live -> releases/5d41402abc4b      the server reads <output_dir>/live/prometheus.yml
//	  proved -> releases/5d41402abc4b    the release that a server last confirmed: the way back
//	  releases/5d41402abc4b/             complete, checked, never written again
//	  releases/.tmp-…                    being written; no server and no glob ever sees it
//	  .lock                              one writer a folder; holds the address of its web listener
//	  .reloading                         the reload that the server may be at
//
// One pass of an [Agent] takes five steps, each of which can end it without harm:
//
//  1. gather: read the main file below source_dir, add what the generator makes of it, follow every
//     reference. An atomic source (a ConfigMap's ..data, a git-sync link) is resolved once and read
//     again if it moved meanwhile; a plain folder must have been still for the settle time.
//  2. check: load the staged files with the libraries that the server itself is made of, and with what
//     those libraries leave to run time (rule files with the server's own language features, included
//     scrape configs, certificates, what receivers write into a notification about sample alerts). What
//     only the server can tell, because it is of another version than the libraries or has files of its
//     own, is a warning. Every fault has its file, line and column.
//  3. publish: write, fsync, rename. Equal content is a noop: nothing is written and nobody is asked.
//  4. reload: one POST to /-/reload, only after /-/ready said yes. Until its outcome is known, by an answer or
//     by asking, the live link stays where it is and nothing else is sent.
//  5. prove: ask the server whether that is what it runs. If it refused, the proved release goes live
//     again and is loaded again, because Prometheus applies a bad configuration partly. The generator
//     is told the server's words as long as they stand; if it makes another release then, the pass goes on with that.
//
// A server that starts needs no reload: it reads the live release. One that never comes up with a release that it
// hasn't run before gets the proved one back on disk.
//
// A [Watcher] tells when the first step may have something to do. The kernel's notices make that fast; looking at the
// files every rescan_interval makes it certain: where there are no notices (network disks, limits of inotify), where
// they were lost, and where a folder isn't there yet or is another one by now. What is noticed is only ever a reason to
// look, so that a noop costs one look and a few questions to the server.
//
// The truth is on disk and in the server, never only in memory: a process that is killed between any two
// of these steps leaves a live link to a complete and checked release, and the next pass goes on from there.
//
// Prometheus' reload semantics are those of its cmd/prometheus/main.go (reloadConfig) and web/web.go;
// Alertmanager's of its config/coordinator.go and httpserver package.
package reload

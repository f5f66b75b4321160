// Package servertest starts real Prometheus and Alertmanager processes for tests, and stoker beside them, as
// net/http/httptest starts HTTP servers.
//
// The servers are the ones that "make servers" builds into .servers below the module's root, which is
// found by walking up from the working directory. A program that is missing fails the test and is never
// a reason to skip it.
//
//	alertmanager := servertest.Alertmanager(t, servertest.ConfigFile("testdata/alertmanager.yml"))
//	body, err := alertmanager.Get("/api/v2/silences")
//
// Every server listens on a loopback port that the kernel picked, which is read from the server's own log,
// keeps its data in a folder of its own, and is stopped when the test ends. Its log is printed only if the
// test failed. On Linux it also dies with the test process, however that one ends. Alertmanager runs
// without a cluster and Prometheus with its lifecycle API, unless [Flags] says otherwise. [AlertmanagerCluster]
// starts several that gossip, through relays that a test can cut.
//
// What a Prometheus scrapes and whom an Alertmanager notifies is up to the configuration that the test
// hands over: it must name loopback addresses only.
package servertest

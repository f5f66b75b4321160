package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// node is the machine of a P-Rep, as far as Prometheus can tell: a node exporter on an address of its own.
type node struct {
	address string
	server  *http.Server
}

// host is the loopback address of the i-th node. All of 127.0.0.0/8 is this machine on Linux.
func host(i int) string { return fmt.Sprintf("127.8.%d.%d", i/250, 1+i%250) }

// freePort finds a port that is free on the addresses of the first n nodes.
func freePort(n int) (int, error) {
	for range 100 {
		port, err := tryPort(n)
		if err == nil {
			return port, nil
		}
		if errors.Is(err, errNoLoopback) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("no port is free on %s to %s", host(0), host(n-1))
}

var errNoLoopback = errors.New("the demo needs Linux, where all of 127.0.0.0/8 is this machine")

// tryPort holds a port of the first node that the kernel picked on the others too, and lets all go again.
func tryPort(n int) (int, error) {
	port := 0
	for i := range n {
		listener, err := net.Listen("tcp", net.JoinHostPort(host(i), strconv.Itoa(port)))
		switch {
		case err != nil && i == 0:
			return 0, errNoLoopback
		case err != nil:
			return 0, err
		}
		defer listener.Close()
		port = listener.Addr().(*net.TCPAddr).Port
	}
	return port, nil
}

// up starts the node.
func (n *node) up() error {
	listener, err := net.Listen("tcp", n.address)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprint(w, `# HELP node_exporter_build_info A simulated node exporter.
# TYPE node_exporter_build_info gauge
node_exporter_build_info{version="simulated"} 1
# HELP node_load1 1m load average.
# TYPE node_load1 gauge
node_load1 0.42
`)
	})
	n.server = &http.Server{Handler: mux}
	go n.server.Serve(listener) // ends by Close
	return nil
}

// down stops the node: connections are refused from then on.
func (n *node) down() error { return n.server.Close() }

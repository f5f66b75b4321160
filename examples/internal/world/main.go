// Command world is what the examples find outside, when they run in a test: a simulated ICON network, the
// exporters of its nodes, and a mail server. It serves on fixed ports, because it has a container of its own.
//
//	:8000  the network's API, /api/v3
//	:9000  the exporters of all nodes: goloop's
//	:9100  and the machine's
//	:587   the mail server
//	:8025  what it received, as a page
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	"github.com/stoker-project/stoker/discovery/icontest"
	"github.com/stoker-project/stoker/routing/inboxtest"
)

// The P-Rep whose contact is examples/compose/contacts/operators/acme.yml.
const acme = "hx0b047c751658f7ce1b2595da34d57a0e7dad357d"

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	ip, err := ownAddress()
	if err != nil {
		return err
	}
	network := icontest.Generate(8, 1, icontest.WithHosts(func(int) string { return ip }))
	network.Update(network.PReps()[0].Address(), func(p icontest.PRep) { p["address"] = acme })
	if _, err := inboxtest.Start(inboxtest.Options{SMTPAddress: ":587", HTTPAddress: ":8025"}); err != nil {
		return err
	}
	exporter := http.NewServeMux()
	exporter.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintln(w, "simulated 1")
	})
	ended := make(chan error)
	for address, handler := range map[string]http.Handler{
		":8000": icontest.NewNode(network),
		":9000": exporter,
		":9100": exporter,
	} {
		go func() { ended <- http.ListenAndServe(address, handler) }()
	}
	return <-ended
}

// ownAddress is the address of the container in its network.
func ownAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if prefix, ok := address.(*net.IPNet); ok && !prefix.IP.IsLoopback() && prefix.IP.To4() != nil {
			return prefix.IP.String(), nil
		}
	}
	return "", errors.New("no address but loopback")
}

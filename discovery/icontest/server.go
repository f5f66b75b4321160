package icontest

import (
	"net"
	"net/http"
)

// A Server is a [Node] on a loopback port of its own.
type Server struct {
	*Node
	URL string // of the API, http://127.0.0.1:<port>/api/v3

	server http.Server
}

// NewServer starts a node of n. It panics when no port can be had; the caller
// must Close it.
func NewServer(n *Network) *Server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic("icontest: " + err.Error())
	}
	s := &Server{Node: NewNode(n), URL: "http://" + listener.Addr().String() + "/api/v3"}
	s.server.Handler = s.Node
	go s.server.Serve(listener)
	return s
}

// Close stops the server and drops its connections: from then on they are
// refused.
func (s *Server) Close() { s.server.Close() }

package node_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/stoker-project/stoker/examples/internal/exampletest"
	"github.com/stoker-project/stoker/reload/servertest"
)

// An exporter answers like one, on an address of its own, and remembers who asked how.
type exporter struct {
	address string

	mu   sync.Mutex
	seen []string // path and Authorization of each request
}

func newExporter(t *testing.T, address string) *exporter {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := &exporter{address: l.Addr().String()}
	server := &http.Server{Handler: e}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return e
}

func (e *exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, r.URL.Path+" "+r.Header.Get("Authorization"))
	if r.URL.Path != "/metrics" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, "# TYPE node_load1 gauge\nnode_load1{honest=\"yes\"} 0.5\n")
}

func (e *exporter) requests() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.seen...)
}

func (e *exporter) port() string {
	_, port, _ := net.SplitHostPort(e.address)
	return port
}

// nginxProgram is Debian's, which isn't in everybody's path.
func nginxProgram(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("nginx is missing: install Debian's package nginx-light")
	return ""
}

// startNginx runs nginx with the example, for an exporter of a node. It returns the address that it listens on, and has
// the processes of this test trust its certificate.
func startNginx(t *testing.T, node *exporter, user, password string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	authority, cert, key := certificate(t)
	t.Setenv("SSL_CERT_FILE", write("ca.pem", authority))
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost) // as htpasswd -B does
	if err != nil {
		t.Fatal(err)
	}
	address := servertest.FreeAddress(t)
	conf, err := os.ReadFile("nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	text := exampletest.Replace(t, "nginx.conf", string(conf),
		"listen 443 ssl;", "listen "+address+" ssl;",
		"server_name metrics.acme.example;", "server_name 127.0.0.1;",
		"/etc/letsencrypt/live/metrics.acme.example/fullchain.pem;", write("cert.pem", cert)+";",
		"/etc/letsencrypt/live/metrics.acme.example/privkey.pem;", write("key.pem", key)+";",
		"/etc/nginx/stoker.htpasswd;", write("stoker.htpasswd", []byte(user+":"+string(hash)+"\n"))+";",
		"proxy_pass http://127.0.0.1:9100/", "proxy_pass http://"+node.address+"/",
		"proxy_pass http://127.0.0.1:9000/", "proxy_pass http://"+node.address+"/goloop/",
	)
	write("stoker.conf", []byte(text))
	main := "daemon off; master_process off; worker_processes 1; pid nginx.pid; error_log stderr; events {}\nhttp { access_log off; include stoker.conf;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + kind + ";\n"
	}
	file := write("nginx.conf", []byte(main+"}\n"))
	servertest.Run(t, nginxProgram(t), "-p", dir, "-c", file, "-e", "stderr")
	servertest.Eventually(t, time.Minute, func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err
	})
	return address
}

// certificate makes one for 127.0.0.1 and the authority that signed it, in PEM.
func certificate(t *testing.T) (authority, cert, key []byte) {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = k
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &k.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return k, der
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, caDER := make(ca, ca, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	leafKey, leafDER := make(leaf, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	return block("CERTIFICATE", caDER), block("CERTIFICATE", leafDER), block("PRIVATE KEY", der)
}

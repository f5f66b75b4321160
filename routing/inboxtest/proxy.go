package inboxtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// hosts are the services that the inbox stands in for behind its proxy.
var hosts = []string{
	"hooks.slack.com", "api.telegram.org", "discord.com", "events.pagerduty.com", "events.eu.pagerduty.com", "api.pushover.net",
	"*.westeurope.logic.azure.com", "chat.acme.example",
}

// ProxyURL is a proxy, for http_config.proxy_url, behind which the services have their real addresses, and everything else
// can't be reached. Its certificate is [Inbox.CertificatePEM].
func (in *Inbox) ProxyURL() string { return in.URL() }

// CertificatePEM is the certificate that the services have behind the proxy, for tls_config.ca.
func (in *Inbox) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: in.certificate.Certificate[0]})
}

// selfSigned makes a certificate for all hosts.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "inbox"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		DNSNames:              hosts,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// proxied answers CONNECT for the hosts that the inbox stands in for.
func (in *Inbox) proxied(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodConnect:
			next.ServeHTTP(w, r)
		case !stoodInFor(r.Host):
			http.Error(w, "the inbox doesn't stand in for "+r.Host, http.StatusForbidden)
		default:
			in.connect(w)
		}
	})
}

func stoodInFor(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port != "443" {
		return false
	}
	for _, known := range hosts {
		if suffix, wild := strings.CutPrefix(known, "*"); host == known || wild && strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// connect joins the client to the services.
func (in *Inbox) connect(w http.ResponseWriter) {
	service, err := net.Dial("tcp", in.https.Addr().String())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = service.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	var once sync.Once
	end := func() { _, _ = client.Close(), service.Close() }
	in.serving.Go(func() { _, _ = io.Copy(service, buffered); once.Do(end) })
	in.serving.Go(func() { _, _ = io.Copy(client, service); once.Do(end) })
}

// at returns where a path is behind the proxy.
func at(host string, path ...string) string {
	u := url.URL{Scheme: "https", Host: host}
	return u.JoinPath(path...).String()
}

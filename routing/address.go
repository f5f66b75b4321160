package routing

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// The checks of this file say what is wrong with a value, in words that never quote it, or "".

func emailProblem(s string) string {
	if addr, err := mail.ParseAddress(s); err != nil || addr.Address != s {
		return "must be one email address such as noc@acme.example, without a name"
	}
	return ""
}

var botToken = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)

func botTokenProblem(s string) string {
	if !botToken.MatchString(s) {
		return "must be a bot token, digits:letters"
	}
	return ""
}

func chatIDProblem(s string) string {
	if id, err := strconv.ParseInt(s, 10, 64); err != nil || id == 0 || strconv.FormatInt(id, 10) != s {
		return `must be the number of a chat such as "-1001234567890"`
	}
	return ""
}

// An integration key of the Events API v2, https://developer.pagerduty.com/docs/send-alert-event.
var routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

func routingKeyProblem(s string) string {
	if !routingKey.MatchString(s) {
		return "must be the integration key of a service, 32 letters and digits"
	}
	return ""
}

// https://pushover.net/api#registration, #identifiers and #messages
var (
	pushoverKey   = regexp.MustCompile(`^[A-Za-z0-9]{30}$`)
	devicePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,25}$`)
)

func userKeyProblem(s string) string {
	if !pushoverKey.MatchString(s) {
		return "must be the key of a user or group, 30 letters and digits"
	}
	return ""
}

func pushoverTokenProblem(s string) string {
	if !pushoverKey.MatchString(s) {
		return "must be the token of an application, 30 letters and digits"
	}
	return ""
}

// urlProblem checks where Alertmanager is asked to post to. It doesn't resolve names: what a name points
// to can change after any check, so that is for the network around Alertmanager to guard.
func (s *Site) urlProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return "must be a URL such as https://hooks.acme.example/alerts"
	case s.AllowPrivate && (u.Scheme == "http" || u.Scheme == "https"):
		return ""
	case u.Scheme != "https":
		return "must begin with https://"
	}
	return hostProblem(u.Hostname())
}

const privateHost = "must not be a private or local address, Alertmanager would post into its own network"

var asciiHost = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func hostProblem(host string) string {
	host = strings.TrimSuffix(host, ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		if !public(ip) {
			return privateHost
		}
		return ""
	}
	if !asciiHost.MatchString(host) {
		return "must name its host in plain ASCII letters, digits, dots and dashes"
	}
	host = strings.ToLower(host)
	labels := strings.Split(host, ".")
	switch last := labels[len(labels)-1]; {
	case numeric(last):
		return "must not write an IP address in an unusual way"
	case len(labels) == 1, strings.HasSuffix(host, ".home.arpa"):
		return privateHost
	default:
		switch last {
		case "localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private", "svc", "cluster":
			return privateHost
		}
	}
	return ""
}

// numeric reports whether the last label of a host makes lenient resolvers read the whole as an IPv4
// address, such as 127.1, 2130706433 or 0x7f.1.
func numeric(label string) bool {
	_, err := strconv.ParseUint(label, 0, 64)
	return err == nil || strings.Trim(label, "0123456789") == ""
}

// public reports whether ip can only be a host of the public internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2002::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(p).Contains(ip) {
			return false
		}
	}
	return true
}

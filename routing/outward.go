package routing

import "go.yaml.in/yaml/v3"

// outwardKeys are those of the base's global http_config that hold for the URLs of contacts, too: by which way the site
// reaches others. The credentials that may stand beside them are for the team's own services.
var outwardKeys = []string{"proxy_url", "no_proxy", "proxy_from_environment", "proxy_connect_header", "tls_config", "enable_http2"}

// outward returns the http_config with which Alertmanager posts to a URL that a contact chose. What answers there must not
// lead the post on into the network around Alertmanager, where a Prometheus ends at a POST of /-/quit.
func (b *base) outward() *yaml.Node {
	http := object("follow_redirects", boolean(false))
	site := get(flatten(get(b.doc.Content[0], "global")), "http_config")
	if site.Kind != yaml.MappingNode {
		return http
	}
	site = flatten(site)
	for _, key := range outwardKeys {
		if has(site, key) {
			set(http, key, standalone(get(site, key)))
		}
	}
	return http
}

// standalone returns a copy of a node that can stand anywhere: without anchors, aliases, merge keys and comments.
func standalone(n *yaml.Node) *yaml.Node {
	if n = resolve(n); n.Kind == yaml.MappingNode {
		n = flatten(n)
	}
	alone := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Style: n.Style}
	for _, child := range n.Content {
		alone.Content = append(alone.Content, standalone(child))
	}
	return alone
}

// Package docs holds those pages that stoker itself quotes.
package docs

import _ "embed"

// Configuration is the page about stoker.yml. Its table says what every key means; the schema of that file takes its words
// from there.
//
//go:embed configuration.md
var Configuration string

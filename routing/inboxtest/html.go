package inboxtest

import (
	"bytes"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText is the text of an HTML document as a reader sees it: one line a block, links followed by their
// address, nothing of scripts, styles and the head.
func htmlText(document []byte) string {
	var (
		lines  []string
		line   strings.Builder
		hidden int // depth of elements whose text isn't shown
		href   string
	)
	breakLine := func() {
		if text := strings.Join(strings.Fields(line.String()), " "); text != "" {
			lines = append(lines, text)
		}
		line.Reset()
	}
	z := html.NewTokenizer(bytes.NewReader(document))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken: // the end: what isn't HTML is text to this tokenizer
			breakLine()
			return strings.Join(lines, "\n")
		case html.TextToken:
			if hidden == 0 {
				line.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			token := z.Token()
			switch token.DataAtom {
			case atom.Head, atom.Style, atom.Script, atom.Title:
				hidden += depth(kind)
			case atom.A:
				switch kind {
				case html.StartTagToken:
					href = attribute(token, "href")
				case html.EndTagToken:
					if href != "" && !strings.Contains(line.String(), href) {
						line.WriteString(" (" + href + ")")
					}
					href = ""
				}
			case atom.Body:
				hidden = 0 // </head> may be left out
				breakLine()
			case atom.Address, atom.Article, atom.Blockquote, atom.Br, atom.Div, atom.Dd, atom.Dl, atom.Dt,
				atom.Footer, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Header, atom.Hr, atom.Li,
				atom.Main, atom.Ol, atom.P, atom.Pre, atom.Section, atom.Table, atom.Tr, atom.Ul:
				breakLine()
			case atom.Td, atom.Th:
				line.WriteByte(' ')
			}
		}
	}
}

func depth(kind html.TokenType) int {
	switch kind {
	case html.StartTagToken:
		return 1
	case html.EndTagToken:
		return -1
	default:
		return 0
	}
}

func attribute(token html.Token, name string) string {
	for _, a := range token.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

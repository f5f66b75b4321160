// Package printable shows what somebody else wrote so that its reader sees all of it and nothing else.
//
// Names, labels and comments come from a chain, from pull requests and from notifications. On a terminal they could move the
// cursor or look like another row, in a log like another line; anywhere, a character that turns the direction of writing round
// or shows nothing makes two texts look alike that aren't. Such characters are spelled out, as in a Go string, so that what
// was hidden is seen:
//
//	                    Quote                   Line
//	서울 노드           서울 노드               서울 노드
//	a, line break, b    "a\nb"                  a b
//	x U+202E gnp.exe    "x\u202egnp.exe"        x\u202egnp.exe
//	acme U+3164         "acme\u3164"            acme\u3164
//
// Quote is for what must be told apart to the letter: the name of a file, a receiver. Line is for what is read: a comment, the
// summary of an alert. Neither escapes for HTML, a shell or YAML, and neither is for secrets.
//
// Letters of every script stay, with their combining marks. What joins emoji into one is spelled out as well: it can't be seen.
package printable

package strictyaml

import "strings"

// remedies say what most people have to do about what the YAML library complains of in the words of its grammar.
var remedies = []struct{ complaint, remedy string }{
	{"found character that cannot start any token", "indent with spaces instead of tabs, and quote a text that begins with @, ` or %"},
	{"found a tab character", "indent with spaces instead of tabs"},
	{"mapping values are not allowed in this context", "quote a text that holds a colon and a space, and look at the indentation"},
	{"did not find expected key", "this line or the one above may be indented otherwise than its neighbours"},
	{"did not find expected '-' indicator", "the items of the list around here may not be indented alike"},
	{"did not find expected ','", "a comma, a quote or a bracket may be missing here or above"},
	{"did not find expected node content", "a value or a closing bracket may be missing here or above"},
	{"could not find expected ':'", "a colon may be missing after the key, here or above"},
	{"found unexpected end of stream", "a closing quote may be missing"},
	{"block sequence entries are not allowed in this context", "begin a list on the line below its key"},
	{"found unknown escape character", "write a backslash twice, or put the text in single quotes"},
	{"unknown anchor ", "quote a text that begins with *"},
	{"control characters are not allowed", "remove the character"},
	{" UTF-8 ", "save the file as UTF-8"},
}

// withRemedy adds to a complaint of the YAML library what to do about it, if that is known.
func withRemedy(msg string) string {
	for _, r := range remedies {
		if strings.Contains(msg, r.complaint) {
			return msg + ": " + r.remedy
		}
	}
	return msg
}

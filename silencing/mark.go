package silencing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// markOpen begins every mark, whoever owns it.
const markOpen = "[stoker:"

// mark is what stands at the end of the comment of a silence made here:
//
//	[stoker:<owner>/<rule>@<occurrence>#<hash>]
//	[stoker:<owner>/<rule>@<occurrence>#<hash>;ended:<reason>]
type mark struct {
	owner, rule, occurrence string

	// hash is of the matchers and times that the file asked for.
	hash string

	// ended is why it was ended from here, empty for as long as it wasn't. An
	// early end without a reason was a person's.
	ended string
}

func (m mark) String() string {
	ended := ""
	if m.ended != "" {
		ended = ";ended:" + m.ended
	}
	return markOpen + m.owner + "/" + m.rule + "@" + m.occurrence + "#" + m.hash + ended + "]"
}

// key names what the silence is for.
func (m mark) key() string { return m.rule + "@" + m.occurrence }

// parseMark returns the last mark in a comment and the text before it.
func parseMark(comment string) (m mark, text string, ok bool) {
	i := strings.LastIndex(comment, markOpen)
	if i < 0 {
		return mark{}, "", false
	}
	text = strings.TrimSpace(comment[:i])
	inner, _, ok1 := strings.Cut(comment[i+len(markOpen):], "]")
	inner, ended, hasEnded := strings.Cut(inner, ";ended:")
	owner, inner, ok2 := strings.Cut(inner, "/")
	rule, inner, ok3 := strings.Cut(inner, "@")
	occurrence, hash, ok4 := strings.Cut(inner, "#")
	if !ok1 || !ok2 || !ok3 || !ok4 || !isName(owner) || !isName(rule) && (owner != hushOwner || !isScope(rule)) || occurrence == "" || hash == "" || hasEnded && ended == "" {
		return mark{}, "", false
	}
	return mark{owner: owner, rule: rule, occurrence: occurrence, hash: hash, ended: ended}, text, true
}

// key names the occurrence among all of the file.
func (o Occurrence) key() string { return o.Rule.Name + "@" + o.ID }

// createdBy is the author of all silences of an owner.
func createdBy(owner string) string { return "stoker/" + owner }

// mark returns the mark of the occurrence's silence.
func (o Occurrence) mark(owner string) mark {
	h := sha256.New()
	for _, m := range o.Rule.Matchers {
		fmt.Fprintf(h, "%q %q %t %t\n", m.Name, m.Value, m.IsRegex, m.IsEqual)
	}
	start := ""
	if !o.StartsAt.IsZero() {
		start = o.StartsAt.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(h, "%s %s", start, o.EndsAt.UTC().Format(time.RFC3339))
	return mark{
		owner:      owner,
		rule:       o.Rule.Name,
		occurrence: o.ID,
		hash:       hex.EncodeToString(h.Sum(nil)[:4]),
	}
}

// comment returns the whole comment of the occurrence's silence.
func (o Occurrence) comment(owner string) string {
	text := o.Rule.Comment
	if o.Rule.CreatedBy != "" {
		text += " (" + o.Rule.CreatedBy + ")"
	}
	return text + " " + o.mark(owner).String()
}

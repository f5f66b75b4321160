package twilio

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Languages are what calls can be spoken in: those of <Say> that don't depend on a voice.
func Languages() []string {
	return []string{
		"ca-ES", "da-DK", "de-DE", "en-AU", "en-CA", "en-GB", "en-IN", "en-US", "es-ES", "es-MX", "fi-FI", "fr-CA", "fr-FR",
		"it-IT", "ja-JP", "ko-KR", "nb-NO", "nl-NL", "pl-PL", "pt-BR", "pt-PT", "ru-RU", "sv-SE", "zh-CN", "zh-HK", "zh-TW",
	}
}

// Language returns the one of Languages that a tag such as de or de-AT means; false if none speaks that language.
func Language(tag string) (string, bool) {
	usual := map[string]string{"en": "en-US", "es": "es-ES", "fr": "fr-FR", "pt": "pt-PT", "zh": "zh-CN", "no": "nb-NO"}
	for _, l := range Languages() {
		if strings.EqualFold(l, tag) {
			return l, true
		}
	}
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if l, ok := usual[primary]; ok {
		return l, true
	}
	for _, l := range Languages() {
		if strings.HasPrefix(l, primary+"-") {
			return l, true
		}
	}
	return "", false
}

// phrases begin a call, by the language without its country: for one alert, and for several.
var phrases = map[string][2]string{
	"de": {"Ein Alarm ist ausgelöst.", "%d Alarme sind ausgelöst."},
	"en": {"One alert is firing.", "%d alerts are firing."},
	"es": {"Hay una alerta activa.", "Hay %d alertas activas."},
	"fr": {"Une alerte est en cours.", "%d alertes sont en cours."},
	"it": {"C'è un allarme attivo.", "Ci sono %d allarmi attivi."},
	"ja": {"アラートが1件発生しています。", "アラートが%d件発生しています。"},
	"ko": {"경보 1건이 발생했습니다.", "경보 %d건이 발생했습니다."},
	"nl": {"Er is één actieve melding.", "Er zijn %d actieve meldingen."},
	"pt": {"Há um alerta ativo.", "Há %d alertas ativos."},
}

// words say what a group is about.
type words struct {
	identity   string
	severities []string
}

const (
	maxSegments = 3 // of a text message, each of which is charged
	// maxSpoken is how many characters are said. Twice, and each escaped by five, they are less than the 4,000 that TwiML may
	// have.
	maxSpoken = 380
)

// sms returns the text message about a group:
//
//	FIRING: 50 alerts, critical: 49 NodeDown, 1 DiskFull (Acme Validators)
//	The node doesn't answer.
func (w words) sms(g *group) string {
	firing := g.firing()
	told, state := firing, "FIRING"
	if len(firing) == 0 {
		told, state = g.Alerts, "RESOLVED"
	}
	text := fmt.Sprintf("%s: %s", state, alerts(len(told)+g.TruncatedAlerts))
	if s := w.worst(told); s != "" {
		text += ", " + s
	}
	text += ": " + cut(strings.Join(names(told), ", "), 100)
	if who := w.whose(g); who != "" {
		text += " (" + cut(who, 50) + ")"
	}
	if over := len(g.Alerts) - len(told); over > 0 {
		text += fmt.Sprintf("; %d resolved", over)
	}
	if s := summary(told); s != "" && state == "FIRING" {
		text += "\n" + s
	}
	return fit(plainPunctuation.Replace(text), maxSegments)
}

// twiml returns what is said in a call about a group, twice, since the first time is often missed.
func (w words) twiml(g *group, language string) string {
	if language == "" {
		language = "en-US"
	}
	primary, _, _ := strings.Cut(language, "-")
	phrase, ok := phrases[primary]
	if !ok {
		phrase = phrases["en"]
	}
	firing := g.firing()
	text := phrase[0]
	if n := len(firing) + g.TruncatedAlerts; n > 1 {
		text = fmt.Sprintf(phrase[1], n)
	}
	if s := w.worst(firing); s != "" {
		text += " " + s + "."
	}
	text += " " + cut(spoken(strings.Join(names(firing), ", ")), 100) + "."
	if who := line(g.CommonLabels[w.identity+"_name"]); who != "" {
		text += " " + cut(spoken(who), 50) + "."
	}
	if s := summary(firing); s != "" {
		text += " " + s
	}
	var say strings.Builder
	say.WriteString(`<Say language="`)
	xml.EscapeText(&say, []byte(language))
	say.WriteString(`">`)
	xml.EscapeText(&say, []byte(cut(text, maxSpoken)))
	say.WriteString(`</Say>`)
	return `<?xml version="1.0" encoding="UTF-8"?><Response><Pause length="1"/>` + say.String() + `<Pause length="1"/>` + say.String() + `</Response>`
}

func alerts(n int) string {
	if n == 1 {
		return "1 alert"
	}
	return fmt.Sprintf("%d alerts", n)
}

// names returns the names of alerts, the most frequent first, with their numbers if there are several.
func names(alerts []alert) []string {
	count := map[string]int{}
	var all []string
	for _, a := range alerts {
		name := line(a.Labels["alertname"])
		if name == "" {
			name = "no name"
		}
		if count[name]++; count[name] == 1 {
			all = append(all, name)
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return count[b] - count[a] })
	if len(all) > 1 {
		for i, name := range all {
			all[i] = fmt.Sprintf("%d %s", count[name], name)
		}
	}
	return all
}

// worst returns the worst known severity of alerts.
func (w words) worst(alerts []alert) string {
	worst := -1
	for _, a := range alerts {
		worst = max(worst, slices.Index(w.severities, a.Labels["severity"]))
	}
	if worst < 0 {
		return ""
	}
	return w.severities[worst]
}

// whose returns whose alerts they are: by name if they have one.
func (w words) whose(g *group) string {
	for _, labels := range []map[string]string{g.CommonLabels, g.GroupLabels} {
		for _, label := range []string{w.identity + "_name", w.identity} {
			if who := line(labels[label]); who != "" {
				return who
			}
		}
	}
	return ""
}

// summary returns what the first alert with a summary says.
func summary(alerts []alert) string {
	for _, annotation := range []string{"summary", "description", "message"} {
		for _, a := range alerts {
			if s := line(a.Annotations[annotation]); s != "" {
				return cut(s, 300)
			}
		}
	}
	return ""
}

var invisible = regexp.MustCompile(`[\p{C}\p{Z}]+`)

// line makes text fit one line: what can't be seen is a space.
func line(s string) string {
	return strings.TrimSpace(invisible.ReplaceAllString(strings.ToValidUTF8(s, " "), " "))
}

var newWord = regexp.MustCompile(`(\p{Ll})(\p{Lu})`)

// spoken splits a name that is written in one: NodeDown is read as two words.
func spoken(s string) string {
	return strings.ReplaceAll(newWord.ReplaceAllString(s, "$1 $2"), "_", " ")
}

// cut returns at most n characters of s.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-3]) + "..."
	}
	return s
}

// plainPunctuation writes what keeps a text from the short alphabet, for no gain.
var plainPunctuation = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‘", "'", "’", "'", "–", "-", "—", "-", "…", "...", "•", "-", "→", "->")

// The alphabet of text messages, GSM 03.38: what is one character in it, and what is two.
const (
	gsmOne = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmTwo = "^{}\\[~]|€"
)

// segments returns how many parts a text message is sent and charged in: of 160 characters, or 153 each if there are
// several; 70 and 67 if a single one is beyond the short alphabet.
func segments(s string) int {
	units, one, several := 0, 160, 153
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsmOne, r):
			units++
		case strings.ContainsRune(gsmTwo, r):
			units += 2
		default:
			one = 70
		}
	}
	if one == 70 {
		units, several = len(utf16.Encode([]rune(s))), 67
	}
	if units <= one {
		return 1
	}
	return (units + several - 1) / several
}

// fit cuts a text so that it isn't sent in more than n parts.
func fit(s string, n int) string {
	if segments(s) <= n {
		return s
	}
	r := []rune(s)
	// The longest beginning that fits, found by halves: a longer one never has fewer parts.
	low, high := 0, len(r)
	for low < high {
		middle := (low + high + 1) / 2
		if segments(string(r[:middle])+"...") <= n {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return strings.TrimRightFunc(string(r[:low]), unicode.IsSpace) + "..."
}

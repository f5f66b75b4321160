package inboxtest

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"unicode/utf8"
)

// AddPushoverUser creates an application and a user of it.
func (in *Inbox) AddPushoverUser(token, user string) { in.know(Pushover, token+" "+user) }

// pushover answers as the Message API does: https://pushover.net/api
func (in *Inbox) pushover(w http.ResponseWriter, r *http.Request, body []byte) {
	params := r.URL.Query()
	if form, err := url.ParseQuery(string(body)); err == nil {
		for name, values := range form {
			params[name] = append(params[name], values...)
		}
	}
	refuse := func(name, problem string) {
		answer(w, http.StatusBadRequest, map[string]any{"status": 0, "request": "0", name: "invalid", "errors": []string{problem}})
	}
	number := func(name string) int {
		n, err := strconv.Atoi(cmp.Or(params.Get(name), "0"))
		if err != nil {
			return -1 << 20
		}
		return n
	}
	over := func(name string, most int) bool { return utf8.RuneCountInString(params.Get(name)) > most }
	switch priority := number("priority"); {
	case !in.knows(Pushover, params.Get("token")+" "+params.Get("user")):
		refuse("user", "user identifier is not a valid user, group, or subscribed user key")
	case params.Get("message") == "" || over("message", 1024):
		refuse("message", "message cannot be blank or too long")
	case over("title", 250) || over("url", 512) || over("url_title", 100):
		refuse("title", "title or url is too long")
	case priority < -2 || priority > 2:
		refuse("priority", "priority is invalid")
	case priority == 2 && (number("retry") < 30 || number("expire") < 30 || number("expire") > 10800):
		refuse("retry", "expire and retry must be supplied with emergency priority")
	default:
		text := []string{params.Get("title"), params.Get("message")}
		if link := params.Get("url"); link != "" {
			text = append(text, cmp.Or(params.Get("url_title"), link)+" ("+link+")")
		}
		text = append(text, "priority "+strconv.Itoa(priority))
		in.receive(Message{Via: Pushover, To: params.Get("user"), Subject: params.Get("title"), Text: joinLines(text), Raw: []byte(params.Encode())})
		answer(w, http.StatusOK, map[string]any{"status": 1, "request": "0"})
	}
}

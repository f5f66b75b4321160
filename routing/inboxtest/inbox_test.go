package inboxtest_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoker-project/stoker/routing/inboxtest"
)

// Mails are decoded as a mail program shows them; what is no mail is refused.
func TestMail(t *testing.T) {
	tests := map[string]struct {
		mail, subject, text, err string
	}{
		"plain": {
			mail:    "Subject: hello\n\nfirst\nsecond\n",
			subject: "hello",
			text:    "first\nsecond",
		},
		"encoded subject": {
			mail:    "Subject: =?utf-8?q?Stra=C3=9Fe?= =?utf-8?b?IMO8YmVy?=\n\n",
			subject: "Straße über",
		},
		"quoted-printable": {
			mail: "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nM=C3=BC=\nller =3D 1",
			text: "Müller = 1",
		},
		"base64": {
			mail: "Content-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte("für alle")),
			text: "für alle",
		},
		"html": {
			mail: "Content-Type: text/html\n\n<html><head><title>t</title><style>p{}</style></head><body><p>5 &lt; 6" +
				"<p>see <a href='http://x.example/?a=1&amp;b=2'>this</a><br>and <a href='http://y.example'>http://y.example</a></body>",
			text: "5 < 6\nsee this (http://x.example/?a=1&b=2)\nand http://y.example",
		},
		"alternatives inside mixed": {
			mail: `Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain

plain
--inner
Content-Type: text/html

<b>rich</b>
--inner--
--outer
Content-Type: image/png
Content-Transfer-Encoding: base64

AAAA
--outer--
`,
			text: "plain\n\n(image/png, 3 bytes)",
		},
		"no header":      {mail: "what?", err: `554 "5.6.0 read mail: malformed header line: what?"`},
		"bad base64":     {mail: "Content-Transfer-Encoding: base64\n\n%%%%", err: `554 "5.6.0 text/plain part: illegal base64 data at input byte 0"`},
		"unknown coding": {mail: "Content-Transfer-Encoding: rot13\n\nx", err: `554 "5.6.0 unknown transfer encoding \"rot13\""`},
		"cut off":        {mail: "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx", err: `554 "5.6.0 text/plain part: unexpected EOF"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inbox := inboxtest.New(t)
			mail := []byte(strings.ReplaceAll(test.mail, "\n", "\r\n"))
			err := smtp.SendMail(inbox.SMTPAddress(), nil, "from@example.org", []string{"a@example.org", "b@example.org"}, mail)
			if fmt.Sprint(err) != test.err && (err != nil || test.err != "") {
				t.Fatalf("error %v, want %s", err, test.err)
			}
			var got []string
			for _, m := range inbox.Messages() {
				got = append(got, m.From, m.To, m.Subject, m.Text)
			}
			var want []string
			if test.err == "" {
				want = []string{
					"from@example.org", "a@example.org", test.subject, test.text,
					"from@example.org", "b@example.org", test.subject, test.text,
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Slack and Telegram answer what the real ones answer, and only what they accept arrives.
func TestAnswers(t *testing.T) {
	const (
		slack    = "/services/%23ops"
		telegram = "/telegram/bot1:good/sendMessage"
		asJSON   = "application/json"
		asForm   = "application/x-www-form-urlencoded"
	)
	tests := map[string]struct {
		path, contentType, body string
		status                  int
		answer                  string // the beginning of it
		text                    string
	}{
		"slack text":            {slack, asJSON, `{"text": "hello"}`, 200, `ok`, "hello"},
		"slack attachment":      {slack, asJSON, `{"attachments": [{"title": "T", "fields": [{"title": "a", "value": "b"}], "actions": [{"text": "Hush", "url": "http://h"}]}]}`, 200, `ok`, "T\na: b\nHush (http://h)"},
		"slack form":            {slack, asForm, url.Values{"payload": {`{"text": "hello"}`}}.Encode(), 200, `ok`, "hello"},
		"slack not JSON":        {slack, asJSON, `hello`, 400, `invalid_payload`, ""},
		"slack nothing":         {slack, asJSON, `{"channel": "#x"}`, 400, `no_text`, ""},
		"slack too much":        {slack, asJSON, `{"attachments": [{}` + strings.Repeat(",{}", 100) + `]}`, 400, `too_many_attachments`, ""},
		"slack unknown hook":    {"/services/x", asJSON, `{"text": "hello"}`, 404, `no_service`, ""},
		"slack empty":           {slack, asJSON, ``, 400, `invalid_payload`, ""},
		"telegram":              {telegram, asJSON, `{"chat_id": -1, "text": "hello"}`, 200, `{"ok":true,"result":{"chat":{"id":-1,`, "hello"},
		"telegram string id":    {telegram, asJSON, `{"chat_id": "-1", "text": "hello"}`, 200, `{"ok":true,`, "hello"},
		"telegram form":         {telegram, asForm, `chat_id=@ops&text=hello`, 200, `{"ok":true,"result":{"chat":{"id":"@ops",`, "hello"},
		"telegram query":        {telegram + "?chat_id=-1&text=hello", "", ``, 200, `{"ok":true,`, "hello"},
		"telegram HTML":         {telegram, asJSON, `{"chat_id": -1, "parse_mode": "HTML", "text": "<b>5 &lt; 6</b> <a href=\"http://h\">hush</a>"}`, 200, `{"ok":true,`, "5 < 6 hush (http://h)"},
		"telegram bad tag":      {telegram, asJSON, `{"chat_id": -1, "parse_mode": "HTML", "text": "to <acme>"}`, 400, `{"description":"Bad Request: can't parse entities: Unsupported start tag \"acme\" at byte offset 3","error_code":400,"ok":false}`, ""},
		"telegram open tag":     {telegram, asJSON, `{"chat_id": -1, "parse_mode": "HTML", "text": "<b>x"}`, 400, `{"description":"Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\""`, ""},
		"telegram end tag":      {telegram, asJSON, `{"chat_id": -1, "parse_mode": "HTML", "text": "x</b>"}`, 400, `{"description":"Bad Request: can't parse entities: Unexpected end tag at byte offset 1"`, ""},
		"telegram unknown bot":  {"/telegram/bot1:bad/sendMessage", asJSON, `{"chat_id": -1, "text": "hello"}`, 401, `{"description":"Unauthorized","error_code":401,"ok":false}`, ""},
		"telegram no bot":       {"/telegram/1:good/sendMessage", asJSON, `{}`, 404, `{"description":"Not Found","error_code":404,"ok":false}`, ""},
		"telegram unknown chat": {telegram, asJSON, `{"chat_id": -2, "text": "hello"}`, 400, `{"description":"Bad Request: chat not found","error_code":400,"ok":false}`, ""},
		"telegram no chat":      {telegram, asJSON, `{"text": "hello"}`, 400, `{"description":"Bad Request: chat_id is empty"`, ""},
		"telegram no text":      {telegram, asJSON, `{"chat_id": -1}`, 400, `{"description":"Bad Request: message text is empty"`, ""},
		"telegram long":         {telegram, asJSON, `{"chat_id": -1, "text": "` + strings.Repeat("ü", 4097) + `"}`, 400, `{"description":"Bad Request: message is too long"`, ""},
		"telegram not JSON":     {telegram, asJSON, `hello`, 400, `{"description":"Bad Request: can't parse request`, ""},
		"webhook":               {"/webhook/ops", asJSON, `{"any": "thing"}`, 200, ``, `{"any": "thing"}`},
		"elsewhere":             {"/", asJSON, `{}`, 405, `Method Not Allowed`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inbox := inboxtest.New(t)
			inbox.AddSlackChannel("#ops")
			inbox.AddTelegramBot("1:good", "-1", "@ops")
			res, err := http.Post(inbox.URL()+test.path, test.contentType, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != test.status || !strings.HasPrefix(string(answer), test.answer) {
				t.Errorf("answer %d %s, want %d %s", res.StatusCode, answer, test.status, test.answer)
			}
			var text string
			for _, m := range inbox.Messages() {
				text = m.Text
			}
			if text != test.text {
				t.Errorf("received %q, want %q", text, test.text)
			}
		})
	}
}

func TestWaitTellsWhatArrived(t *testing.T) {
	inbox := inboxtest.New(t)
	if _, err := http.Post(inbox.WebhookURL("a b/c"), "", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := inbox.Wait(ctx, func(m inboxtest.Message) bool { return m.To == "nobody" })
	const want = "no such message: context canceled; 1 others: webhook to a b/c: "
	if fmt.Sprint(err) != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestPage(t *testing.T) {
	inbox := inboxtest.New(t)
	page := func() string {
		res, err := http.Get(inbox.URL())
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.Status, err)
		}
		return string(body)
	}
	if !strings.Contains(page(), "Nothing yet.") {
		t.Error("an empty inbox doesn't say so")
	}
	for i := range 101 {
		if _, err := http.Post(inbox.WebhookURL("ops"), "", strings.NewReader(fmt.Sprintf("<message %d>", i))); err != nil {
			t.Fatal(err)
		}
	}
	got := page()
	newest, older := strings.Index(got, "&lt;message 100&gt;"), strings.Index(got, "&lt;message 99&gt;")
	if newest < 0 || older < newest {
		t.Error("not newest first")
	}
	if strings.Contains(got, "message 0&gt;") || !strings.Contains(got, "And 1 older.") {
		t.Error("not the newest 100 of 101")
	}
}

// An inbox that is closed before it has begun to serve is closed all the same.
func TestCloseAtOnce(t *testing.T) {
	for range 500 {
		inbox, err := inboxtest.Start(inboxtest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := inbox.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An address that is taken is an error, and nothing is left open.
func TestStartFails(t *testing.T) {
	taken := httptest.NewServer(nil)
	defer taken.Close()
	if _, err := inboxtest.Start(inboxtest.Options{HTTPAddress: taken.Listener.Addr().String()}); err == nil {
		t.Error("two servers on one address")
	}
}

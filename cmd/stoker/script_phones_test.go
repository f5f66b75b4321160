package main

import (
	"context"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stoker-project/stoker/routing/twiliotest"
)

// twilio start serves a Twilio and sets $TWILIO to its api_url; twilio fail RESOURCE makes it too busy for messages or
// calls, and twilio mend RESOURCE ends that. twilio RESOURCE TO TEXT… waits for a message or a call to TO with all the
// texts in it, ! twilio RESOURCE TO TEXT… requires that there has been none.
func cmdTwilio(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	switch args[0] {
	case "start":
		tw, api := twiliotest.Start(scriptTB{ts, w})
		w.twilio = tw
		ts.Setenv("TWILIO", api)
		return
	case "fail":
		w.twilio.Fail(args[1], twiliotest.TooMany)
		return
	case "mend":
		w.twilio.Fail(args[1], twiliotest.Fault{})
		return
	}
	match := func(requests []twiliotest.Request, _ int) bool {
	next:
		for _, r := range requests {
			if r.Resource != args[0] || r.To != args[1] {
				continue
			}
			for _, text := range args[2:] {
				if !strings.Contains(r.Body+r.TwiML, text) {
					continue next
				}
			}
			return true
		}
		return false
	}
	if neg {
		if requests := w.twilio.Requests(); match(requests, 0) {
			ts.Fatalf("Twilio was asked for it: %+v", requests)
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ts.Check(w.twilio.Wait(ctx, match))
}

// Package twilio makes phone calls and sends text messages through Twilio, which takes forms that Alertmanager can't
// send.
//
// A [Bridge] is what stands between them. For each number and way, Alertmanager has a webhook of its own,
//
//	POST /sms/<contact>/<method>
//	POST /voice/<contact>/<method>
//
// with a bearer [Token]. The bridge turns one webhook, which is one group of alerts however many they are, into one text
// message or one call, and answers what Alertmanager understands: 2xx for done, 5xx for what is worth another attempt, 4xx
// for what isn't. Since each way is a webhook of its own, Alertmanager repeats only what failed.
//
// The number isn't in the request. The bridge asks for it by contact and method, so that it stands in no configuration of
// Alertmanager. It is in no log line, metric or answer either: of what Twilio says, which quotes numbers, only the
// code is passed on.
//
// Alertmanager asks again when an answer is lost, though the message may be on its way. So for half an hour the bridge
// remembers what it has sent about which alerts, and doesn't send it twice; a request whose client has gone is carried
// on with, for that reason. It can't know what became of a request to Twilio whose answer is lost, and takes a second
// call for better than none.
//
// Facts: https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/voice/api/call-resource
// (fields, basic auth, 1,600 characters of text, 4,000 of TwiML), https://www.twilio.com/docs/voice/twiml/say and
// https://www.twilio.com/docs/usage/twilios-response (errors).
package twilio

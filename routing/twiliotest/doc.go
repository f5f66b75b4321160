// Package twiliotest is a small Twilio: the two endpoints that send a text message and make a call, for tests and
// without a packet that leaves the machine.
//
//	POST /2010-04-01/Accounts/<sid>/Messages.json
//	POST /2010-04-01/Accounts/<sid>/Calls.json
//
// It takes what Twilio takes, as far as a sender can tell: a form, basic auth by the account's sid and token, numbers in
// E.164 form, a text of 1 to 1,600 characters, TwiML that is a document of known verbs and at most 4,000 characters.
// What it refuses it refuses with Twilio's status, JSON and code, words included, which quote the number. It can
// be told to fail in each way that a service on the internet does.
//
// Facts: https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/voice/api/call-resource,
// https://www.twilio.com/docs/usage/twilios-response, https://www.twilio.com/docs/api/errors.
package twiliotest

// Package inboxtest is a local inbox that really receives what a notifier sends, so that a test or the
// demo can see who was told what, without a packet leaving the machine.
//
// It listens for
//
//   - mail, as an SMTP server without TLS or authentication;
//   - webhooks, POST /webhook/<name>;
//   - Slack's incoming webhooks, POST /services/<channel>;
//   - Telegram's bot API, POST /telegram/bot<token>/sendMessage.
//
// The last two accept and refuse what the real services do, with their status codes and words, as far as
// a notifier can tell: a payload that Slack or Telegram would refuse is refused here. Facts:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
// https://core.telegram.org/bots/api#sendmessage.
//
// Every delivery becomes one [Message] a recipient, decoded as that recipient would read it. Messages are
// kept in memory until the inbox is closed. GET / shows them as a page, newest first.
package inboxtest

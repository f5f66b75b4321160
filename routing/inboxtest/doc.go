// Package inboxtest is a local inbox that really receives what a notifier sends, so that a test or the
// demo can see who was told what, without a packet leaving the machine.
//
// It listens for
//
//   - mail, as an SMTP server without TLS or authentication;
//   - webhooks, POST /webhook/<name>;
//   - Slack's incoming webhooks, POST /services/<channel>;
//   - Telegram's bot API, POST /telegram/bot<token>/sendMessage;
//   - Discord's webhooks, PagerDuty's Events API v2, Pushover's Message API, workflows of Microsoft Teams and
//     Mattermost's incoming webhooks, at the paths that they really have.
//
// All but the first two accept and refuse what the real services do, with their status codes and words, as far as
// a notifier can tell: a payload that Slack or Telegram would refuse is refused here. Facts:
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
// https://core.telegram.org/bots/api#sendmessage; those of the others stand beside their code.
//
// The inbox is also a proxy, behind which the services have their real names, for a notifier that can't be told
// another address.
//
// Every delivery becomes one [Message] a recipient, decoded as that recipient would read it. Messages are
// kept in memory until the inbox is closed. GET / shows them as a page, newest first.
package inboxtest

package inboxtest

import (
	"io"
	"time"

	"github.com/emersion/go-smtp"
)

func newSMTPServer(in *Inbox) *smtp.Server {
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{inbox: in}, nil
	}))
	server.Domain = "inbox.example"
	server.MaxMessageBytes = maxBytes
	server.ReadTimeout = time.Minute
	server.WriteTimeout = time.Minute
	return server
}

// session is one SMTP connection.
type session struct {
	inbox *Inbox
	from  string
	to    []string
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if code := s.inbox.failure(Mail); code != 0 {
		return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: "told to fail"}
	}
	message, err := readMail(raw)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: err.Error()}
	}
	if message.From == "" {
		message.From = s.from
	}
	var messages []Message
	for _, to := range s.to {
		message.To = to
		messages = append(messages, message)
	}
	s.inbox.receive(messages...)
	return nil
}

func (s *session) Reset()        { s.from, s.to = "", nil }
func (s *session) Logout() error { return nil }

package inboxtest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
)

// readMail reads a mail as its recipient would see it: headers and text decoded, of alternatives the
// plain one. It knows the recipients no better than the headers, so To is left empty.
func readMail(raw []byte) (Message, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Message{}, fmt.Errorf("read mail: %w", err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return Message{}, fmt.Errorf("subject: %w", err)
	}
	from, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("From"))
	if err != nil {
		return Message{}, fmt.Errorf("from: %w", err)
	}
	text, err := readPart(textproto.MIMEHeader(m.Header), m.Body)
	if err != nil {
		return Message{}, err
	}
	return Message{Via: Mail, From: from, Subject: subject, Text: text, Raw: raw}, nil
}

// readPart returns the text of one MIME part and all parts inside it.
func readPart(header textproto.MIMEHeader, body io.Reader) (string, error) {
	contentType := header.Get("Content-Type")
	if contentType == "" {
		contentType = "text/plain" // RFC 2045, 5.2
	}
	mediaType, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", fmt.Errorf("content type %q: %w", contentType, err)
	}
	if strings.HasPrefix(mediaType, "multipart/") {
		return readParts(mediaType, multipart.NewReader(body, params["boundary"]))
	}
	switch encoding := strings.ToLower(header.Get("Content-Transfer-Encoding")); encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "", "7bit", "8bit", "binary":
	default:
		return "", fmt.Errorf("unknown transfer encoding %q", encoding)
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return "", fmt.Errorf("%s part: %w", mediaType, err)
	}
	switch mediaType {
	case "text/html":
		return htmlText(content), nil
	case "text/plain":
		return strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n")), nil
	default:
		return fmt.Sprintf("(%s, %d bytes)", mediaType, len(content)), nil
	}
}

func readParts(mediaType string, r *multipart.Reader) (string, error) {
	var texts []string
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", mediaType, err)
		}
		text, err := readPart(part.Header, part)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	if mediaType == "multipart/alternative" && len(texts) > 0 {
		texts = texts[:1] // the plainest comes first: RFC 2046, 5.1.4
	}
	return strings.Join(texts, "\n\n"), nil
}

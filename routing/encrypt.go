package routing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ParseRecipients reads for whom to encrypt: age1… keys, one a line, with # before comments.
func ParseRecipients(keys io.Reader) ([]age.Recipient, error) {
	data, err := io.ReadAll(io.LimitReader(keys, maxSecret))
	switch {
	case err != nil:
		return nil, err
	case bytes.Contains(data, []byte(privateKey)):
		return nil, errors.New("holds a private key: give its public one, age1…, which age-keygen -y prints")
	}
	return age.ParseRecipients(bytes.NewReader(data))
}

// Encrypt reads an address or a token and returns it as a contact file takes it, encrypted for all recipients:
//
//	age: |
//	  -----BEGIN AGE ENCRYPTED FILE-----
//	  …
//
// It takes what [ParseContact] would take once it is decrypted, without the newline at its end. An error never quotes
// it.
func Encrypt(plain io.Reader, recipients []age.Recipient) (string, error) {
	data, err := io.ReadAll(io.LimitReader(plain, maxValue+3)) // and a newline, and what is too much
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	problem := textProblem(text)
	switch {
	case text == "":
		problem = "is empty"
	case !utf8.ValidString(text):
		problem = "is not UTF-8 text"
	case len(text) > maxValue:
		problem = fmt.Sprintf("is too long, at most %d bytes are taken", maxValue)
	case sealedProblem(text) != "":
		problem = sealedProblem(text)
	}
	if problem != "" {
		return "", errors.New("the value " + problem)
	}
	var armored bytes.Buffer
	a := armor.NewWriter(&armored)
	w, err := age.Encrypt(a, recipients...)
	if err != nil {
		return "", err
	}
	_, err = io.WriteString(w, text)
	if err := errors.Join(err, w.Close(), a.Close()); err != nil {
		return "", err
	}
	out, err := encode(object("age", word(armored.String())))
	return string(out), err
}

package routing

import (
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
)

// What Encrypt returns is pasted below a key of a contact, and opened with the identity of any of the recipients.
func TestEncryptedValueIsOpened(t *testing.T) {
	ours, theirs := newKeyPair(t), newKeyPair(t)
	recipients, err := ParseRecipients(strings.NewReader("# two sites\n" + ours.identity.Recipient().String() + "\n\n" + theirs.identity.Recipient().String() + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		block, err := Encrypt(strings.NewReader("noc@acme.example"+end), recipients)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(block, "age: |\n  -----BEGIN AGE ENCRYPTED FILE-----\n  ") || strings.Contains(block, "noc") {
			t.Fatalf("printed\n%s", block)
		}
		source := "kind: operator\nname: Acme\nowner: hx1\ncontact_methods:\n  mail:\n    email:\n      to:\n        " +
			strings.TrimSpace(strings.ReplaceAll(block, "\n", "\n        ")) + "\nnotification_rules:\n- { notify: [mail] }\n"
		for _, key := range []keyPair{ours, theirs} {
			site := testSite()
			site.Decrypt = key.decrypter()
			if got := parse(t, "acme.yml", source, site).methods[0].method.(email).to.text(""); got != "noc@acme.example" {
				t.Errorf("opened as %q", got)
			}
		}
	}
}

// What the loader would refuse once it is decrypted is refused at once, and never quoted.
func TestEncryptRefuses(t *testing.T) {
	key := newKeyPair(t)
	for plain, want := range map[string]string{
		"":                         "the value is empty",
		"\n":                       "the value is empty",
		"hunter2\nhunter2\n":       "the value must not contain control or invisible characters",
		"hunter2\n\n":              "the value must not contain control or invisible characters",
		" hunter2":                 "the value must not begin or end with a space",
		"hunter2 \n":               "the value must not begin or end with a space",
		"hunter2{{":                "the value must not contain {{, Alertmanager would run it as a template",
		"hunter2\xff":              "the value is not UTF-8 text",
		"AGE-SECRET-KEY-1hunter2":  "the value is a private key, make a new one and never commit it",
		"<secret>":                 "the value is the placeholder that servers print for a secret, give the real value",
		"ENC[hunter2":              "the value looks encrypted, give an encrypted value as {age: …}",
		strings.Repeat("h", 4097):  "the value is too long, at most 4096 bytes are taken",
		strings.Repeat("h", 99999): "the value is too long, at most 4096 bytes are taken",
	} {
		block, err := Encrypt(strings.NewReader(plain), []age.Recipient{key.identity.Recipient()})
		if block != "" || err == nil || err.Error() != want {
			t.Errorf("%.20q: got %q, %v; want %s", plain, block, err, want)
		}
	}
	longest := strings.Repeat("h", maxValue)
	if _, err := Encrypt(strings.NewReader(longest+"\r\n"), []age.Recipient{key.identity.Recipient()}); err != nil {
		t.Error(err)
	}
	broken := errors.New("broken pipe")
	if _, err := Encrypt(failing{broken}, nil); !errors.Is(err, broken) {
		t.Errorf("input that can't be read: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A private key among the recipients is a mistake that must not spread.
func TestParseRecipientsRefuses(t *testing.T) {
	key := newKeyPair(t)
	private := key.identity.String()
	for keys, want := range map[string]string{
		private: "holds a private key: give its public one, age1…, which age-keygen -y prints",
		key.identity.Recipient().String() + "\n" + private: "holds a private key: give its public one, age1…, which age-keygen -y prints",
		"hunter2": "error at line 1: unknown recipient type",
		"":        "no recipients found",
	} {
		_, err := ParseRecipients(strings.NewReader(keys))
		if err == nil || err.Error() != want || strings.Contains(err.Error(), private) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

package discovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// people makes P-Reps of letters, ranked in the order given; a capital letter is
// one that has moved. Sorted by owner, as everywhere.
func people(letters string) (preps []prep) {
	for i, r := range letters {
		owner := strings.ToLower(string(r))
		host := "host-" + owner
		if owner != string(r) {
			host = "moved-" + owner
		}
		preps = append(preps, prep{Owner: owner, Name: owner, Host: host, P2PPort: 7100, Rank: i + 1})
	}
	slices.SortFunc(preps, byOwnerAddress)
	return preps
}

// letters is the inverse of people.
func letters(preps []prep) string {
	var b strings.Builder
	for _, p := range preps {
		if strings.HasPrefix(p.Host, "moved-") {
			b.WriteString(strings.ToUpper(p.Owner))
		} else {
			b.WriteString(p.Owner)
		}
	}
	return b.String()
}

func TestJudge(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	type step struct {
		after    time.Duration // since start
		height   int64         // 0: one more than the step before
		answer   string
		refused  []Refusal
		suspects []string // earlier answers of other endpoints in the same pass
		source   string   // of the answer, "" for another one
		ranks    string
		insist   bool

		want string // accepted P-Reps
		held string // letters of held P-Reps and a sign: - absent, ! drop, ? unresolved
		err  error
	}
	const hour = time.Hour
	refuse := func(reason, host string, letters string) (all []Refusal) {
		for _, r := range letters {
			all = append(all, Refusal{Owner: string(r), Name: string(r), Reason: reason, host: host + string(r)})
		}
		return all
	}
	for _, tc := range []struct {
		name  string
		steps []step
	}{
		{"first answer", []step{{answer: "abc", want: "abc"}}},
		{"join, move", []step{{answer: "abc", want: "abc"}, {answer: "aBcd", want: "aBcd"}}},
		{"one leaves", []step{
			{answer: "abcde", want: "abcde"},
			{after: 0, answer: "abcd", want: "abcde", held: "e-"},
			{after: hour - 1, answer: "abcd", want: "abcde", held: "e-"},
			{after: hour, answer: "abcd", want: "abcd"},
		}},
		{"one leaves and returns", []step{
			{answer: "abcde", want: "abcde"},
			{after: 0, answer: "abcd", want: "abcde", held: "e-"},
			{after: hour / 2, answer: "abcdE", want: "abcdE"},
			{after: hour, answer: "abcd", want: "abcdE", held: "e-"}, // counted anew
			{after: 2 * hour, answer: "abcd", want: "abcd"},
		}},
		{"nothing is left", []step{
			{answer: "a", want: "a"},
			{answer: "", want: "a", held: "a-"},
			{after: 100 * hour, answer: "", want: "a", err: errEmpty},
			{after: 100 * hour, answer: "", insist: true, want: "a", err: errEmpty},
		}},
		{"nothing to begin with", []step{{answer: "", refused: refuse(ReasonPrivate, "x", "ab"), want: "", err: errEmpty}}},
		{"older", []step{
			{height: 100, answer: "abc", want: "abc"},
			{height: 99, answer: "abcd", want: "abc", err: errOlder},
			{after: 100 * hour, height: 99, answer: "abcd", want: "abc", err: errOlder},
			{height: 100, answer: "abcd", want: "abcd"},
			{height: 50, answer: "abce", insist: true, want: "abce"},
			{height: 60, answer: "abcef", want: "abcef"},
		}},

		{"three of ten are few enough", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdefg", want: "abcdefghij", held: "h-i-j-"},
			{after: hour, answer: "abcdefg", want: "abcdefg"},
		}},
		{"four of twenty are few enough", []step{
			{answer: "abcdefghijklmnopqrst", want: "abcdefghijklmnopqrst"},
			{answer: "abcdefghijklmnop", want: "abcdefghijklmnopqrst", held: "q-r-s-t-"},
		}},
		{"four of ten are too many", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "Abcdefx", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: hour, answer: "Abcdefx", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 2 * hour, answer: "abcdefghijk", want: "abcdefghijk"},
		}},
		{"a drop by and by", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{after: 0, answer: "abcdefgh", want: "abcdefghij", held: "i-j-"},
			{after: hour / 4, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: hour, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: hour, answer: "abcdefg", want: "abcdefgh", held: "h-"}, // i and j have been away for long
		}},
		{"a drop for 24 h", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{after: hour, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 25*hour - 1, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 25 * hour, answer: "abcdef", want: "abcdefghij", held: "g-h-i-j-"},
			{after: 25*hour + 1, answer: "abcdef", want: "abcdefghij", held: "g-h-i-j-"}, // not suspected again
			{after: 26 * hour, answer: "abcdef", want: "abcdef"},
		}},
		{"a drop that ended in between", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{after: hour, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 2 * hour, answer: "abcdefghij", want: "abcdefghij"},
			{after: 25 * hour, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
		}},
		{"an older answer doesn't end the hold", []step{
			{height: 5, answer: "abcdefghij", want: "abcdefghij"},
			{after: hour, answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 2 * hour, height: 1, answer: "abcdefghij", want: "abcdefghij", err: errOlder},
			{after: 25 * hour, height: 9, answer: "abcdef", want: "abcdefghij", held: "g-h-i-j-"},
		}},
		{"another endpoint agrees", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdef", suspects: []string{"abcdef"}, want: "abcdefghij", held: "g-h-i-j-"},
			{after: 1, answer: "abcdef", want: "abcdefghij", held: "g-h-i-j-"},
			{after: hour, answer: "abcdef", want: "abcdef"},
		}},
		{"another endpoint nearly agrees", []step{
			{answer: "abcdefghijklmno", want: "abcdefghijklmno"},
			{answer: "abcdef", suspects: []string{"abcdefghi"}, want: "abcdefghijklmno", held: "g-h-i-j-k-l-m-n-o-"},
		}},
		{"the same endpoint repeats itself", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdef", suspects: []string{"abcdef"}, source: "b", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
		}},
		{"another endpoint lacks others", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdef", suspects: []string{"efghij"}, want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
		}},
		{"a later drop needs another agreement", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdef", suspects: []string{"abcdef"}, want: "abcdefghij", held: "g-h-i-j-"},
			{after: 1, answer: "ab", want: "abcdefghij", held: "c!d!e!f!", err: errDrop},
		}},
		{"a few in every answer", []step{
			{answer: "abcdefghijklmnopqrst", want: "abcdefghijklmnopqrst"},
			{answer: "abcdefghijklmnopqr", want: "abcdefghijklmnopqrst", held: "s-t-"},
			{after: hour, answer: "abcdefghijklmnop", want: "abcdefghijklmnopqr", held: "q-r-"},
			{after: 2 * hour, answer: "abcdefghijklmn", want: "abcdefghijklmnopqr", held: "o!p!q!r!", err: errDrop},
			{after: 25*hour - 1, answer: "abcdefghijklmn", want: "abcdefghijklmnopqr", held: "o!p!q!r!", err: errDrop},
			{after: 26 * hour, answer: "abcdefghijklmn", want: "abcdefghijklmnop", held: "o-p-"}, // q and r have been away for long
			{after: 27 * hour, answer: "abcdefghijklmn", want: "abcdefghijklmn"},
		}},
		{"a few in every answer, some of whom return", []step{
			{answer: "abcdefghijklmnopqrst", want: "abcdefghijklmnopqrst"},
			{answer: "abcdefghijklmnopqr", want: "abcdefghijklmnopqrst", held: "s-t-"},
			{after: hour, answer: "abcdefghijklmnopqr", want: "abcdefghijklmnopqr"},
			{after: 2 * hour, answer: "abcdefghijklmnopst", want: "abcdefghijklmnopqrst", held: "q-r-"},
			{after: 3 * hour, answer: "abcdefghijklmnost", want: "abcdefghijklmnopst", held: "p-"}, // q and r are gone
			{after: 4 * hour, answer: "abcdefghijklmnst", want: "abcdefghijklmnost", held: "o-"},   // and p
		}},
		{"a few a day", []step{
			{answer: "abcdefghijklmnopqrst", want: "abcdefghijklmnopqrst"},
			{answer: "abcdefghijklmnopq", want: "abcdefghijklmnopqrst", held: "r-s-t-"},
			{after: hour, answer: "abcdefghijklmnopq", want: "abcdefghijklmnopq"},
			{after: 25 * hour, answer: "abcdefghijklmn", want: "abcdefghijklmnopq", held: "o-p-q-"},
			{after: 26 * hour, answer: "abcdefghijklmn", want: "abcdefghijklmn"},
		}},
		{"a few in every answer, insisted on", []step{
			{answer: "abcdefghijklmnopqrst", want: "abcdefghijklmnopqrst"},
			{answer: "abcdefghijklmnopqr", want: "abcdefghijklmnopqrst", held: "s-t-"},
			{after: hour, answer: "abcdefghijklmnop", want: "abcdefghijklmnopqr", held: "q-r-"},
			{after: 2 * hour, answer: "abcdefghijklmn", insist: true, want: "abcdefghijklmn"},
			{after: 3 * hour, answer: "abcdefghijkl", want: "abcdefghijklmn", held: "m-n-"}, // counted anew
		}},
		{"insisted on", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcdef", want: "abcdefghij", held: "g!h!i!j!", err: errDrop},
			{after: 1, answer: "abcdef", insist: true, want: "abcdef"},
		}},

		{"fewer ranks by configuration", []step{
			{answer: "abcdefghij", want: "abcdefghij"},
			{answer: "abcde", ranks: "1-5", want: "abcdefghij", held: "f-g-h-i-j-"},
			{after: hour, answer: "abcde", ranks: "1-5", want: "abcde"},
		}},
		{"out of the ranks", []step{
			{answer: "abcde", ranks: "1-5", want: "abcde"},
			{answer: "abcdf", ranks: "1-5", want: "abcdef", held: "e-"},
			{after: hour, answer: "abcdf", ranks: "1-5", want: "abcdf"},
		}},

		{"moved to a refused host", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "abcd", refused: refuse(ReasonPrivate, "evil-", "e"), want: "abcde", held: "e-"},
			{after: hour, answer: "abcd", refused: refuse(ReasonPrivate, "evil-", "e"), want: "abcd"},
		}},
		{"the hostname leads to a denied address", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "abcd", refused: refuse(ReasonDenied, "host-", "e"), want: "abcd"},
		}},
		{"the hostname leads elsewhere", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "abcd", refused: refuse(ReasonPrivate, "host-", "e"), want: "abcd"},
		}},
		{"many hostnames lead elsewhere", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "a", refused: refuse(ReasonPrivate, "host-", "bcde"), want: "abcde", held: "b!c!d!e!", err: errDrop},
		}},
		{"no hostname resolves", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "", refused: refuse(ReasonUnresolved, "host-", "abcde"), want: "abcde", held: "a?b?c?d?e?"},
			{after: 100 * hour, answer: "", refused: refuse(ReasonUnresolved, "host-", "abcde"), want: "abcde", held: "a?b?c?d?e?"},
		}},
		{"moved to a hostname that doesn't resolve", []step{
			{answer: "abcde", want: "abcde"},
			{answer: "abcd", refused: refuse(ReasonUnresolved, "new-", "e"), want: "abcde", held: "e-"},
			{after: hour, answer: "abcd", refused: refuse(ReasonUnresolved, "new-", "e"), want: "abcd"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base := baseline{}
			height := int64(0)
			for i, s := range tc.steps {
				if height++; s.height > 0 {
					height = s.height
				}
				ranks, err := parseRanks(s.ranks)
				if err != nil {
					t.Fatal(err)
				}
				r := &rules{ranks: ranks, removeAfter: hour}
				answer := &listing{Source: s.source, Height: height, Preps: people(s.answer), Refused: s.refused}
				var suspects []*listing
				for _, letters := range s.suspects {
					suspects = append(suspects, &listing{Source: "b", Height: height, Preps: people(letters)})
				}
				before := fmt.Sprintf("%+v", base)
				v := judge(base, answer, suspects, r, s.insist, start.Add(s.after))
				var held strings.Builder
				for _, h := range v.held {
					held.WriteString(h.Owner + map[string]string{HeldAbsent: "-", HeldDrop: "!", HeldUnresolved: "?"}[h.Reason])
				}
				if got := letters(v.next.Preps); got != s.want || held.String() != s.held || !errors.Is(v.err, s.err) || s.err == nil && v.err != nil {
					t.Fatalf("step %d: got %q, held %q, %v; want %q, held %q, %v", i, got, held.String(), v.err, s.want, s.held, s.err)
				}
				if after := fmt.Sprintf("%+v", base); after != before {
					t.Fatalf("step %d changed its input from\n%s to\n%s", i, before, after)
				}
				base = v.next
				if v.err == nil {
					again := judge(base, answer, suspects, r, s.insist, start.Add(s.after))
					if diff := cmp.Diff([]any{v.next, v.held}, []any{again.next, again.held}); diff != "" {
						t.Fatalf("step %d: doing it twice changes something:\n%s", i, diff)
					}
				}
			}
		})
	}
}

// TestLastGoodTime: only a new block makes the data younger.
func TestLastGoodTime(t *testing.T) {
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &rules{ranks: rankRange{1, 10}, removeAfter: time.Hour}
	judged := func(base baseline, height int64, now time.Time) baseline {
		return judge(base, &listing{Height: height, Preps: people("abc")}, nil, r, false, now).next
	}
	base := judged(baseline{}, 7, start)
	if !base.Time.Equal(start) {
		t.Errorf("first: %s", base.Time)
	}
	if base = judged(base, 7, start.Add(time.Hour)); !base.Time.Equal(start) {
		t.Errorf("same height: %s", base.Time)
	}
	if base = judged(base, 8, start.Add(time.Hour)); !base.Time.Equal(start.Add(time.Hour)) {
		t.Errorf("next height: %s", base.Time)
	}
}

// TestGuardErrors has the exact words of what an operator reads.
func TestGuardErrors(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		base   baseline
		answer *listing
		want   string
	}{
		{
			baseline{Preps: people("abcdefghij")}, &listing{Preps: people("abc")},
			"drop held: 7 of 10 P-Reps are gone; they stay until another endpoint agrees, until 2030-01-02T00:00:00Z, or until the drop is accepted by hand",
		},
		{
			baseline{Preps: people("abcdefgh"), Removed: map[string]time.Time{"i": now, "j": now}}, &listing{Preps: people("abcdef")},
			"drop held: 4 of 10 P-Reps are gone within a day; they stay until another endpoint agrees, until 2030-01-02T00:00:00Z, or until the drop is accepted by hand",
		},
		{
			baseline{Preps: people("abcdefghij"), Height: 45_000_000, Time: now.Add(-time.Minute)}, &listing{Preps: people("abc"), Height: 25_000_000},
			"older: height 25000000 is below 45000000, which was accepted before; it lacks 7 of 10 P-Reps",
		},
		{
			baseline{Preps: people("abc"), Height: 45_000_000, Time: now.Add(-time.Minute)}, &listing{Preps: people("abc"), Height: 44_999_999},
			"older: height 44999999 is below 45000000, which was accepted before",
		},
		{
			baseline{Preps: people("abc"), Height: 45_000_000, Time: now.Add(-time.Minute)}, &listing{Preps: people("abc"), Height: 245_000_000},
			"implausible height: 245000000 is 200000000 blocks above 45000000, which was accepted 1m0s ago; no other endpoint is as high",
		},
		{
			baseline{}, &listing{Preps: people("abc"), Height: 1 << 60},
			"implausible height: no chain has 1152921504606846976 blocks",
		},
	} {
		v := judge(tc.base, tc.answer, nil, &rules{ranks: rankRange{1, 10}, endpoints: 2}, false, now)
		if text(v.err) != tc.want {
			t.Errorf("got  %v\nwant %s", v.err, tc.want)
		}
	}
}

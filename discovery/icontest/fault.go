package icontest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Fault is one way to misbehave. The zero Fault is none.
type Fault struct {
	Name string // in a few words, for the names of subtests

	lag   int64                                                   // blocks that the node is behind
	serve func(http.ResponseWriter, *http.Request, http.Handler)  // replaces the whole answer; the handler gives the right one
	edit  func(method string, result map[string]any) (faulty any) // replaces a result
}

func (f Fault) apply(method string, result map[string]any) any {
	if f.edit == nil {
		return result
	}
	return f.edit(method, result)
}

// Faults returns one of each kind, for tests that try them all. Each one makes
// an answer of getPReps, or the node's identity, unfit for use; Partial only
// for who knows that there were more P-Reps, Behind only for who knows a later
// height, Shifting and Unpinned only for who needs more than one page.
func Faults() []Fault {
	return []Fault{
		ServerError(),
		Unavailable(2 * time.Minute),
		TooManyRequests(2 * time.Minute),
		Redirect("/api/v3/icon_dex"),
		Hanging(),
		Truncated(),
		NotJSON(),
		EmptyBody(),
		Huge(20 << 20),
		Nested(20_000),
		NullResult(),
		NoPReps(),
		PRepsNotArray(),
		NullPReps(),
		WrongTypes(),
		EmptyPReps(),
		BadHeight(),
		WrongNID(2),
		Behind(1_000),
		Partial(),
		Duplicates(),
		Shifting(),
		Unpinned(),
	}
}

// ServerError answers 500 with a text, as a panic in goloop does.
func ServerError() Fault {
	return Answer("server error", http.StatusInternalServerError, nil, "runtime error: invalid memory address or nil pointer dereference")
}

// Unavailable answers 503 with an HTML page, as a throttling nginx does.
func Unavailable(retryAfter time.Duration) Fault {
	return Answer("unavailable", http.StatusServiceUnavailable, http.Header{"Retry-After": {seconds(retryAfter)}, "Content-Type": {"text/html"}},
		"<html><head><title>503 Service Temporarily Unavailable</title></head></html>")
}

// TooManyRequests answers 429.
func TooManyRequests(retryAfter time.Duration) Fault {
	return Answer("too many requests", http.StatusTooManyRequests, http.Header{"Retry-After": {seconds(retryAfter)}}, "slow down")
}

// Redirect answers 307 to another URL.
func Redirect(to string) Fault {
	return Answer("redirect", http.StatusTemporaryRedirect, http.Header{"Location": {to}}, "")
}

// NotJSON answers 200 with a web page.
func NotJSON() Fault {
	return Answer("not json", http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "<!doctype html><title>Welcome</title>")
}

// EmptyBody answers 200 with nothing.
func EmptyBody() Fault { return Answer("empty body", http.StatusOK, nil, "") }

// Answer answers every request alike.
func Answer(name string, status int, header http.Header, body string) Fault {
	return Fault{Name: name, serve: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for key, values := range header {
			w.Header()[key] = values
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}}
}

// Hanging accepts the request and never answers; it returns when the client
// gives up.
func Hanging() Fault {
	return Fault{Name: "hanging", serve: func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		io.Copy(io.Discard, r.Body) // the server only notices a lost client once the body is read
		<-r.Context().Done()
	}}
}

// Slow answers rightly, after a delay.
func Slow(delay time.Duration) Fault {
	return Fault{Name: "slow", serve: func(w http.ResponseWriter, r *http.Request, right http.Handler) {
		select {
		case <-time.After(delay):
			right.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}}
}

// Truncated promises the whole answer and sends half of it.
func Truncated() Fault {
	return Fault{Name: "truncated", serve: func(w http.ResponseWriter, r *http.Request, right http.Handler) {
		whole := &recorder{header: http.Header{}}
		right.ServeHTTP(whole, r)
		w.Header().Set("Content-Length", strconv.Itoa(len(whole.body)))
		w.Write(whole.body[:len(whole.body)/2])
	}}
}

// Huge answers with this many bytes of valid JSON.
func Huge(bytes int) Fault {
	return Fault{Name: "huge", serve: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{"blockHeight":"0xfffffff","preps":[`)
		chunk := strings.Repeat(" ", 64<<10)
		for sent := 0; sent < bytes; sent += len(chunk) {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
		io.WriteString(w, `]}}`)
	}}
}

// Nested answers with arrays in arrays.
func Nested(depth int) Fault {
	return Answer("nested", http.StatusOK, nil,
		`{"jsonrpc":"2.0","id":1,"result":`+strings.Repeat("[", depth)+strings.Repeat("]", depth)+`}`)
}

// NullResult answers with a result of null.
func NullResult() Fault {
	return Fault{Name: "null result", edit: func(string, map[string]any) any { return nil }}
}

// NoPReps leaves the list out.
func NoPReps() Fault { return preps("no preps", func(r map[string]any) { delete(r, "preps") }) }

// PRepsNotArray sends the list as an object.
func PRepsNotArray() Fault {
	return preps("preps not an array", func(r map[string]any) { r["preps"] = map[string]any{"0": "hx"} })
}

// NullPReps sends a list of nulls.
func NullPReps() Fault {
	return preps("null preps", func(r map[string]any) { r["preps"] = []any{nil, nil, nil} })
}

// WrongTypes sends P-Reps whose fields are numbers, lists and booleans.
func WrongTypes() Fault {
	return preps("wrong types", func(r map[string]any) {
		r["preps"] = []any{map[string]any{"address": 7, "name": []string{"a"}, "p2pEndpoint": true}}
	})
}

// EmptyPReps sends an empty list.
func EmptyPReps() Fault { return preps("empty preps", func(r map[string]any) { r["preps"] = []any{} }) }

// BadHeight sends a height that isn't one.
func BadHeight() Fault {
	return preps("bad height", func(r map[string]any) { r["blockHeight"] = "latest" })
}

// Partial sends the first half of each page.
func Partial() Fault {
	return preps("partial", func(r map[string]any) {
		if rows, ok := r["preps"].([]json.RawMessage); ok {
			r["preps"] = rows[:len(rows)/2]
		}
	})
}

// Duplicates sends each page's first P-Rep again in place of its second.
func Duplicates() Fault {
	return preps("duplicates", func(r map[string]any) {
		if rows, ok := r["preps"].([]json.RawMessage); ok && len(rows) > 1 {
			rows[1] = rows[0]
		}
	})
}

// Shifting sends pages as if somebody had moved up into an earlier page after
// it was sent: every later page begins with the end of the one before.
func Shifting() Fault {
	var mu sync.Mutex
	var last json.RawMessage
	return preps("shifting", func(r map[string]any) {
		rows, ok := r["preps"].([]json.RawMessage)
		if !ok || len(rows) == 0 {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		end := rows[len(rows)-1]
		if r["startRanking"] != "0x1" {
			rows = append([]json.RawMessage{last}, rows[:len(rows)-1]...)
		}
		r["preps"], last = rows, end
	})
}

// Unpinned says of every page that it is from another block than was asked for.
func Unpinned() Fault {
	var mu sync.Mutex
	var block int64
	return preps("unpinned", func(r map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		if height, err := strconv.ParseInt(fmt.Sprint(r["blockHeight"]), 0, 64); err == nil {
			block++
			r["blockHeight"] = hexInt(height - block)
		}
	})
}

// WrongNID claims to be of another network.
func WrongNID(nid int64) Fault {
	return Fault{Name: "wrong nid", edit: func(method string, result map[string]any) any {
		if method == "icx_getNetworkInfo" {
			result["nid"] = hexInt(nid)
		}
		return result
	}}
}

// Behind answers as a node that lacks the last blocks.
func Behind(blocks int64) Fault { return Fault{Name: "behind", lag: blocks} }

// Ahead answers as a node that has this many blocks more than there are. It is
// none of Faults: only who knows another node, or how fast the chain is, can tell.
func Ahead(blocks int64) Fault { return Fault{Name: "ahead", lag: -blocks} }

// preps makes a fault of getPReps only.
func preps(name string, edit func(result map[string]any)) Fault {
	return Fault{Name: name, edit: func(method string, result map[string]any) any {
		if method == "getPReps" {
			edit(result)
		}
		return result
	}}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// A recorder keeps an answer instead of sending it.
type recorder struct {
	header http.Header
	body   []byte
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}
func (r *recorder) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

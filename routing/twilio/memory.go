package twilio

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

const (
	// remembered is how long what was sent isn't sent again. Alertmanager repeats what failed within minutes, and what
	// goes on by itself after an hour at the earliest (see repeat_interval of phones in package routing).
	remembered = 30 * time.Minute
	// limitPeriod is what limits are about.
	limitPeriod = time.Hour
)

// limits are how many texts and calls one phone gets in an hour: an alert that comes and goes must not empty an account.
var limits = map[string]int{SMS: 60, Voice: 20}

var errLimit = errors.New("this phone has had too many within the hour")

// A sum stands for a group of alerts in the state that it is told in.
type sum [sha256.Size]byte

type message struct {
	to string
	sum
}

// A flight is a message that is under way.
type flight struct {
	landed chan struct{}
	err    error // once it has landed
}

// A memory knows what was sent lately.
type memory struct {
	mu     sync.Mutex
	sent   map[message]time.Time
	flying map[message]*flight
	times  map[string][]time.Time // by phone and way, of the last hour
}

func newMemory() *memory {
	return &memory{sent: map[message]time.Time{}, flying: map[message]*flight{}, times: map[string][]time.Time{}}
}

// once calls send unless the same was sent to the same phone not long ago, or is being sent now: then it waits for that,
// for as long as ctx lasts.
func (m *memory) once(ctx context.Context, to string, s sum, limit int, send func() error) (repeated bool, err error) {
	key := message{to, s}
	m.mu.Lock()
	m.forget(time.Now())
	if _, ok := m.sent[key]; ok {
		m.mu.Unlock()
		return true, nil
	}
	if f := m.flying[key]; f != nil {
		m.mu.Unlock()
		select {
		case <-f.landed:
			return true, f.err
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	if len(m.times[to]) >= limit {
		m.mu.Unlock()
		return false, errLimit
	}
	f := &flight{landed: make(chan struct{}), err: errors.New("sending has crashed")}
	m.flying[key] = f
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.flying, key)
		if now := time.Now(); f.err == nil {
			m.sent[key] = now
			m.times[to] = append(m.times[to], now)
		}
		m.mu.Unlock()
		close(f.landed)
	}()
	f.err = send()
	return false, f.err
}

// forget drops what is too old to matter.
func (m *memory) forget(now time.Time) {
	for key, at := range m.sent {
		if now.Sub(at) >= remembered {
			delete(m.sent, key)
		}
	}
	for to, times := range m.times {
		for len(times) > 0 && now.Sub(times[0]) >= limitPeriod {
			times = times[1:]
		}
		if m.times[to] = times; len(times) == 0 {
			delete(m.times, to)
		}
	}
}

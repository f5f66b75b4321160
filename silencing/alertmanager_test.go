package silencing

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// alertmanager keeps silences in memory by the rules of the real one, whose
// behaviour the tests in agent_test.go pin. It is for tests that need a clock of
// their own; it can be reached as an http.RoundTripper.
type alertmanager struct {
	now func() time.Time

	mu       sync.Mutex
	silences map[string]Silence
	made     int
	cluster  string // the JSON of the status' cluster
	writes   int
	started  time.Time
	alerts   []string // that fire, as starts takes them
}

func newAlertmanager(now func() time.Time) *alertmanager {
	return &alertmanager{now: now, started: now(), silences: make(map[string]Silence), cluster: `{"status": "disabled", "peers": []}`}
}

func (am *alertmanager) state(s Silence) string {
	switch now := am.now(); {
	case now.Before(s.StartsAt):
		return statePending
	case now.After(s.EndsAt):
		return stateExpired
	}
	return stateActive
}

func (am *alertmanager) list() []Silence {
	am.mu.Lock()
	defer am.mu.Unlock()
	list := []Silence{}
	for _, id := range slices.Sorted(maps.Keys(am.silences)) {
		s := am.silences[id]
		s.Status.State = am.state(s)
		list = append(list, s)
	}
	return list
}

var errNotFound = errors.New("silence not found")

func (am *alertmanager) set(s Silence) (id string, err error) {
	am.mu.Lock()
	defer am.mu.Unlock()
	am.writes++
	now := am.now()
	switch {
	case !s.StartsAt.Before(s.EndsAt):
		return "", errors.New("start time must be before end time")
	case s.EndsAt.Before(now):
		return "", errors.New("end time can't be in the past")
	}
	if s.ID != "" {
		prev, ok := am.silences[s.ID]
		if !ok {
			return "", errNotFound
		}
		state := am.state(prev)
		same := slices.Equal(prev.Matchers, s.Matchers)
		if same && state == stateActive && prev.StartsAt.Unix() == s.StartsAt.Unix() ||
			same && state == statePending && !s.StartsAt.Before(now) {
			am.silences[s.ID] = s
			return s.ID, nil
		}
		if state != stateExpired {
			am.end(s.ID)
		}
	}
	am.made++
	s.ID = fmt.Sprintf("silence-%06d", am.made)
	if s.StartsAt.Before(now) {
		s.StartsAt = now
	}
	am.silences[s.ID] = s
	return s.ID, nil
}

func (am *alertmanager) expire(id string) error {
	am.mu.Lock()
	defer am.mu.Unlock()
	am.writes++
	if _, ok := am.silences[id]; !ok {
		return errNotFound
	}
	if am.state(am.silences[id]) != stateExpired {
		am.end(id)
	}
	return nil
}

// end is a person's way to expire, and that of DELETE.
func (am *alertmanager) end(id string) {
	s := am.silences[id]
	if am.state(s) == statePending {
		s.StartsAt = am.now()
	}
	// The real one's clock has moved on by the next request.
	s.EndsAt = am.now().Add(-time.Nanosecond)
	am.silences[id] = s
}

func (am *alertmanager) RoundTrip(req *http.Request) (*http.Response, error) {
	answer := func(code int, v any) (*http.Response, error) {
		body, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: code, Body: io.NopCloser(strings.NewReader(string(body)))}, nil
	}
	switch path := strings.TrimPrefix(req.URL.Path, "/api/v2/"); {
	case path == "status":
		return answer(http.StatusOK, map[string]any{"cluster": json.RawMessage(am.cluster), "uptime": am.started})
	case path == "alerts": // all of them, whatever the filter
		list := []map[string]any{}
		for _, a := range am.alerts {
			list = append(list, map[string]any{"labels": labelsOf(a), "startsAt": am.started, "receivers": []any{}})
		}
		return answer(http.StatusOK, list)
	case path == "silences" && req.Method == http.MethodGet:
		return answer(http.StatusOK, am.list())
	case path == "silences":
		var s Silence
		if err := json.NewDecoder(req.Body).Decode(&s); err != nil {
			return answer(http.StatusUnprocessableEntity, map[string]any{"code": 600, "message": err.Error()})
		}
		id, err := am.set(s)
		switch {
		case errors.Is(err, errNotFound):
			return answer(http.StatusNotFound, err.Error())
		case err != nil:
			return answer(http.StatusBadRequest, err.Error())
		}
		return answer(http.StatusOK, map[string]string{"silenceID": id})
	case req.Method == http.MethodDelete:
		if err := am.expire(strings.TrimPrefix(path, "silence/")); err != nil {
			return answer(http.StatusNotFound, nil)
		}
		return answer(http.StatusOK, nil)
	}
	return answer(http.StatusNotFound, "no such path")
}

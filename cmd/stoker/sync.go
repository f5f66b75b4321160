package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/stoker-project/stoker/reload"
	"github.com/stoker-project/stoker/sidecar"
)

func (a *app) addSync(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("sync", "Do one pass of every agent, then exit. Beside a running stoker, ask that one to.")
	a.agentFlag(c)
	a.httpConfigFlag(c)
	var publishOnly bool
	var wait time.Duration
	var acceptDrop []string
	c.Flag("publish-only", "Contact no server; succeed once every selected server has a checked live release. For init containers.").
		BoolVar(&publishOnly)
	c.Flag("wait", "Try again for up to this long, for servers that are still starting.").Default("0s").DurationVar(&wait)
	c.Flag("accept-drop", "Let the next answer of this network count even if many of its nodes are gone, repeatable.").
		PlaceHolder("NETWORK").StringsVar(&acceptDrop)
	register(c, func(ctx context.Context) error {
		cfg, err := a.load()
		if err != nil {
			return err
		}
		s, err := sidecar.New(cfg, sidecar.Options{Agents: a.agents, Logger: a.logger(), PublishOnly: publishOnly})
		if err != nil {
			return usageError{err}
		}
		if err := s.AcceptDrop(acceptDrop); err != nil {
			return usageError{err}
		}
		deadline := time.Now().Add(wait)
		for {
			results, err := a.syncOnce(ctx, s, acceptDrop, publishOnly)
			if err != nil {
				return err
			}
			if publishOnly {
				err = published(s.Status())
			} else {
				err = failed(results)
			}
			if err == nil || time.Now().After(deadline) {
				a.printResults(results)
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
			}
		}
	})
}

// syncOnce runs one pass here or, if a running stoker holds the output_dirs, there. Who only wants a release to be
// there leaves it to the other one, which may be on another machine.
func (a *app) syncOnce(ctx context.Context, s *sidecar.Sidecar, acceptDrop []string, publishOnly bool) ([]sidecar.Result, error) {
	results, err := s.SyncOnce(ctx)
	var locked *reload.ErrLocked
	if !errors.As(err, &locked) {
		return results, err
	}
	if publishOnly {
		fmt.Fprintf(a.stderr, "stoker: %v, which publishes what is new\n", err)
		return nil, nil
	}
	if locked.Address == "" {
		return nil, fmt.Errorf("%w, which has no web listener to ask: try again when it has ended", err)
	}
	fmt.Fprintf(a.stderr, "stoker: asking the stoker that runs at %s\n", locked.Address)
	return a.askToSync(ctx, locked.Address, acceptDrop)
}

// askToSync asks a running stoker for a pass of every agent.
func (a *app) askToSync(ctx context.Context, address string, acceptDrop []string) ([]sidecar.Result, error) {
	client, err := a.client()
	if err != nil {
		return nil, err
	}
	query := url.Values{"accept_drop": acceptDrop}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/-/sync?"+query, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	var results []sidecar.Result
	if err := json.Unmarshal(body, &results); err != nil {
		return nil, fmt.Errorf("POST %s: %s: %.200s%s", req.URL, resp.Status, strings.TrimSpace(string(body)), httpConfigHint(resp.StatusCode))
	}
	return results, nil
}

// failed returns an error if an agent's pass failed; the details are printed with the results.
func failed(results []sidecar.Result) error {
	for _, r := range results {
		if r.Outcome == "error" {
			return errProblems
		}
	}
	return nil
}

// published returns an error if a server has no checked live release.
func published(s sidecar.Status) error {
	if !s.Ready {
		return errProblems
	}
	return nil
}

func (a *app) printResults(results []sidecar.Result) {
	for _, r := range results {
		if r.Error != "" {
			fmt.Fprintf(a.stdout, "%s: %s: %s\n", r.Agent, r.Outcome, r.Error)
		} else {
			fmt.Fprintf(a.stdout, "%s: %s\n", r.Agent, r.Outcome)
		}
	}
}

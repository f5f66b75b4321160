package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

func (a *app) addHealthcheck(k *kingpin.Application, register func(*kingpin.CmdClause, func(context.Context) error)) {
	c := k.Command("healthcheck", "Ask a running stoker whether it is healthy, for containers: their image has no other client.")
	address := c.Flag("url", "Base URL of its web listener.").Default("http://127.0.0.1:9096").String()
	a.httpConfigFlag(c)
	ready := c.Flag("ready", "Ask whether every server has a checked live release instead.").Bool()
	register(c, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		url := strings.TrimSuffix(*address, "/") + "/-/healthy"
		if *ready {
			url = strings.TrimSuffix(*address, "/") + "/-/ready"
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return usageError{err}
		}
		client, err := a.client()
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil {
			return err
		}
		if hint := httpConfigHint(resp.StatusCode); hint != "" {
			return fmt.Errorf("GET %s: %s%s", url, resp.Status, hint)
		}
		fmt.Fprint(a.stdout, string(body))
		if resp.StatusCode != http.StatusOK {
			return errProblems
		}
		return nil
	})
}

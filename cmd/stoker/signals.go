package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// signals returns a context that ends with the first SIGTERM or SIGINT. A second one ends the process.
func (a *app) signals() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		select {
		case <-c:
			signal.Stop(c)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(c); cancel() }
}

// hangups calls fn for every SIGHUP until ctx ends. From the moment it returns SIGHUP no longer kills.
func hangups(ctx context.Context, fn func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	go func() {
		defer signal.Stop(c)
		for {
			select {
			case <-c:
				fn()
			case <-ctx.Done():
				return
			}
		}
	}()
}

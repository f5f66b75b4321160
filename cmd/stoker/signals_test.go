package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

func signalSelf(t *testing.T, s os.Signal) {
	t.Helper()
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Signal(s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSIGHUPSyncs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := make(chan struct{}, 1)
	hangups(ctx, func() { calls <- struct{}{} })
	for range 3 {
		signalSelf(t, syscall.SIGHUP)
		select {
		case <-calls:
		case <-time.After(patience):
			t.Fatal("SIGHUP did nothing")
		}
	}
}

func TestSIGTERMEndsTheContext(t *testing.T) {
	ctx, stop := (&app{}).signals()
	defer stop()
	signalSelf(t, syscall.SIGTERM)
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("SIGTERM did nothing")
	}
}

// Command demo shows on one machine what stoker does: a simulated network whose nodes become targets, an
// operator's contact that arrives as a file, and that operator, and nobody else, being told when the node
// goes down.
//
// Network, nodes and inbox are simulated, in this process. Prometheus, Alertmanager and stoker are the real
// programs. "make demo" builds them and starts this. Everything listens on free ports of the loopback
// interface, and every node has a loopback address of its own, which needs Linux: only there is all of
// 127.0.0.0/8 this machine.
//
// Ctrl-C ends everything that it started, and what that wrote is removed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	// A second signal ends the process at once, and the kernel its children.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout))
}

// run shows the demo and returns the exit code.
func run(ctx context.Context, args []string, out io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(out)
	var (
		stoker = flags.String("stoker", "bin/stoker", "the stoker program")
		calm   = flags.Duration("calm", time.Minute, "how long all nodes are up before one goes down")
		exit   = flags.Bool("exit-when-told", false, "exit when the story has been told, with 1 if it went wrong")
	)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}

	stage := newStage(ctx, out)
	err := stage.play(func() {
		story := prepare(stage, *stoker)
		story.tell(*calm)
		if !*exit {
			stage.say("everything keeps running: change a file in %s and watch. Ctrl-C ends it", story.dir)
			<-ctx.Done()
		}
	})
	switch {
	case errors.Is(err, context.Canceled):
		return 0 // Ctrl-C is the way to end it
	case err != nil:
		fmt.Fprintf(out, "\ndemo: %v\n", err)
		return 1
	}
	return 0
}

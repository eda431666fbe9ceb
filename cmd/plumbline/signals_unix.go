//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// onSignals calls hangup for SIGHUP and user for SIGUSR1, until ctx ends.
func onSignals(ctx context.Context, hangup, user func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s == syscall.SIGHUP {
				hangup()
			} else {
				user()
			}
		}
	}
}

//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// catchSignals keeps SIGHUP and SIGUSR1 from ending the program, from its first moment on; onSignals acts on them.
func catchSignals() (signals chan os.Signal, stop func()) {
	signals = make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	return signals, func() { signal.Stop(signals) }
}

// onSignals calls hangup for SIGHUP and user for SIGUSR1, until ctx ends.
func onSignals(ctx context.Context, signals <-chan os.Signal, hangup, user func()) {
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

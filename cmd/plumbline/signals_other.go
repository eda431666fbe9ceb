//go:build !unix

package main

import (
	"context"
	"os"
)

// catchSignals does nothing: there are no such signals here.
func catchSignals() (signals chan os.Signal, stop func()) { return nil, func() {} }

// onSignals waits.
func onSignals(ctx context.Context, _ <-chan os.Signal, _, _ func()) { <-ctx.Done() }

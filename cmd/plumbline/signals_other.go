//go:build !unix

package main

import "context"

// onSignals waits: there are no such signals here.
func onSignals(ctx context.Context, _, _ func()) { <-ctx.Done() }

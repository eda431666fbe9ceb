package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// figure prints what a test has measured of a row of docs/reliability.tsv, in the form that .ci/reliability collects.
func figure(t *testing.T, row, format string, args ...any) {
	t.Helper()
	t.Logf("figure %s: "+format, append([]any{row}, args...)...)
}

// long tells whether tests are to take their time, and picks one of two numbers by that.
func long(short, long int) int {
	if os.Getenv("LONG_TESTS") != "" {
		return long
	}
	return short
}

// dice are thrown alike for one PLUMBLINE_TEST_SEED; without one, anew each time.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("PLUMBLINE_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PLUMBLINE_TEST_SEED=%d throws these dice again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// moment waits for a while that the dice choose.
func moment(d *rand.Rand, least, most time.Duration) {
	time.Sleep(least + time.Duration(d.Int64N(int64(most-least)+1)))
}

// project is the name of a commit, so that a later one is greater.
func project(n int) string { return fmt.Sprintf("k%04d", n) }

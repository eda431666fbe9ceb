package sync

import (
	"strings"
	"sync/atomic"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 1000} {
		done := make([]atomic.Int32, n)
		spread(n, func(i int) { done[i].Add(1) })
		for i := range done {
			if times := done[i].Load(); times != 1 {
				t.Fatalf("of %d, number %d was done %d times", n, i, times)
			}
		}
	}
}

// TestSpreadPanics checks that a bug is the caller's, who may survive it.
func TestSpreadPanics(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "a bug") || !strings.Contains(err.Error(), "spread_test.go") {
			t.Errorf("got %v, and wanted the panic with its stack", err)
		}
	}()
	spread(100, func(i int) {
		if i == 50 {
			panic("a bug")
		}
	})
}

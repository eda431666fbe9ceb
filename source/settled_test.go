package source

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// settled returns the number of goroutines and open files, once good says so, or after a while without good.
func settled(t testing.TB, good func(routines, files int) bool) (routines, files int) {
	t.Helper()
	for range 100 {
		runtime.GC() // closes files that were forgotten: they are the library's, and must not add up
		routines = runtime.NumGoroutine()
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("counts descriptors in /proc")
		}
		files = len(open)
		if good != nil && good(routines, files) {
			return routines, files
		}
		time.Sleep(20 * time.Millisecond)
		if good == nil {
			good = func(r, f int) bool { return r == routines && f == files }
		}
	}
	t.Errorf("%d goroutines and %d files are still there", routines, files)
	return routines, files
}

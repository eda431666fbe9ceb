package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// How the stream of events behaves. Looking is a comparison of a few pointers while nothing is new.
const (
	eventLook = time.Second      // how often a stream looks for news
	eventBeat = 25 * time.Second // how often it speaks at least: it shows that targets are looked at, and proxies keep it open
	maxEvents = 64               // streams at once
)

// events streams the version of what the pages show, as server-sent events: one at the start and one each time that
// something is new. Whoever listens then asks for what it shows. Between them it says now and then when each target was
// looked at last: an event looked, with a time for each target's name.
func (a *admin) events(w http.ResponseWriter, r *http.Request) {
	if a.streams.Add(1) > maxEvents {
		a.streams.Add(-1)
		http.Error(w, "too many pages listen already; reload to see what is new", http.StatusServiceUnavailable)
		return
	}
	defer a.streams.Add(-1)
	control := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		// The server's own deadline is for answers that end. Where none can be set, there is none.
		if err := control.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return false
		}
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && control.Flush() == nil
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	told, spoke := "", time.Time{}
	look := time.NewTicker(eventLook)
	defer look.Stop()
	for {
		if version := a.version(); version != told {
			if !send("event: version\ndata: %s\n\n", version) {
				return
			}
			told = version
		}
		if time.Since(spoke) >= eventBeat {
			times, err := json.Marshal(a.looked())
			if err != nil || !send("event: looked\ndata: %s\n\n", times) {
				return
			}
			spoke = time.Now()
		}
		select {
		case <-r.Context().Done():
			return
		case <-a.Stopping:
			return
		case <-look.C:
		}
	}
}

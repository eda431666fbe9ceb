package web_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/plumbline/plumbline/web"
)

// TestServeFinishes ends serving in the middle of a request, which is to be answered, while new ones find nobody.
func TestServeFinishes(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		if r.Context().Err() != nil {
			t.Error("the request was cancelled within the grace")
		}
		io.WriteString(w, "done")
	})
	for _, grace := range []time.Duration{time.Minute, -1} {
		entered, leave = make(chan struct{}), make(chan struct{})
		addr, stop := start(t, handler, web.ServeConfig{Grace: grace})
		var group sync.WaitGroup
		group.Go(func() {
			if a := do(t, client(t), "GET", "http://"+addr, nil, nil); a.text != "done" {
				t.Errorf("answered %q", a.text)
			}
		})
		<-entered
		group.Go(func() {
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
		for refused := false; !refused; {
			c, err := net.Dial("tcp", addr)
			refused = err != nil
			if c != nil {
				c.Close()
			}
		}
		close(leave)
		group.Wait()
	}
}

// TestServeCutsOff ends serving while a handler would go on for ever.
func TestServeCutsOff(t *testing.T) {
	entered := make(chan struct{})
	addr, stop := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), web.ServeConfig{Grace: time.Millisecond})
	var group sync.WaitGroup
	group.Go(func() {
		if response, err := client(t).Get("http://" + addr); err == nil {
			response.Body.Close()
			t.Error("the request was answered")
		}
	})
	<-entered
	if err := stop(); err != nil {
		t.Errorf("cut off: %v", err)
	}
	group.Wait()
}

type brokenListener struct{ net.Listener }

func (brokenListener) Accept() (net.Conn, error) { return nil, errors.New("out of order") }

// TestServeFails wants an error only where the listener breaks, and the listener closed in any case.
func TestServeFails(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := web.Serve(t.Context(), brokenListener{listener}, http.NotFoundHandler(), web.ServeConfig{}); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("a broken listener: %v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := web.Serve(ended, listener, http.NotFoundHandler(), web.ServeConfig{}); err != nil {
		t.Errorf("a ctx that has ended: %v", err)
	}
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

// TestConnections opens more connections than there may be, and wants the others to wait and then be served.
func TestConnections(t *testing.T) {
	const most, all = 3, 20
	var now, peak atomic.Int32
	leave := make(chan struct{})
	entered := make(chan struct{}, all)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		peak.Store(max(peak.Load(), now.Add(1))) // only ever raised by what a handler saw, so never too high
		entered <- struct{}{}
		<-leave
		now.Add(-1)
		w.WriteHeader(http.StatusNoContent)
	})
	addr, stop := start(t, handler, web.ServeConfig{MaxConns: most})
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var group sync.WaitGroup
	for range all {
		group.Go(func() {
			if a := do(t, c, "GET", "http://"+addr, nil, nil); a.status != http.StatusNoContent {
				t.Errorf("answered %d", a.status)
			}
		})
	}
	for range most {
		<-entered
	}
	select {
	case <-entered:
		t.Error("one more than may be")
	case <-time.After(50 * time.Millisecond):
	}
	close(leave)
	group.Wait()
	if peak.Load() != most {
		t.Errorf("%d at once, want %d", peak.Load(), most)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestServeEndsWhenFull ends serving while all slots are taken by clients that say nothing, so that Accept waits.
func TestServeEndsWhenFull(t *testing.T) {
	addr, stop := start(t, http.NotFoundHandler(), web.ServeConfig{MaxConns: 2, Grace: time.Millisecond})
	for range 4 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestServeComplains wants what net/http says of clients at debug, and a panic of a handler to cost one request.
func TestServeComplains(t *testing.T) {
	log, logged := observed()
	addr, stop := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }), web.ServeConfig{Log: log})
	for range 2 {
		if line := raw(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", nil); line != "" {
			t.Errorf("answered %q", line)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if text := logged(); strings.Count(text, "a bug") != 2 || strings.Count(text, "\ndebug")+strings.Count(text, "debug http") < 2 {
		t.Errorf("logged:\n%s", text)
	}
}

// TestNoBounds serves a handler that takes longer than others may.
func TestNoBounds(t *testing.T) {
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(50 * time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	})
	request := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	if line := raw(t, listen(t, slow, web.ServeConfig{HeaderTimeout: -1, ReadTimeout: -1, WriteTimeout: -1, IdleTimeout: -1, MaxConns: -1}), request, nil); !strings.Contains(line, " 204 ") {
		t.Errorf("without bounds: %q", line)
	}
	if line := raw(t, listen(t, slow, web.ServeConfig{WriteTimeout: time.Millisecond}), request, nil); line != "" {
		t.Errorf("with a bound: %q", line)
	}
}

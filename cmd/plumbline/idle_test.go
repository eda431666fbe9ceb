package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestIdlePage keeps the stream of a page open while passes find nothing new: nothing is sent on it after the first word, so an
// open page asks for nothing. It tells what that costs the daemon beside no page at all, at a thousand pipelines in each of two
// regions. It takes two minutes and a half, and is made with LONG_TESTS only.
func TestIdlePage(t *testing.T) {
	if os.Getenv("LONG_TESTS") == "" {
		t.Skip("it takes minutes; LONG_TESTS=1 runs it")
	}
	const names, span = 1000, time.Minute
	config := strings.Replace(siteConfig, "drift: {interval: 1s}", "drift: {interval: 10s}", 1)
	s := newSite(t, config)
	var all []string
	for i := range names {
		all = append(all, fmt.Sprintf("p%04d", i))
	}
	s.commit(all, "one")
	s.start()
	admin := s.address(adminPurpose)
	s.eventually("the fleet is live", func() bool {
		_, body := s.get(admin + "/api/v1/pipelines?limit=1&q=state:synced")
		return strings.Contains(body, fmt.Sprintf(`"total":%d,`, 2*names))
	})
	time.Sleep(3 * time.Second) // what their first executions bring is over

	without := s.spent(span)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, admin+"/api/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	news := make(chan struct{}, 100)
	looked := make(chan struct{}, 100)
	lines := bufio.NewScanner(resp.Body)
	go func() {
		for lines.Scan() {
			switch {
			case lines.Text() == "event: version":
				news <- struct{}{}
			case strings.HasPrefix(lines.Text(), `data: {"eu-west-1":"2`):
				looked <- struct{}{}
			}
		}
	}()
	with := s.spent(span)
	if n := len(news); n != 1 {
		t.Errorf("%d versions were told while nothing was new", n)
	}
	select {
	case <-looked:
	default:
		t.Error("it does not say when the targets were looked at")
	}
	t.Logf("%d pipelines, %s each: %s of CPU without a page, %s with one", 2*names, span, without, with)
}

// spent returns how much CPU the daemon takes in a while; 0 where the system does not tell.
func (s *site) spent(within time.Duration) time.Duration {
	before := s.cpu()
	time.Sleep(within)
	return s.cpu() - before
}

func (s *site) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime (man 5 proc), in hundredths of a second
		n, err := strconv.Atoi(field)
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

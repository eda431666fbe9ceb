//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestStorm floods a daemon on both of its listeners at once: webhooks forged and real, 50 scrapers, clients that send
// slowly, read slowly or never end, while a fleet is synced. It stays alive by its own account, looks at its source no
// more often than it may, and holds no more afterwards than before. The storm lasts 3 seconds, a minute with LONG_TESTS.
func TestStorm(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed, so there is no git server")
	}
	if testing.Short() {
		t.Skip("a storm takes a machine that has nothing else to do: not with -short, as under the race detector")
	}
	length := 3 * time.Second
	if os.Getenv("LONG_TESTS") != "" {
		length = time.Minute
	}
	s := newSite(t, "")
	var fetches atomic.Int64
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/info/refs") {
			fetches.Add(1)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	config := strings.Replace(siteConfig, "source: {url: repo, name: team, interval: 1s}",
		"source: {url: "+server.URL+"/repo, name: team, interval: 1h, webhook: {secretFile: secret}}", 1)
	s.write("plumbline.yaml", strings.Replace(config, `web: {listen: "127.0.0.1:0"}`, `web: {listen: "127.0.0.1:0", webhookListen: "127.0.0.1:0"}`, 1))
	s.write("secret", "hush\n")
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("p%02d", i)
	}
	s.commit(names, "one")
	s.start()
	s.eventually("the fleet is live", s.isLive(names[len(names)-1], "one"))
	st := &storm{t: t, admin: s.address("status, health and metrics"), hooks: s.address("webhooks"), counts: map[string]int{}}
	st.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 200}, Timeout: time.Minute}
	defer st.client.CloseIdleConnections()

	st.rage(t.Context(), length/3) // what is made once, is made now
	time.Sleep(time.Second)
	before, fetched := st.metrics(), fetches.Load()
	began := time.Now()
	s.commit(names, "two")
	st.rage(t.Context(), length)
	lasted := time.Since(began)

	// One in five seconds, the first at once. The commit is fetched besides, and before the first change that it asks for in each
	// of two targets, and a minute later, the daemon looks whether it is still the newest.
	if most := int64(lasted/(5*time.Second)) + 1 + 1 + 2*2; fetches.Load()-fetched > most {
		t.Errorf("the source was looked at %d times in %v, at most %d are allowed", fetches.Load()-fetched, lasted, most)
	}
	s.eventually("what was committed in the storm is live", s.isLive(names[len(names)-1], "two"))
	room := map[string]float64{"go_goroutines": 20, "process_open_fds": 20, "process_resident_memory_bytes": 64 << 20, "go_memstats_heap_inuse_bytes": 32 << 20}
	calm := func() (grown string) {
		after := st.metrics()
		for name, room := range room {
			if after[name] > before[name]+room {
				grown += fmt.Sprintf("%s grew from %.0f to %.0f\n", name, before[name], after[name])
			}
		}
		return grown
	}
	st.client.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); calm() != "" && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
	}
	if grown := calm(); grown != "" {
		t.Error(grown)
	}
	after := st.metrics()
	for name := range room {
		t.Logf("%s: %.0f before, %.0f after", name, before[name], after[name])
	}
	figure(t, "H1", "%v of forged, real, endless and slow requests and scrapes: %d answered; slowest /healthz %v (asked %d times); looks at the source = %d", lasted.Round(time.Second),
		st.counts["forged 401"]+st.counts["forged 429"]+st.counts["real 202"]+st.counts["metrics 200"]+st.counts["endless 413"], st.slowest.Round(time.Millisecond), st.counts["healthz 200"], fetches.Load()-fetched)
	t.Logf("in %v: %v; slowest answer of /healthz %v; %d looks at the source", lasted, st.counts, st.slowest, fetches.Load()-fetched)
	if st.counts["healthz 200"] < 10 || st.counts["forged 401"]+st.counts["forged 429"] < 100 || st.counts["real 202"] == 0 || st.counts["metrics 200"] < 50 {
		t.Error("there was hardly a storm")
	}
	for what, n := range st.counts {
		switch what {
		case "healthz 200", "forged 401", "forged 429", "real 202", "metrics 200", "metrics 503", "status 200", "endless 413", "endless 429", "endless cut", "slow":
		default:
			t.Errorf("%d times: %s", n, what)
		}
	}
	if peak := resident(t, s.cmd.Process.Pid); peak > 0 {
		calm := before["process_resident_memory_bytes"] / (1 << 20)
		figure(t, "S16", "most memory in the storm %.0f MiB, %.0f MiB before it", peak, calm)
		if most := calm + 128; peak > most {
			t.Errorf("%.0f MiB were resident, at most %.0f may be", peak, most)
		}
	}
	if code := s.kill(syscall.SIGTERM); code != exitDone {
		t.Errorf("the exit code is %d", code)
	}
	if lines := strings.Count(s.log.String(), "\n"); lines > 100+2*len(names)*2 {
		t.Errorf("the log has %d lines", lines)
	}
}

// resident returns how much memory a process has had at most, in MiB, and begins anew; 0 where the system does not tell. What
// wait4 tells of a child counts what the parent had when it was made.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		return 0
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600) // where it may not be, what was stays counted
	return float64(kib) / 1024
}

// storm is many clients, most of them bad.
type storm struct {
	t            *testing.T
	admin, hooks string
	client       *http.Client

	mu      sync.Mutex
	counts  map[string]int // :: what was asked and answered → how often
	slowest time.Duration  // answer of /healthz
}

func (st *storm) count(what string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.counts[what]++
}

// rage lets everything loose, and returns when all of it is over.
func (st *storm) rage(ctx context.Context, length time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var group sync.WaitGroup
	many := func(n int, do func()) {
		for range n {
			group.Go(func() {
				for ctx.Err() == nil {
					do()
				}
			})
		}
	}
	many(10, func() { st.hook(ctx, "forged", "guess") })
	many(2, func() { st.hook(ctx, "real", "hush") })
	many(50, func() { st.ask(ctx, "metrics", "GET", st.admin+"/metrics", nil, nil); pause(ctx, 100*time.Millisecond) })
	many(5, func() {
		st.ask(ctx, "status", "GET", st.admin+"/api/v1/status", nil, nil)
		pause(ctx, 100*time.Millisecond)
	})
	many(3, func() { st.endless(ctx) })
	many(1, func() {
		start := time.Now()
		st.ask(ctx, "healthz", "GET", st.admin+"/healthz", nil, nil)
		st.slowest = max(st.slowest, time.Since(start)) // of one goroutine
		pause(ctx, 50*time.Millisecond)
	})
	for _, text := range []string{"", "POST /webhooks/team HTTP/1.1\r\nHost: x\r\nX-A: ", "POST /webhooks/team HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: hush\r\nContent-Length: 1000\r\n\r\nx"} {
		for range 20 {
			group.Go(func() { st.slow(ctx, st.hooks, text) })
		}
	}
	for _, text := range []string{"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "GET /healthz HTTP/1.1\r\n", "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n"} {
		for range 20 {
			group.Go(func() { st.slow(ctx, st.admin, text) })
		}
	}
	group.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (st *storm) hook(ctx context.Context, what, secret string) {
	body := []byte(`{"ref":"refs/heads/main"}`)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	st.ask(ctx, what, "POST", st.hooks+"/webhooks/team", http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}, bytes.NewReader(body))
}

// endless sends a signed body that goes on for as long as it is taken.
func (st *storm) endless(ctx context.Context) {
	st.ask(ctx, "endless", "POST", st.hooks+"/webhooks/team", http.Header{"X-Hub-Signature-256": {"sha256=" + strings.Repeat("0", 64)}}, forever{})
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return len(p), nil }

func (st *storm) ask(ctx context.Context, what, method, url string, header http.Header, body io.Reader) {
	r, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		st.t.Error(err)
		return
	}
	if header != nil {
		r.Header = header
	}
	resp, err := st.client.Do(r)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	switch {
	case ctx.Err() != nil: // the storm is over
	case err != nil && what == "endless": // cut off before the answer could be read
		st.count("endless cut")
	case err != nil:
		st.count(what + ": " + err.Error())
	default:
		st.count(fmt.Sprintf("%s %d", what, resp.StatusCode))
	}
}

// slow sends text and then nothing, and reads nothing, until the storm is over.
func (st *storm) slow(ctx context.Context, url, text string) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		if ctx.Err() == nil {
			st.count("slow: " + err.Error())
		}
		return
	}
	defer c.Close()
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	_, _ = io.WriteString(c, text)
	st.count("slow")
	<-ctx.Done()
}

// metrics are the values of the series without labels, as Prometheus takes them.
func (st *storm) metrics() map[string]float64 {
	st.t.Helper()
	var body []byte
	for status := 0; status != http.StatusOK; time.Sleep(50 * time.Millisecond) { // more scrapes than may be at once are refused
		resp, err := st.client.Get(st.admin + "/metrics")
		if err != nil {
			st.t.Fatal(err)
		}
		status = resp.StatusCode
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			st.t.Fatal(err)
		}
	}
	values := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		var v float64
		if _, err := fmt.Sscan(value, &v); err == nil {
			values[name] = v
		}
	}
	return values
}

// TestSlowClients lets ten thousand clients connect to the webhooks, and fifty to the pages, that send nothing, or half of a
// header, or half of a body: there are never more descriptors than the places for connections, /healthz answers, and afterwards a
// webhook is taken and all is as before.
func TestSlowClients(t *testing.T) {
	if long(0, 1) == 0 {
		t.Skip("it takes half a minute, and as many descriptors as clients; LONG_TESTS=1 runs it")
	}
	const clients, length = 10_000, 30 * time.Second
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < clients+1000 {
		t.Skipf("the limit of open files is %d, and %d clients are wanted: %v", limit.Cur, clients, err)
	}
	s := newSite(t, "")
	config := strings.Replace(siteConfig, "interval: 1s}", "interval: 1s, webhook: {secretFile: secret}}", 1)
	s.write("plumbline.yaml", strings.Replace(config, `web: {listen: "127.0.0.1:0"}`, `web: {listen: "127.0.0.1:0", webhookListen: "127.0.0.1:0"}`, 1))
	s.write("secret", "hush\n")
	s.commit([]string{"web"}, "one")
	s.start()
	s.eventually("the pipeline is live", s.isLive("web", "one"))
	st := &storm{t: t, admin: s.address("status, health and metrics"), hooks: s.address("webhooks"), counts: map[string]int{}}
	st.client = &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
	before := st.metrics()

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var group sync.WaitGroup
	for i := range clients {
		text := []string{"", "POST /webhooks/team HTTP/1.1\r\nHost: x\r\nX-A: ", "POST /webhooks/team HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: hush\r\nContent-Length: 1000\r\n\r\nx"}[i%3]
		group.Go(func() { st.slow(ctx, st.hooks, text) })
	}
	for range 50 { // those of the pages have fewer places to take, and /healthz wants one
		group.Go(func() { st.slow(ctx, st.admin, "GET /") })
	}
	var took []time.Duration
	var most float64
	for ctx.Err() == nil {
		start := time.Now()
		if code, text := s.get(st.admin + "/healthz"); code != http.StatusOK {
			t.Errorf("it is not well: %d %s", code, text)
		}
		took = append(took, time.Since(start))
		most = max(most, st.metrics()["process_open_fds"])
		pause(ctx, 50*time.Millisecond)
	}
	s.commit([]string{"web"}, "two")
	s.eventually("what was committed meanwhile is live", s.isLive("web", "two"))
	group.Wait()
	slices.Sort(took)
	figure(t, "H5", "slow clients = %d, of which connected at some time = %d; /healthz p99 %v, asked %d times; most descriptors %.0f, before %.0f",
		clients+50, st.counts["slow"], took[len(took)*99/100].Round(time.Millisecond), len(took), most, before["process_open_fds"])
	if most > before["process_open_fds"]+2*256+50 {
		t.Errorf("%.0f descriptors were open, %.0f before", most, before["process_open_fds"])
	}
	s.eventually("a webhook is taken", func() bool {
		st.hook(t.Context(), "real", "hush")
		return st.counts["real 202"] > 0
	})
	s.eventually("the places are free again", func() bool { return st.metrics()["process_open_fds"] < before["process_open_fds"]+20 })
}

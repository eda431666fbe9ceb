package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/plumbline/plumbline/emulator"
)

const (
	controlPath = "/_bench/"
	burst       = 4 // calls that the bucket of a throttled region holds, as many as it gets in a second at the rate of the tables
)

// conditions are how the AWS of a measurement behaves.
type conditions struct {
	Latency time.Duration // of each call
	Rate    float64       // calls a second and region of CodePipeline, beyond which it throttles; 0 for any number
}

// traffic is what has arrived.
type traffic struct {
	Calls     map[string]int // :: operation → calls, those that were throttled included
	Throttled int
}

func (t traffic) sum() (n int) {
	for _, calls := range t.Calls {
		n += calls
	}
	return n
}

// front stands before the emulator: it delays, counts and throttles the calls of everybody alike.
type front struct {
	aws *emulator.Server

	mu      sync.Mutex
	changed *sync.Cond // told of each call that was answered
	conditions
	buckets  map[string]*rate.Limiter // :: access key, region and service
	traffic  traffic
	answered map[string]int // :: operation → calls that were answered, not throttled
}

// serveAWS serves an emulator on a port of its own, whose address is its first line, until its input ends or ctx does.
func serveAWS(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newFront(), ReadHeaderTimeout: time.Minute}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() { // whoever started this process holds the other end, and may be killed
		_, _ = io.Copy(io.Discard, stdin)
		server.Close()
	}()
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newFront() *front {
	f := &front{aws: emulator.New(emulator.Options{})}
	f.changed = sync.NewCond(&f.mu)
	f.set(conditions{})
	return f
}

func (f *front) set(c conditions) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conditions = c
	f.buckets = map[string]*rate.Limiter{}
	f.traffic = traffic{Calls: map[string]int{}}
	f.answered = map[string]int{}
}

// ServeHTTP answers calls of AWS as the conditions say, below controlPath the bench itself, and below its direct/ calls
// that are neither counted nor delayed.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch rest, ours := strings.CutPrefix(r.URL.Path, controlPath); {
	case !ours:
		f.call(w, r)
	case rest == "conditions":
		var c conditions
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		f.set(c)
	case rest == "traffic":
		f.mu.Lock()
		defer f.mu.Unlock()
		_ = json.NewEncoder(w).Encode(f.traffic)
	case rest == "await":
		f.await(w, r)
	default:
		r.URL.Path = strings.TrimPrefix(rest, "direct")
		f.aws.ServeHTTP(w, r)
	}
}

func (f *front) call(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	operation := target[strings.LastIndexByte(target, '.')+1:]
	if operation == "" {
		operation = "STS" // the one service here that says it in the body
	}
	wait, throttled := f.admit(r, operation)
	select {
	case <-time.After(wait):
	case <-r.Context().Done():
		return
	}
	if throttled {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Errortype", "ThrottlingException")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
		return
	}
	f.aws.ServeHTTP(w, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered[operation]++
	f.changed.Broadcast()
}

// admit counts a call and says how long it takes and whether it is refused.
func (f *front) admit(r *http.Request, operation string) (wait time.Duration, throttled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.traffic.Calls[operation]++
	if f.Rate > 0 && operation != "STS" {
		who := whose(r)
		if f.buckets[who] == nil {
			f.buckets[who] = rate.NewLimiter(rate.Limit(f.Rate), burst)
		}
		throttled = !f.buckets[who].Allow()
	}
	if throttled {
		f.traffic.Throttled++
	}
	return f.Latency, throttled
}

// whose returns the access key, region and service of a request, of which each has an allowance of its own.
func whose(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	credential, _, _ = strings.Cut(credential, ",")
	parts := strings.Split(credential, "/") // key, day, region, service, aws4_request
	if len(parts) != 5 {
		return credential
	}
	return strings.Join([]string{parts[0], parts[2], parts[3]}, "/")
}

// await answers when calls of an operation have been answered count times, with the moment at which the last one was.
func (f *front) await(w http.ResponseWriter, r *http.Request) {
	var want struct {
		Operation string
		Count     int
	}
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stop := context.AfterFunc(r.Context(), func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed.Broadcast()
	})
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.answered[want.Operation] < want.Count && r.Context().Err() == nil {
		f.changed.Wait()
	}
	_ = json.NewEncoder(w).Encode(time.Now())
}

// account is the AWS of one measurement, a process of its own.
type account struct {
	url     string
	process *exec.Cmd
	stdin   io.Closer
}

func (b *bench) startAWS(ctx context.Context) (*account, error) {
	cmd := exec.CommandContext(ctx, b.self)
	cmd.Env = append(os.Environ(), roleVariable+"=aws")
	cmd.Stderr = b.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	a := &account{url: strings.TrimSpace(line), process: cmd, stdin: stdin}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the emulator did not start: %w", err), a.stop())
	}
	return a, nil
}

func (a *account) stop() error {
	return errors.Join(a.stdin.Close(), a.process.Wait())
}

// set changes how it behaves and forgets what it has counted.
func (a *account) set(ctx context.Context, c conditions) error {
	return a.control(ctx, "conditions", c, nil)
}

func (a *account) traffic(ctx context.Context) (t traffic, err error) {
	err = a.control(ctx, "traffic", nil, &t)
	return t, err
}

// await waits until calls of an operation have been answered count times.
func (a *account) await(ctx context.Context, operation string, count int) (at time.Time, err error) {
	err = a.control(ctx, "await", map[string]any{"Operation": operation, "Count": count}, &at)
	return at, err
}

// settle waits until less than a call arrives in ten milliseconds, a minute at most.
func (a *account) settle(ctx context.Context) error {
	last := -100
	for range 60 {
		t, err := a.traffic(ctx)
		if err != nil || t.sum()-last < 100 {
			return err
		}
		last = t.sum()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("there is no rest: %d calls have arrived", last)
}

func (a *account) control(ctx context.Context, path string, body, answer any) error {
	return post(ctx, a.url+controlPath+path, nil, body, answer)
}

// direct makes a call of CodePipeline that is neither counted nor delayed.
func (a *account) direct(ctx context.Context, region, operation string, body, answer any) error {
	return post(ctx, a.url+controlPath+"direct/", map[string]string{
		"X-Amz-Target": "CodePipeline_20150709." + operation, "Content-Type": "application/x-amz-json-1.1",
		"Authorization": "AWS4-HMAC-SHA256 Credential=" + accessKey + "/20260101/" + region + "/codepipeline/aws4_request, SignedHeaders=host, Signature=0",
	}, body, answer)
}

func post(ctx context.Context, url string, header map[string]string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	for key, value := range maps.All(header) {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err = io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode > 299 {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

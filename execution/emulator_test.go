package execution

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
)

// inMemory sends requests to the emulator without sockets, which simulated time does not wait for.
type inMemory struct{ *emulator.Server }

func (m inMemory) Do(req *http.Request) (resp *http.Response, err error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	defer func() { // the emulator hangs up on whoever has gone
		switch p := recover().(type) {
		case nil:
		case error:
			if !errors.Is(p, http.ErrAbortHandler) {
				panic(p)
			}
			err = io.ErrUnexpectedEOF
		default:
			panic(p)
		}
	}()
	rec := httptest.NewRecorder()
	m.ServeHTTP(rec, req)
	return rec.Result(), nil
}

// ask makes a call that this program never makes, and returns its status.
func (m inMemory) ask(t *testing.T, operation, body string) int {
	req := httptest.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader(body))
	req.Header.Set("X-Amz-Target", "CodePipeline_20150709."+operation)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+testAccount+"/20260101/"+testRegion+"/codepipeline/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := m.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (m inMemory) config() live.Config {
	return live.Config{
		Region: testRegion, EndpointURL: "http://localhost", HTTPClient: m, RequestsPerSecond: 100,
		Credentials: credentials.NewStaticCredentialsProvider(testAccount, "test", ""),
	}
}

// TestWeekOverTheWire counts a day of executions over the real SDK, with the emulator for AWS: all modes, restarts,
// throttling, retries, and events that come twice, late and out of order. LONG_TESTS makes it a week of 10,000 in
// 200 pipelines.
func TestWeekOverTheWire(t *testing.T) {
	pipelines, runs, length := 12, 250, 30*time.Hour
	if os.Getenv("LONG_TESTS") != "" {
		pipelines, runs, length = 200, 10_000, 7*24*time.Hour
	}
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(11, 1))
		aws := inMemory{emulator.New(emulator.Options{ActionDuration: 3 * time.Minute})}
		modes := []string{"SUPERSEDED", "QUEUED", "PARALLEL"}
		name := func(i int) string { return fmt.Sprintf("pipe-%03d", i) }
		for i := range pipelines {
			document := fmt.Sprintf(`{"pipeline":{"name":%q,"pipelineType":"V2","executionMode":%q,"roleArn":"arn:aws:iam::111122223333:role/p",
				"artifactStore":{"type":"S3","location":"artifacts"},"stages":[
				{"name":"Source","actions":[{"name":"Code","actionTypeId":{"category":"Source","owner":"AWS","provider":"S3","version":"1"},
				"configuration":{"S3Bucket":"b","S3ObjectKey":"k","PollForSourceChanges":"false"},"outputArtifacts":[{"name":"s"}]}]},
				{"name":"Build","actions":[{"name":"Make","actionTypeId":{"category":"Build","owner":"AWS","provider":"CodeBuild","version":"1"},
				"configuration":{"ProjectName":"p"},"inputArtifacts":[{"name":"s"}]}]}]}}`, name(i), modes[i%3])
			if status := aws.ask(t, "CreatePipeline", document); status != http.StatusOK {
				t.Fatal(status)
			}
		}
		reader, err := live.NewReader(t.Context(), aws.config())
		if err != nil {
			t.Fatal(err)
		}
		queue, err := live.NewQueue(t.Context(), aws.config(), "https://sqs.eu-west-1.amazonaws.com/111122223333/events")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // what the pipelines began with is history
		truth, history := map[string]int{}, map[string]bool{}
		every := func(do func(pipeline string, e live.Execution)) {
			for i := range pipelines {
				found, _, err := reader.ExecutionsUntil(t.Context(), name(i), 10_000, func([]live.Execution) bool { return false })
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range found {
					do(name(i), e)
				}
			}
		}
		every(func(_ string, e live.Execution) { history[e.ID] = true })
		if err := aws.AddEventRule(emulator.EventRule{
			Queue: "arn:aws:sqs:eu-west-1:111122223333:events", Duplicated: .2, Disordered: .25, Late: .1, Delay: 3 * time.Minute, Seed: 3,
		}); err != nil {
			t.Fatal(err)
		}

		c := newTally(t)
		store := journal.NewCounts(t.TempDir())
		begin := func() (stop func()) {
			f := NewFollower(Config{Target: "test", Region: testRegion, Reader: reader, Store: store, RequestsPerSecond: 100, OnReport: c.report})
			inventory, err := reader.Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			f.Pipelines(inventory.Pipelines)
			following, stopFollowing := context.WithCancel(t.Context())
			receiving, stopReceiving := context.WithCancel(t.Context())
			followed, received := make(chan struct{}), make(chan struct{})
			go func() { f.Run(following); close(followed) }()
			go func() {
				NewQueue(QueueConfig{Messages: queue, Followers: []*Follower{f}, Log: zap.NewNop()}).Run(receiving)
				close(received)
			}()
			return func() { stopReceiving(); <-received; stopFollowing(); <-followed }
		}
		stop := begin()
		time.Sleep(10 * time.Minute)
		restart := time.Now().Add(9 * time.Hour)
		for range runs {
			time.Sleep(time.Duration(dice.Int64N(2 * int64(length) / int64(runs))))
			p := name(dice.IntN(pipelines))
			status := []string{"Succeeded", "Succeeded", "Failed"}[dice.IntN(3)]
			if err := aws.Script(emulator.Outcome{Pipeline: p, Stage: "Build", Action: "Make", Status: status}); err != nil {
				t.Fatal(err)
			}
			aws.ask(t, "StartPipelineExecution", `{"name":"`+p+`"}`)
			switch dice.IntN(8) {
			case 0: // somebody retries what failed last
				found, err := reader.Executions(t.Context(), p, 3)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range found {
					if e.Status == "Failed" && !history[e.ID] &&
						aws.ask(t, "RetryStageExecution", fmt.Sprintf(`{"pipelineName":%q,"stageName":"Build","pipelineExecutionId":%q,"retryMode":"FAILED_ACTIONS"}`, p, e.ID)) == http.StatusOK {
						truth[p+" "+e.ID+" Failed"]++
					}
				}
			case 1:
				for _, operation := range []string{"GetPipelineState", "ListPipelineExecutions"} {
					if err := aws.AddFault(emulator.Fault{Operation: operation, Nth: 1, Count: 5, Action: "error"}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				aws.ClearFaults()
			case 2: // the newest is stopped
				if found, err := reader.Executions(t.Context(), p, 1); err == nil && len(found) == 1 {
					aws.ask(t, "StopPipelineExecution", fmt.Sprintf(`{"pipelineName":%q,"pipelineExecutionId":%q,"abandon":true}`, p, found[0].ID))
				}
			}
			if time.Now().After(restart) {
				restart = time.Now().Add(9 * time.Hour)
				stop()
				c.lives = map[string]int{}
				time.Sleep(time.Duration(dice.Int64N(int64(5 * time.Minute))))
				stop = begin()
			}
		}
		time.Sleep(8 * time.Hour)
		stop()
		statuses := map[string]int{}
		every(func(p string, e live.Execution) {
			if !history[e.ID] {
				truth[p+" "+e.ID+" "+e.Status]++
				statuses[e.Status]++
			}
		})
		c.check(truth)
		t.Logf("%d ends, at last %v, %d calls", len(truth), statuses, len(aws.Calls()))
	})
}

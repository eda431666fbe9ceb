package sync

import (
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/pipeline"
)

// wire is an env whose target is the emulator, through the real SDK.
type wire struct {
	*env
	t      *testing.T
	server *emulator.Server
	writer *live.Writer
	http   *httptest.Server
	key    string
}

func newWire(t *testing.T, mode Mode, customActions ...string) *wire {
	t.Helper()
	w := &wire{env: newEnv(t, mode), t: t, server: emulator.New(emulator.Options{CustomActions: customActions, AutoApprove: true}), key: "111122223333"}
	w.http = httptest.NewServer(w.server)
	t.Cleanup(w.http.Close)
	w.connect()
	return w
}

// connect starts from nothing, as a new process does.
func (w *wire) connect() {
	w.t.Helper()
	w.restart()
	r, err := live.NewReader(w.ctx, live.Config{
		Region: "eu-west-1", Account: w.key, EndpointURL: w.http.URL, HTTPClient: w.http.Client(),
		RequestsPerSecond: 1000, Burst: 1000, WritesPerSecond: 1000,
		Credentials: credentials.NewStaticCredentialsProvider(w.key, "secret", ""),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.writer = live.NewWriter(r)
}

// run makes a pass and returns its calls over the wire beside the two listings.
func (w *wire) run(want ...string) map[string]int {
	w.t.Helper()
	w.server.ResetCalls()
	in := w.input()
	in.Target.Live, in.Target.Writer = w.writer, w.writer
	r := Pass(w.ctx, in)
	w.want(r, want...)
	n := map[string]int{}
	for _, c := range w.server.Calls() {
		n[c.Operation]++
	}
	for _, listing := range []string{"ListPipelines", "GetResources"} {
		if n[listing] != 1 {
			w.t.Errorf("%d calls of %s, want 1", n[listing], listing)
		}
		delete(n, listing)
	}
	return n
}

func (w *wire) wantCalls(got map[string]int, want ...string) {
	w.t.Helper()
	var list []string
	for _, op := range slices.Sorted(maps.Keys(got)) {
		for range got[op] {
			list = append(list, op)
		}
	}
	if diff := cmp.Diff(want, list); diff != "" {
		w.t.Errorf("the calls are not as wanted (-want +got):\n%s", diff)
	}
}

// TestOverTheWire takes a pipeline through its life on the emulator, and holds the number of calls to the
// budget of docs/design.md.
func TestOverTheWire(t *testing.T) {
	w := newWire(t, Apply)
	if err := w.server.Script(emulator.Outcome{Stage: "Source", Status: "Running"}); err != nil {
		t.Fatal(err)
	}
	w.commit("web.json", doc{name: "web", key: "k1", top: `"pipelineType":"V2",`}.String())
	w.wantCalls(w.run("web missing; create git applied"), "CreatePipeline", "GetCallerIdentity", "GetPipeline")
	w.wantCalls(w.run("web synced"))

	w.commit("web.json", doc{name: "web", key: "k2", top: `"pipelineType":"V2",`}.String())
	w.wantCalls(w.run("web pending; update git held:busy"), "GetPipeline", "ListPipelineExecutions", "ListTagsForResource")
	if n, err := w.server.Complete(emulator.Outcome{Status: "Succeeded"}); n != 1 || err != nil {
		t.Fatalf("completed %d: %v", n, err)
	}
	w.restart()
	w.wantCalls(w.run("web pending; update git applied"),
		"GetPipeline", "GetPipeline", "ListPipelineExecutions", "ListTagsForResource", "TagResource", "UpdatePipeline")
	w.restart()
	w.wantCalls(w.run("web synced"))

	by, err := w.writer.Pipeline(w.ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	by.Declaration.List("stages")[0].List("actions")[0].Get("configuration").Set("S3ObjectKey", pipeline.NewString("by hand"))
	by.Declaration.Delete("version")
	if _, err := w.writer.Update(w.ctx, by.Declaration); err != nil {
		t.Fatal(err)
	}
	w.wantCalls(w.run("web drifted; update drift held:drift"), "GetPipeline")
	w.mode = Enforce
	if n := w.run("web drifted; update drift applied"); n["UpdatePipeline"] != 1 {
		t.Errorf("%v", n)
	}
	w.connect()
	w.wantCalls(w.run("web synced"), "GetCallerIdentity")
}

// TestDropsOverTheWire loses the replies of writes that happened.
func TestDropsOverTheWire(t *testing.T) {
	w := newWire(t, Enforce)
	for _, operation := range []string{"CreatePipeline", "UpdatePipeline", "TagResource"} {
		if err := w.server.AddFault(emulator.Fault{Operation: operation, Nth: 1, Action: "commit-then-drop"}); err != nil {
			t.Fatal(err)
		}
	}
	w.commit("web.json", web("k1"))
	w.wantCalls(w.run("web missing; create git applied"), "CreatePipeline", "GetCallerIdentity", "GetPipeline", "GetPipeline", "ListTagsForResource")
	w.restart()
	w.wantCalls(w.run("web synced"))

	w.commit("web.json", web("k2"))
	n := w.run("web pending; update git applied")
	if n["UpdatePipeline"] != 1 || n["TagResource"] != 1 {
		t.Errorf("a write was sent twice: %v", n)
	}
	w.restart()
	w.wantCalls(w.run("web synced")) // the record was written, though its reply was lost

	now, err := w.writer.Pipeline(w.ctx, "web")
	if err != nil || now.Version != 2 || !strings.Contains(now.Declaration.String(), "k2") {
		t.Errorf("live is %v, %v", now.Declaration, err)
	}
}

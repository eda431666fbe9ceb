package sync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/live"
)

// TestModel lets people, git and AWS do anything in any order. The invariants hold after every pass; no pass
// in the mode apply touches what a person wrote; nothing foreign is ever touched; and once all is calm, a few
// passes in the mode enforce make live what the files say, and then there is nothing to do.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func(t *testing.T) {
			m := &model{env: &env{fatal: rt.Fatalf, fake: newFake(), repo: &repo{name: "platform"}, memory: &Memory{}, state: t.TempDir(), mode: Apply, ctx: t.Context()}}
			m.open()
			defer func() { m.journal.Close() }()
			theirs := doc{name: "theirs", key: "stack"}.String()
			m.fake.put(theirs)
			m.fake.tagsOf("theirs")["aws:cloudformation:stack-name"] = "shop"
			m.repo.commit(map[string]string{"a.json": modelFile("a", "k1"), "b.json": modelFile("b", "k1"), "theirs.json": doc{name: "theirs", key: "ours"}.String()})

			rt.Repeat(map[string]func(*rapid.T){
				"commit":     m.change,
				"break":      m.breakFile,
				"edit live":  m.editLive,
				"delete":     m.deleteLive,
				"edit tags":  m.editTags,
				"lose reply": m.lose,
				"run":        m.run,
				"restart":    func(*rapid.T) { m.restart() },
				"list late":  m.late,
				"wait":       func(rt *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 400).Draw(rt, "seconds")) * time.Second) },
				"pass":       m.onePass,
				"":           func(*rapid.T) {},
			})
			m.converge()
			if p := m.fake.pipelines["theirs"]; p.version != 1 || len(p.tags) != 1 {
				rt.Fatalf("the foreign pipeline was written: version %d, tags %v", p.version, p.tags)
			}
		})
	})
}

// inBubble runs f in a bubble of its own for each of rapid's tries: were the whole search in one, its own limits
// of time would pass in no time. What rapid throws to end a try is handed through.
func inBubble(t *testing.T, f func(t *testing.T)) {
	var thrown any
	synctest.Test(t, func(t *testing.T) {
		defer func() { thrown = recover() }()
		f(t)
	})
	switch fmt.Sprintf("%T", thrown) {
	case "<nil>":
	case "rapid.invalidData": // rapid tells what it catches by the line that threw
		panic(thrown)
	default:
		panic(thrown)
	}
}

func modelFile(name, key string) string {
	return doc{name: name, key: key, tags: []string{"team=x"}}.String()
}

type model struct {
	*env
	edits int
}

var (
	modelName = rapid.SampledFrom([]string{"a", "b"})
	modelKey  = rapid.SampledFrom([]string{"k1", "k2", "k3"})
)

func (m *model) change(rt *rapid.T) {
	name := modelName.Draw(rt, "name")
	m.commit(name+".json", modelFile(name, modelKey.Draw(rt, "key")))
}

func (m *model) breakFile(rt *rapid.T) {
	m.commit(modelName.Draw(rt, "name")+".json", rapid.SampledFrom([]string{"{", "", `{"name":7}`}).Draw(rt, "content"))
}

func (m *model) editLive(rt *rapid.T) {
	m.edits++
	name := modelName.Draw(rt, "name")
	m.fake.put(modelFile(name, fmt.Sprint("hand", m.edits)))
}

func (m *model) deleteLive(rt *rapid.T) {
	delete(m.fake.pipelines, modelName.Draw(rt, "name"))
	time.Sleep(time.Second) // the next one of that name has another time of creation
}

func (m *model) editTags(rt *rapid.T) {
	if p := m.fake.pipelines[modelName.Draw(rt, "name")]; p != nil {
		key := rapid.SampledFrom([]string{TagApplied, "team", "other"}).Draw(rt, "tag")
		p.tags[key] = rapid.SampledFrom([]string{"", "2.v1.x.y.0", "z"}).Draw(rt, "value")
	}
}

func (m *model) lose(rt *rapid.T) {
	class := rapid.SampledFrom([]live.Class{live.Unavailable, live.Throttled}).Draw(rt, "class")
	lost := class != live.Throttled // what is refused for a limit is not done
	m.fake.spoil(spoiler{
		op:  rapid.SampledFrom([]string{"Create", "Update", "Tag", "Tags", "Pipeline", "Running", "Inventory"}).Draw(rt, "operation"),
		err: class, lost: lost, done: lost && rapid.Bool().Draw(rt, "done"),
	})
}

func (m *model) run(rt *rapid.T) {
	if p := m.fake.pipelines[modelName.Draw(rt, "name")]; p != nil {
		if p.running = nil; rapid.Bool().Draw(rt, "runs") {
			p.running = []live.Execution{{ID: "e", Status: "InProgress"}}
		}
	}
}

func (m *model) late(rt *rapid.T) {
	if m.fake.thaw(); rapid.Bool().Draw(rt, "late") {
		m.fake.freeze()
	}
}

func (m *model) onePass(rt *rapid.T) {
	m.mode = rapid.SampledFrom([]Mode{Detect, Apply, Enforce}).Draw(rt, "mode")
	before := map[string]string{}
	for name := range m.fake.pipelines {
		before[name] = m.fake.key(name)
	}
	var changes []func(*Input)
	if rapid.Bool().Draw(rt, "sweep") {
		changes = append(changes, aSweep)
	}
	r := m.pass(changes...)
	for name, key := range before {
		if strings.HasPrefix(key, "hand") && m.mode != Enforce && m.fake.key(name) != key {
			rt.Fatalf("%s: the edit %s was overwritten in the mode %s: %v%s", name, key, m.mode, lines(r), explain(r))
		}
	}
	wanted := m.input().Tree.For(m.pipelineTarget()).Wanted
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !slices.ContainsFunc(r.Pipelines, func(s State) bool { return s.Name == name && s.Status != "" }) && !wanted[name].presumed {
			rt.Fatalf("%s is wanted and has no status: %v", name, lines(r))
		}
	}
}

// converge ends all trouble and lets git win.
func (m *model) converge() {
	m.fake.thaw()
	m.fake.spoilers = nil
	for _, p := range m.fake.pipelines {
		p.running = nil
	}
	m.repo.commit(map[string]string{"a.json": modelFile("a", "end"), "b.json": modelFile("b", "k1"), "theirs.json": ""})
	m.mode, m.adopt = Enforce, AdoptAlways
	var last *Report
	for range 3 {
		later()
		last = m.pass()
	}
	if got := m.fake.key("a") + " " + m.fake.key("b"); got != "end k1" {
		m.fatal("the live keys are %q: %v %v%s", got, last.Err, lines(last), explain(last))
	}
	for _, name := range []string{"a", "b"} {
		if tags := m.fake.tagsOf(name); tags["team"] != "x" || tags[TagManagedBy] != "plumbline" {
			m.fatal("the tags of %s are %v", name, tags)
		}
	}
	m.quiet()
}

package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/plumbline/plumbline/emulator"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// families are the kinds of trouble that a seed has or has not.
var families = []string{
	"throttle", "lost", "errors", "slow", "badreply", "pages", "stale", "denied", "unknownfield", "race", // replies of AWS
	"drift", "owners", "fight", "executions", "clock", // other people, and AWS itself
	"remove", "rename", "broken", "empty", "unreadable", "rewrite", "mass", "secrets", // the repository
	"crash", "lostreply", "lost-state", "full", "baddisk", "two", "config", "suspend", "prune", "fence", "jump", // our side
}

func sortedPaths(files map[string]file) []string { return slices.Sorted(maps.Keys(files)) }

// anyPath is a path of a commit, "" if it has none.
func (w *world) anyPath(files map[string]file) string {
	if len(files) == 0 {
		return ""
	}
	return pick(w, sortedPaths(files)...)
}

// act lets one thing happen.
func (w *world) act() {
	type deed struct {
		family string // "" for always
		weight int
		do     func()
	}
	deeds := []deed{
		{"", 6, w.changeFile}, {"", 2, w.newFile}, {"", 2, func() {}},
		{"remove", 3, w.removeFile}, {"prune", 3, w.removeFile}, {"rename", 3, w.renameFile}, {"broken", 4, w.breakFile}, {"mass", 3, w.massChange},
		{"empty", 2, w.emptyRepo}, {"unreadable", 3, w.unreadable}, {"rewrite", 2, w.rewriteRepo},
		{"drift", 5, w.personEdits}, {"owners", 4, w.personRetags}, {"fight", 2, w.fight}, {"unknownfield", 2, w.personAddsField}, {"executions", 4, w.startExecution},
		{"crash", 5, w.crash}, {"lost-state", 3, w.crash}, {"full", 2, w.fillDisk}, {"baddisk", 3, w.spoilDisk}, {"config", 2, w.reconfigure}, {"fence", 2, w.refence}, {"suspend", 3, w.suspend},
		{"clock", 1, w.moveClock}, {"jump", 3, w.jumpClock}, {"", 4, w.rearm},
	}
	sum := 0
	for _, d := range deeds {
		if d.family == "" || w.on[d.family] {
			sum += d.weight
		}
	}
	n := w.dice.IntN(sum)
	for _, d := range deeds {
		if d.family != "" && !w.on[d.family] {
			continue
		}
		if n -= d.weight; n < 0 {
			d.do()
			return
		}
	}
}

func (w *world) changeFile() {
	w.commit("change", func(files map[string]file) {
		path := w.anyPath(files)
		if path == "" {
			return
		}
		f := files[path]
		switch {
		case w.chance(5):
			f.tags = pick(w, nil, map[string]string{"team": "web"}, map[string]string{"team": "core", "cost": "1"}, map[string]string{})
		case w.chance(8):
			f.mode = pick(w, "SUPERSEDED", "QUEUED", "PARALLEL")
		default:
			f.key = fmt.Sprintf("k%d", w.dice.IntN(6))
		}
		files[path] = f
	})
}

func (w *world) newFile() { w.commit("new file", w.addFile) }
func (w *world) removeFile() {
	w.commit("remove", func(files map[string]file) { delete(files, w.anyPath(files)) })
}

func (w *world) renameFile() {
	w.commit("rename", func(files map[string]file) {
		path := w.anyPath(files)
		if path == "" {
			return
		}
		f := files[path]
		f.name = fmt.Sprintf("p%02d", w.names)
		w.names++
		files[path] = f
	})
}

// breakFile breaks a file, or mends one.
func (w *world) breakFile() {
	w.commit("break", func(files map[string]file) {
		for _, path := range sortedPaths(files) {
			if f := files[path]; f.broken != "" && w.chance(2) {
				f.broken = ""
				files[path] = f
				return
			}
		}
		path := w.anyPath(files)
		if path == "" {
			return
		}
		f := files[path]
		if f.broken = pick(w, "cut", "evil", "unknown", "twice", "copy"); f.broken == "copy" { // two files claim one pipeline
			f.broken = ""
			files["pipelines/copy-"+path[len("pipelines/"):]] = f
			return
		}
		f.key = "broken"
		files[path] = f
	})
}

func (w *world) massChange() {
	kind := w.dice.IntN(3)
	w.commit("mass", func(files map[string]file) {
		for _, path := range sortedPaths(files) {
			switch f := files[path]; {
			case w.chance(3):
			case kind == 0:
				f.key = fmt.Sprintf("m%d", w.dice.IntN(100))
				files[path] = f
			case kind == 1 && w.on["remove"]:
				delete(files, path)
			}
		}
		for range map[bool]int{true: 12}[kind == 2 && w.names < 60] {
			w.addFile(files)
		}
	})
}

// emptyRepo takes all files away, and brings those back that were there before.
func (w *world) emptyRepo() {
	w.commit("empty", func(files map[string]file) { clear(files) })
	if !w.chance(3) {
		r := pick(w, w.repos...)
		time.Sleep(time.Duration(w.dice.IntN(int(15 * time.Minute))))
		if n := len(r.commits); n > 1 && len(r.head().files) == 0 {
			before := r.commits[n-2].files
			r.push(func(files map[string]file) { maps.Copy(files, before) })
			w.h.note("%s is as before", r.name)
		}
	}
}

// unreadable makes a source unreadable or slow, or readable again.
func (w *world) unreadable() {
	r := pick(w, w.repos...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.trouble != nil || r.slow > 0 {
		r.trouble, r.slow = nil, 0
		w.h.note("%s can be read", r.name)
		return
	}
	if w.chance(3) {
		r.slow = pick(w, 5*time.Second, 70*time.Second)
		w.h.note("%s is slow", r.name)
		return
	}
	r.trouble = &source.Error{Kind: pick(w, source.KindUnreachable, source.KindProtocol, source.KindRefMissing, source.KindEmpty, source.KindAuth), Where: r.name, What: errTrouble.Error()}
	w.h.note("%s cannot be read", r.name)
}

func (w *world) rewriteRepo() {
	r := pick(w, w.repos...)
	n := 1 + w.dice.IntN(4)
	r.rewrite(n)
	if w.chance(2) {
		r.push(func(files map[string]file) {
			if path := w.anyPath(files); path != "" {
				f := files[path]
				f.key = "rewritten"
				files[path] = f
			}
		})
	}
	w.h.note("%s loses %d commits and is at %.8s", r.name, n, r.head().id)
}

// somePipeline is the name of a pipeline that some file has or had.
func (w *world) somePipeline() string { return fmt.Sprintf("p%02d", w.dice.IntN(max(1, w.names))) }

func (w *world) someRegion() string { return pick(w, w.all[0].setup.targets...).region }

// personEdits lets somebody change a live pipeline by hand, delete it, or create one.
func (w *world) personEdits() {
	name, region := w.somePipeline(), w.someRegion()
	if w.chance(5) {
		_, err := w.person(region, "DeletePipeline", map[string]any{"name": name})
		w.h.note("a person deletes %s in %s: %v", name, region, err)
		return
	}
	w.edit(name, region, func(doc map[string]any) {
		stage := doc["stages"].([]any)[0].(map[string]any)
		conf := stage["actions"].([]any)[0].(map[string]any)["configuration"].(map[string]any)
		for _, key := range []string{"S3ObjectKey", "Branch"} {
			if conf[key] != nil {
				conf[key] = fmt.Sprintf("hand%d", w.dice.IntN(3))
			}
		}
	})
}

// fight lets somebody change one pipeline again and again, as another tool does that wants it otherwise.
func (w *world) fight() {
	name, region := w.somePipeline(), w.someRegion()
	for i := range 10 {
		w.edit(name, region, func(doc map[string]any) {
			stage := doc["stages"].([]any)[1].(map[string]any)
			stage["name"] = fmt.Sprintf("Other%d", i)
		})
		time.Sleep(w.all[0].setup.interval*5/4 + 10*time.Second)
	}
}

func (w *world) edit(name, region string, change func(doc map[string]any)) {
	out, err := w.person(region, "GetPipeline", map[string]any{"name": name})
	doc, _ := out["pipeline"].(map[string]any)
	if err == nil && doc != nil {
		change(doc)
		_, err = w.person(region, "UpdatePipeline", map[string]any{"pipeline": doc})
	}
	if doc == nil && w.chance(2) {
		f := file{name: name, key: pick(w, "k0", "k1", "hand"), mode: "SUPERSEDED"}
		in := map[string]any{}
		decode([]byte(f.text()), &in)
		_, err = w.person(region, "CreatePipeline", in)
	}
	w.h.note("a person edits %s in %s: %v", name, region, err)
}

func (w *world) personAddsField() {
	w.edit(w.somePipeline(), w.someRegion(), func(doc map[string]any) { doc["unknownField"] = "of a newer service" })
}

// personRetags takes our marks off a pipeline, puts somebody else's on, or touches the record.
func (w *world) personRetags() {
	name, region := w.somePipeline(), w.someRegion()
	arn := fmt.Sprintf("arn:aws:codepipeline:%s:%s:%s", region, account, name)
	var err error
	switch w.dice.IntN(5) {
	case 0:
		_, err = w.person(region, "UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{sync.TagManagedBy, sync.TagApplied, sync.TagSource}})
	case 1:
		_, err = w.person(region, "TagResource", map[string]any{"resourceArn": arn, "tags": []map[string]string{{"key": sync.TagManagedBy, "value": "somebody"}}})
	case 2:
		err = w.server.SetTags(emulator.PipelineTags{Account: account, Region: region, Pipeline: name, Tags: map[string]string{"aws:cloudformation:stack-name": "stack"}})
	case 3:
		_, err = w.person(region, "UntagResource", map[string]any{"resourceArn": arn, "tagKeys": []string{sync.TagApplied}})
	case 4:
		_, err = w.person(region, "TagResource", map[string]any{"resourceArn": arn, "tags": []map[string]string{{"key": "team", "value": "hand"}}})
	}
	w.h.note("a person retags %s in %s: %v", name, region, err)
}

func (w *world) startExecution() {
	name, region := w.somePipeline(), w.someRegion()
	_, err := w.person(region, "StartPipelineExecution", map[string]any{"name": name})
	w.h.note("somebody starts %s in %s: %v", name, region, err)
}

func (w *world) someInstance() *instance { return pick(w, w.all...) }

// crash kills a process now, or so many of its steps later.
func (w *world) crash() {
	i := w.someInstance()
	switch {
	case i.proc == nil:
	case w.chance(4):
		w.h.note("%s is told to stop", i.proc)
		w.stop(i)
	case w.chance(3):
		w.h.note("%s is killed", i.proc)
		w.kill(i)
		if w.on["lost-state"] {
			i.disk.wipe()
			i.lost = true
		}
	default:
		n := 1 + w.dice.IntN(60)
		w.h.note("%s has %d steps left", i.proc, n)
		i.proc.killAfter(n)
		if w.chance(2) { // something to die in
			w.changeFile()
		}
	}
	if i.proc == nil && w.chance(2) {
		time.Sleep(time.Duration(w.dice.IntN(int(20 * time.Second))))
		w.start(i)
	}
}

func (w *world) fillDisk() {
	i := w.someInstance()
	i.disk.mu.Lock()
	i.disk.full, i.filled = !i.disk.full, true
	w.h.note("the disk of %s is full: %v", i.id, i.disk.full)
	i.disk.mu.Unlock()
}

// spoilDisk lets single calls of a disk fail, few or many, or none any more.
func (w *world) spoilDisk() {
	i := w.someInstance()
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	i.disk.bad, i.filled = pick(w, 0, .01, .1, .5), true
	w.h.note("of the disk of %s so many calls fail: %v", i.id, i.disk.bad)
}

// reconfigure restarts an instance with another policy.
func (w *world) reconfigure() {
	i := w.someInstance()
	w.stop(i)
	t := pick(w, 0, len(i.setup.targets)-1)
	s := &i.setup.targets[t]
	s.mode, s.prune = pick(w, sync.Apply, sync.Enforce, sync.Detect), w.on["prune"] && w.chance(2)
	s.adopt = pick(w, sync.AdoptIdentical, sync.AdoptNever, sync.AdoptAlways)
	w.h.note("%s has the mode %s in %s, prune %v, adopt %s", i.id, s.mode, s.name, s.prune, s.adopt)
	w.start(i)
}

// refence restarts an instance with a source that may touch other targets, or is not configured any more.
func (w *world) refence() {
	i := w.someInstance()
	w.stop(i)
	switch f := pick(w, 0, len(i.setup.feeds)-1); {
	case len(i.setup.feeds) < len(w.repos):
		i.setup.feeds = nil
		for _, r := range w.repos {
			i.setup.feeds = append(i.setup.feeds, feed{repo: r})
		}
	case len(w.repos) > 1 && w.chance(2):
		i.setup.feeds = slices.Delete(slices.Clone(i.setup.feeds), f, f+1)
	case len(i.setup.feeds[f].targets) > 0:
		i.setup.feeds[f].targets = nil
	default:
		i.setup.feeds[f].targets = []string{pick(w, i.setup.targets[0].name, "nowhere")}
	}
	w.h.note("%s has other sources: %v", i.id, len(i.setup.feeds))
	w.start(i)
}

// freeze is how long a suspension lasts that has an end.
const freeze = 15 * time.Minute

// suspend is a person's word that a pipeline, or all, are left alone; or that they are not any more. It is given by a command,
// which is a process of its own beside the daemon.
func (w *world) suspend() {
	i := w.someInstance()
	words, err := journal.OpenOn(mount{i.disk, &proc{of: i, name: "ann", spared: true}, w.h}, "/state")
	if err != nil {
		w.h.note("ann's word to %s is not heard: %v", i.id, err)
		return
	}
	defer words.Close()
	t, name := pick(w, i.setup.targets...), w.somePipeline()
	if w.chance(6) {
		name = ""
	}
	if w.chance(3) {
		err := words.Resume(t.name, "", "ann", "go on")
		w.h.note("%s goes on with all in %s: %v", i.id, t.name, err)
		return
	}
	s := journal.Suspension{Target: t.name, Pipeline: name, By: "ann", Reason: "a freeze"}
	if w.chance(2) && !w.on["jump"] { // a clock that jumps ends it when it likes
		s.Until = time.Now().Add(freeze)
	}
	err = words.Suspend(s)
	w.h.note("%s is told to leave %q in %s alone until %v: %v", i.id, name, t.name, s.Until, err)
}

func (w *world) moveClock() {
	w.skewLock.Lock()
	defer w.skewLock.Unlock()
	w.skew = pick(w, 0, time.Second, -time.Minute, time.Hour)
	w.h.note("AWS's clock is off by %s", w.skew)
}

// jumpClock sets the clock of a machine, back or forth, or right.
func (w *world) jumpClock() {
	i := w.someInstance()
	i.disk.mu.Lock()
	defer i.disk.mu.Unlock()
	const year = 365 * 24 * time.Hour
	i.disk.ahead = pick(w, 0, time.Second, -time.Second, time.Hour, -time.Hour, 25*time.Hour, -25*time.Hour, year, -year, 10*year, -10*year)
	w.h.note("the clock of %s is off by %s", i.id, i.disk.ahead)
}

// rearm makes other faults strike than before.
func (w *world) rearm() {
	w.server.ClearFaults()
	w.h.note("other faults")
	var armed []emulator.Fault
	arm := func(f emulator.Fault) {
		f.Seed = w.dice.Uint64()
		if f.Probability == 0 && f.Nth == 0 && f.Action != "token-bucket" && f.Count == 0 {
			f.Probability = pick(w, .05, .2, .5)
		}
		armed = append(armed, f)
	}
	reads := []string{"GetPipeline", "ListPipelines", "ListTagsForResource", "GetResources", "ListPipelineExecutions", "GetCallerIdentity"}
	writes := []string{"CreatePipeline", "UpdatePipeline", "DeletePipeline", "TagResource", "UntagResource"}
	every := slices.Concat(reads, writes)
	makers := map[string]func(){
		"throttle": func() {
			if w.chance(2) {
				arm(emulator.Fault{Action: "token-bucket", Rate: pick(w, .5, 1, 2), Burst: 3})
				return
			}
			arm(emulator.Fault{Operation: pick(w, append(every, "")...), Action: "error", Probability: pick(w, .1, .3, .5, .9)})
		},
		"lost": func() {
			arm(emulator.Fault{Operation: pick(w, writes...), Action: "commit-then-drop", Probability: .5})
			arm(emulator.Fault{Operation: pick(w, writes...), Action: pick(w, "commit-then-drop", "truncate-body"), Probability: pick(w, .3, .5, 1)})
		},
		"lostreply": func() {
			arm(emulator.Fault{Operation: pick(w, every...), Action: pick(w, "reset-before", "commit-then-drop")})
		},
		"errors": func() {
			e := pick(w, [2]any{"InternalFailure", 500}, [2]any{"ServiceUnavailable", 503}, [2]any{"ConcurrentModificationException", 400}, [2]any{"ExpiredTokenException", 400},
				[2]any{"SomethingNewException", 400}, [2]any{"LimitExceededException", 400}, [2]any{"InvalidStructureException", 400}, [2]any{"", 429})
			arm(emulator.Fault{Operation: pick(w, every...), Action: "error", Code: e[0].(string), Status: e[1].(int)})
		},
		"slow": func() {
			arm(emulator.Fault{Operation: pick(w, every...), Action: pick(w, "delay", "hang"), Delay: 0, Probability: pick(w, .1, .3)})
			if f := &armed[len(armed)-1]; f.Action == "delay" {
				f.Delay = pick(w, time.Second, 15*time.Second, 40*time.Second)
			}
		},
		"badreply": func() {
			arm(emulator.Fault{Operation: pick(w, every...), Action: pick(w, "empty-200", "html-200", "bad-json", "truncate-body")})
		},
		"pages": func() {
			arm(emulator.Fault{Operation: pick(w, "ListPipelines", "GetResources"), Action: pick(w, "page-drop", "page-dup", "repeat-token", "empty-200", "html-200", "bad-json")})
			arm(emulator.Fault{Operation: "GetResources", Action: pick(w, "repeat-token", "page-drop", "page-dup"), Probability: pick(w, .2, 1)})
		},
		"stale": func() {
			f := emulator.Fault{Operation: pick(w, "GetPipeline", "ListPipelines", "GetResources", "ListTagsForResource"), Action: "stale-read"}
			if w.chance(2) {
				f.Delay = pick(w, 5*time.Second, time.Minute)
			}
			arm(f)
		},
		"denied": func() {
			arm(emulator.Fault{Operation: pick(w, every...), Action: "error", Code: "AccessDeniedException", Probability: pick(w, .3, 1)})
		},
		"unknownfield": func() { arm(emulator.Fault{Operation: "GetPipeline", Action: "unknown-field"}) },
		"race": func() {
			if w.chance(2) {
				arm(emulator.Fault{Operation: "UpdatePipeline", Action: "version-jump", Probability: .3})
			}
			arm(emulator.Fault{Operation: pick(w, "UpdatePipeline", "CreatePipeline", "DeletePipeline", "ListTagsForResource", "GetPipeline", "TagResource"), Action: pick(w, "version-jump", "foreign-create", "foreign-delete", "foreign-retag"), Probability: pick(w, .1, .3)})
		},
		"clock": func() { arm(emulator.Fault{Action: "skewed-date", Delay: pick(w, time.Hour, -time.Hour)}) },
	}
	for _, family := range slices.Sorted(maps.Keys(makers)) {
		if w.on[family] && w.chance(2) {
			makers[family]()
		}
	}
	for _, f := range armed {
		f.Region = cmp.Or(f.Region, pick(w, "", "", w.someRegion()))
		if err := w.server.AddFault(f); err != nil {
			w.t.Fatal(err)
		}
	}
}

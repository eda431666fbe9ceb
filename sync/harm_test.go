package sync

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/plumbline/plumbline/pipeline"
)

// TestNoHarm commits what must do no harm to a repository whose web.json is applied: nothing live is written,
// and what is wrong is reported with its place.
func TestNoHarm(t *testing.T) {
	const invalid = "web invalid; update git held:validation"
	api := func(key string) string { return doc{name: "api", key: key}.String() }
	for name, test := range map[string]struct {
		commits  []map[string]string // on top of web.json with k1
		problem  *pipeline.Problem   // that the source itself reports
		origin   Origin
		targets  []string // all configured targets; "eu" where none are given
		want     []string
		problems []string // parts of the problems, in order
	}{
		"emptied folder": {
			commits: []map[string]string{{"web.json": ""}},
			want:    []string{"web extra; delete git held:policy"},
		},
		"cut off, its name in history": {
			commits:  []map[string]string{{"web.json": web("k2")[:300]}},
			want:     []string{invalid},
			problems: []string{"web.json:4:", "PL-J05"},
		},
		"broken twice over": {
			commits:  []map[string]string{{"web.json": "{"}, {"web.json": "]"}},
			want:     []string{invalid},
			problems: []string{"web.json:1:1", "PL-J05"},
		},
		"a byte order mark": {
			commits:  []map[string]string{{"web.json": "\ufeff" + web("k2")}},
			want:     []string{invalid},
			problems: []string{"web.json:1:1", "PL-J02"},
		},
		"UTF-16": {
			commits:  []map[string]string{{"web.json": "\xff\xfe{\x00}\x00"}},
			want:     []string{invalid},
			problems: []string{"web.json", "PL-J02"},
		},
		"duplicate keys": {
			commits:  []map[string]string{{"web.json": strings.Replace(web("k2"), `"name":"web",`, `"name":"web","Name":"wbe",`, 1)}},
			want:     []string{invalid},
			problems: []string{"web.json:1:", "PL-J07"},
		},
		"an error of a rule": {
			commits:  []map[string]string{{"web.json": strings.Replace(web("k2"), `"type":"S3"`, `"type":"s3"`, 1)}},
			want:     []string{invalid},
			problems: []string{"web.json:2:", "CP-F04"},
		},
		"no name any more": {
			commits:  []map[string]string{{"web.json": strings.Replace(web("k2"), `"name":"web",`, ``, 1)}},
			want:     []string{invalid},
			problems: []string{"web.json:1:", "CP-F01"},
		},
		"broken and renamed at once": {
			commits:  []map[string]string{{"web.json": strings.Replace(doc{name: "shop", key: "k1"}.String(), `"type":"S3"`, `"type":"s3"`, 1)}},
			want:     []string{"shop invalid; create git held:validation", "web invalid"},
			problems: []string{"web.json:2:", "CP-F04"},
		},
		"not read by the source": {
			commits: []map[string]string{{"web.json": ""}, {"api.json": ""}},
			problem: &pipeline.Problem{File: "web.json", Rule: "PL-S01", Severity: pipeline.Error, Message: "a symbolic link is not read"},
			want:    []string{invalid}, problems: []string{"web.json", "PL-S01"},
		},
		"a broken file of nobody's": {
			commits:  []map[string]string{{"new.json": "{"}},
			want:     []string{"web synced"},
			problems: []string{"new.json:1:", "PL-J05"},
		},
		"two files with one name": {
			commits:  []map[string]string{{"copy.json": web("k2")}},
			want:     []string{invalid},
			problems: []string{"copy.json:1:1", "web.json too", "web.json:1:1", "copy.json too"},
		},
		"two files with one new name": {
			commits:  []map[string]string{{"a.json": api("k1"), "b.json": api("k1")}},
			want:     []string{"api invalid; create git held:validation", "web synced"},
			problems: []string{"a.json:1:1", "b.json too", "b.json:1:1", "a.json too"},
		},
		"a folder named as a target, with the layout everywhere": {
			commits: []map[string]string{{"eu/api.json": api("k1"), "team/db.json": strings.ReplaceAll(api("k1"), "api", "team-db")}},
			targets: []string{"eu", "us"},
			want:    []string{"team-db missing; create git planned", "web synced"}, problems: []string{"eu/api.json", "PL-L03", "layout: by-target"},
		},
		"by-target": {
			commits: []map[string]string{{"web.json": "", "all/web.json": web("k1"), "eu/api.json": api("k1"), "us/db.json": strings.ReplaceAll(api("k1"), "api", "db"),
				"asia/x.json": strings.ReplaceAll(api("k1"), "api", "x")}},
			origin: Origin{Layout: ByTarget}, targets: []string{"eu", "us"},
			want:     []string{"api missing; create git planned", "web synced"},
			problems: []string{"asia/x.json", "PL-L02"},
		},
		"by-target, below a folder of the source": {
			commits: []map[string]string{{"web.json": "", "live/eu/web.json": web("k1"), "live/stray.json": api("k1")}},
			origin:  Origin{Layout: ByTarget, Root: "live"}, want: []string{"web synced"}, problems: []string{"live/stray.json", "PL-L02"},
		},
		"moved to the folder of a target that is gone": {
			commits: []map[string]string{{"web.json": "", "asia/web.json": web("k2")}},
			origin:  Origin{Layout: ByTarget}, want: []string{invalid}, problems: []string{"asia/web.json", "PL-L02"},
		},
		"a fence": {
			commits: []map[string]string{{"api.json": api("k1")}},
			origin:  Origin{Targets: []string{"us-*"}}, targets: []string{"eu", "us-1"},
			want: []string{"web extra; delete git held:policy"},
		},
		"an unknown variable": {
			commits:  []map[string]string{{"web.json": web("${var.nothing}")}},
			want:     []string{invalid},
			problems: []string{"web.json:4:", "PL-V01"},
		},
		"our own tags in a file": {
			commits:  []map[string]string{{"web.json": doc{name: "web", key: "k1", tags: []string{"plumbline:managed-by=other"}}.String()}},
			want:     []string{invalid},
			problems: []string{"web.json:5:", "PL-T01"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := applied(t, Enforce)
			for _, c := range test.commits {
				e.repo.commit(c)
			}
			targets := test.targets
			if targets == nil {
				targets = []string{"eu"}
			}
			r := e.pass(func(in *Input) {
				origin := test.origin
				origin.Snapshot = e.repo.snapshot()
				if test.problem != nil {
					origin.Snapshot.Problems = []pipeline.Problem{*test.problem}
				}
				in.Tree = Read([]Origin{origin}, targets)
				in.Target.Writer = nil // what may be created is only planned, so that every write is a mistake
			})
			e.want(r, test.want...)
			var told strings.Builder
			for _, p := range r.Problems {
				told.WriteString(p.String() + " " + p.Hint + "\n")
			}
			rest := told.String()
			for _, part := range test.problems {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("%q is not where it belongs in the problems:\n%s", part, told.String())
				}
				rest = after
			}
			if len(test.problems) == 0 && told.Len() > 0 {
				t.Errorf("problems of good files:\n%s", told.String())
			}
			for _, s := range r.Pipelines {
				if s.Status == StatusInvalid && (s.Why == "" || s.Name == "web" && !strings.Contains(s.Why, ".json")) {
					t.Errorf("why %s is invalid: %q", s.Name, s.Why)
				}
			}
		})
	}

	t.Run("its name only in the tag of the live pipeline", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", "{")
		broken := e.repo.states[1]
		e.repo.states, e.repo.truncated = e.repo.states[1:], true // the good version is older than the history that was read
		if broken.files["web.json"] != "{" {
			t.Fatal("the test lost its file")
		}
		e.want(e.pass(), "web invalid")
		e.wantWrites()
		e.commit("web.json", web("k1"))
		e.want(e.pass(), "web synced")
	})
	t.Run("the rule that a name is needed is off", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", strings.Replace(web("k2"), `"name":"web",`, ``, 1))
		e.want(e.pass(func(in *Input) { in.Target.Rules = map[string]pipeline.Severity{"CP-F01": pipeline.Off} }), "web invalid; update git held:validation")
	})
	t.Run("mended", func(t *testing.T) {
		e := applied(t, Enforce)
		e.commit("web.json", "{")
		e.fake.put(web("by hand"))
		e.want(e.pass(), "web invalid; update git held:validation") // not even drift is reverted to a file that nobody can read
		e.wantWrites()
		e.commit("web.json", web("k2"))
		e.want(e.pass(), "web drifted; update git+drift applied")
		e.quiet()
	})
}

// TestProblems: a problem that all targets of a file see is told once.
func TestProblems(t *testing.T) {
	r := &repo{name: "platform"}
	r.commit(map[string]string{
		"all/a.json": strings.Replace(web("k1"), `"type":"S3"`, `"type":"s3"`, 1),
		"eu/b.json":  web("${var.env}"),
		"all/c.json": doc{name: "c", key: "${var.env}"}.String(),
	})
	tree := Read([]Origin{{Snapshot: r.snapshot(), Layout: ByTarget, Prefix: "repo/"}}, []string{"eu", "us"})
	var got []string
	for _, p := range tree.Problems([]pipeline.Target{{Name: "eu", Region: "eu-west-1", Vars: map[string]string{"env": "x"}}, {Name: "us", Region: "us-east-1"}}) {
		got = append(got, strings.TrimSuffix(p.File+" "+p.Rule+" "+p.Target, " "))
	}
	want := "repo/all/a.json PL-L01 eu, repo/all/a.json CP-F04, repo/all/c.json PL-V01 us, repo/eu/b.json PL-L01"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if tree.Files() != 3 {
		t.Errorf("%d files", tree.Files())
	}
}

// TestOrderOfClaims lets files of two sources claim pipelines, many of them several times, and reads them in orders that the
// dice choose: what is found, planned and told is the same in each, all who claim a pipeline are named, and none gets it.
func TestOrderOfClaims(t *testing.T) {
	orders := 200
	if testing.Short() {
		orders = 40
	}
	seed, differ, claimed := rand.Uint64(), 0, 0
	dice := rand.New(rand.NewPCG(seed, 0))
	for range orders {
		e := newEnv(t, Enforce)
		apps := &repo{name: "apps"}
		e.repo.commit(map[string]string{"p0.json": doc{name: "p0", key: "k"}.String(), "p1.json": doc{name: "p1", key: "k"}.String()})
		apps.commit(map[string]string{"p2.json": doc{name: "p2", key: "k"}.String(), "p3.json": doc{name: "p3", key: "k"}.String()})
		sources := func(in *Input) { in.Sources = []string{"platform", "apps"} }
		e.pass(origins(Origin{Snapshot: e.repo.snapshot()}, Origin{Snapshot: apps.snapshot()}), sources) // all four are live, and have their owners
		claims := map[string][]string{}
		for _, r := range []*repo{e.repo, apps} {
			files := map[string]string{"p0.json": "", "p1.json": "", "p2.json": "", "p3.json": ""}
			for i := range 2 + dice.IntN(4) {
				path, name := fmt.Sprintf("f%d.json", i), fmt.Sprintf("p%d", dice.IntN(6))
				if dice.IntN(3) == 0 {
					path = fmt.Sprintf("p%d.json", i)
				}
				files[path] = doc{name: name, key: fmt.Sprintf("k%d", dice.IntN(2))}.String()
				claims[name] = append(claims[name], r.name+"/"+path)
			}
			r.commit(files)
		}
		shuffled := func() *Report {
			both := []Origin{{Snapshot: e.repo.snapshot(), Prefix: "platform/"}, {Snapshot: apps.snapshot(), Prefix: "apps/"}}
			for _, o := range both {
				dice.Shuffle(len(o.Snapshot.Files), func(i, j int) {
					o.Snapshot.Files[i], o.Snapshot.Files[j] = o.Snapshot.Files[j], o.Snapshot.Files[i]
				})
			}
			dice.Shuffle(2, func(i, j int) { both[i], both[j] = both[j], both[i] })
			return e.pass(aPlan, origins(both...), sources)
		}
		told := func(r *Report) string {
			var b strings.Builder
			fmt.Fprintln(&b, strings.Join(lines(r), "\n"), r.PlanID)
			for _, p := range r.Problems {
				fmt.Fprintln(&b, p.String())
			}
			return b.String()
		}
		first := shuffled()
		for range 3 {
			if diff := cmp.Diff(told(first), told(shuffled())); diff != "" {
				differ++
				t.Errorf("another order of files, seed %d (-one +other):\n%s", seed, diff)
			}
		}
		for name, paths := range claims {
			if len(paths) < 2 {
				continue
			}
			claimed++
			for _, c := range first.Changes {
				if c.Pipeline == name && c.Hold != HoldValidation {
					t.Errorf("%s is claimed by %v and its change is %s, held %q; seed %d", name, paths, c.Outcome, c.Hold, seed)
				}
			}
			for _, path := range paths {
				if !strings.Contains(told(first), path) {
					t.Errorf("nothing names %s, one of those that claim %s; seed %d:\n%s", path, name, seed, told(first))
				}
			}
		}
	}
	t.Logf("figure G11: orders of files and sources = %d, pipelines claimed more than once = %d, outcomes that depend on the order = %d", 4*orders, claimed, differ)
}

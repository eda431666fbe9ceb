package differ

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/plumbline/plumbline/pipeline"
)

// TestProperties holds Compare to what it promises, over generated documents.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := draw(rt, "a"), draw(rt, "b")
		if d := Compare(a, a, region); len(d.Edits)+len(d.Unknown) > 0 {
			rt.Fatalf("a document differs from itself: %s", sentences(d))
		}
		if d := Compare(a, shuffle(rt, fill(a.Clone())), region); len(d.Edits)+len(d.Unknown) > 0 {
			rt.Fatalf("what AWS fills in and reorders is a difference: %s", sentences(d))
		}
		d := Compare(a, b, region)
		if again := Compare(shuffle(rt, a), shuffle(rt, fill(b.Clone())), region); !bytes.Equal(sentences(again), sentences(d)) {
			rt.Fatalf("the same documents in another order give\n%s\nand not\n%s", sentences(again), sentences(d))
		}
		live := pipeline.Canonical(b, region)
		for _, e := range d.Edits {
			if err := apply(live, e); err != nil {
				rt.Fatalf("%s: %v", e.Path, err)
			}
		}
		want, got := pipeline.Canonical(a, region), pipeline.Canonical(live, region)
		if want.String() != got.String() {
			rt.Fatalf("the edits\n%sgive\n%s\nand not\n%s", sentences(d), got, want)
		}
	})
}

// TestCorpus does the same with documents of many real repositories, where they are at hand, and looks at what
// changed between versions of one file.
func TestCorpus(t *testing.T) {
	const folder = "../../shared/corpus"
	files, err := filepath.Glob(folder + "/*.json")
	if err != nil || len(files) == 0 {
		t.Skip("there is no corpus beside the repository")
	}
	slices.Sort(files)
	docs := map[string]*pipeline.Node{}
	var names []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := usable(file, data); n != nil {
			docs[filepath.Base(file)] = n
			names = append(names, filepath.Base(file))
		}
	}
	if len(names) < len(files)/2 {
		t.Errorf("only %d of %d documents can be used", len(names), len(files))
	}
	check := func(t *testing.T, a, b *pipeline.Node) Diff {
		t.Helper()
		d := Compare(a, b, region)
		for _, e := range slices.Concat(d.Edits, d.Unknown) {
			if s := e.Sentence(); s == "" || strings.Contains(s, "/stages/") || len([]rune(s)) > 1000 {
				t.Errorf("the sentence of %s is %q", e.Path, s)
			}
		}
		noSecrets(t, d, a, b)
		live := pipeline.Canonical(b, region)
		dropServerTriggers(pipeline.Canonical(a, region), live) // they come and go without us
		for _, e := range d.Edits {
			if err := apply(live, e); err != nil {
				t.Errorf("%s: %v", e.Path, err)
			}
		}
		if rest := Compare(a, live, region); len(rest.Edits) > 0 {
			t.Errorf("after all edits there is still %s", sentences(rest))
		}
		return d
	}
	for i, name := range names {
		a := docs[name]
		if d := Compare(a, fill(a.Clone()), region); len(d.Edits)+len(d.Unknown) > 0 {
			t.Errorf("%s: what AWS fills in is a difference: %s", name, sentences(d))
		}
		check(t, a, docs[names[(i+1)%len(names)]])
	}

	index, err := os.ReadFile(folder + "/INDEX.tsv")
	if err != nil {
		t.Fatal(err)
	}
	pairs := 0
	var previous []string
	for line := range strings.Lines(string(index)) {
		columns := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(columns) > 15 && previous != nil && columns[1] == previous[1] && columns[2] == previous[2] && strings.HasPrefix(columns[15], "v") {
			a, b := docs[columns[0]], docs[previous[0]]
			if a != nil && b != nil {
				if d := check(t, a, b); len(d.Edits) > 0 {
					pairs++
				}
			}
		}
		previous = columns
	}
	if pairs < 10 {
		t.Errorf("only %d histories with a difference were found", pairs)
	}
}

// usable returns the declaration of a file, or nil where it has none or tells two things by one name.
func usable(file string, data []byte) *pipeline.Node {
	f, _ := pipeline.Parse(file, data)
	if f == nil {
		return nil
	}
	doc, problems := f.For(pipeline.Target{Region: region})
	for _, p := range problems {
		if slices.Contains([]string{"CP-G01", "CP-A01", "CP-R06", "CP-N06", "CP-T02", "CP-F10", "PL-D05"}, p.Rule) {
			return nil
		}
	}
	return doc.Declaration()
}

var secretKeys = []string{"OAuthToken", "ClientSecret", "RefreshToken"}

// noSecrets makes sure that no secret of the documents can be seen in what a comparison says.
func noSecrets(t *testing.T, d Diff, docs ...*pipeline.Node) {
	t.Helper()
	said, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	text := string(said) + string(sentences(d))
	for _, doc := range docs {
		doc.Walk(func(n *pipeline.Node) {
			config := n.Get("configuration")
			for _, key := range secretKeys {
				// Placeholders are no secrets, and some stand in other places too.
				if s := config.Str(key); len(s) > 8 && !strings.ContainsAny(s, "<{$*") && strings.Contains(text, s) {
					t.Errorf("the %s can be read in the comparison", key)
				}
			}
		})
	}
}

// draw makes up a pipeline.
func draw(t *rapid.T, label string) *pipeline.Node {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label+" "+what) }
	some := func(what string, from ...string) []string {
		return rapid.Custom(func(t *rapid.T) []string {
			list := rapid.Permutation(from).Draw(t, what)
			return list[:rapid.IntRange(0, len(list)).Draw(t, what)]
		}).Draw(t, label+" "+what)
	}
	list := func(names []string, item func(string) string) string {
		items := make([]string, len(names))
		for i, name := range names {
			items[i] = item(name)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	named := func(name string) string { return fmt.Sprintf(`{"name":%q}`, name) }
	action := func(name string) string {
		configuration := make([]string, 0, 4)
		for _, key := range some("keys", "S3Bucket", "PollForSourceChanges", "UserParameters", "a/b~c") {
			value := pick("value", "true", "x", "y", `{"b":1,"a":[2]}`)
			configuration = append(configuration, fmt.Sprintf("%q:%q", key, value))
		}
		return fmt.Sprintf(`{"name":%q,"actionTypeId":%s,"configuration":{%s},"inputArtifacts":%s,"outputArtifacts":%s%s}`, name,
			pick("type", `{"category":"Source","owner":"AWS","provider":"S3","version":"1"}`, `{"category":"Invoke","owner":"AWS","provider":"Lambda","version":"1"}`),
			strings.Join(configuration, ","), list(some("inputs", "i", "j", "k"), named), list(some("outputs", "o", "p"), named),
			pick("more", "", `,"runOrder":1`, `,"runOrder":2`, `,"region":"eu-west-1"`, `,"region":"us-east-1"`, `,"namespace":"N"`))
	}
	stage := func(name string) string {
		return fmt.Sprintf(`{"name":%q,"actions":%s%s}`, name, list(some("actions", "Code", "Build", "actions"), action),
			pick("condition", "", `,"onFailure":{"result":"ROLLBACK"}`, `,"beforeEntry":{"conditions":[{"result":"FAIL"}]}`))
	}
	trigger := func(name string) string {
		return fmt.Sprintf(`{"providerType":"CodeStarSourceConnection","gitConfiguration":{"sourceActionName":%q,"push":[{"tags":{"includes":%s}}]}}`,
			name, list(some("globs", "v1", "v2", "v3"), func(s string) string { return fmt.Sprintf("%q", s) }))
	}
	store := `{"type":"S3","location":"b"}`
	return decode(t, []byte(fmt.Sprintf(`{"name":"web","pipelineType":"V2","stages":%s,"variables":%s,"triggers":%s,%s%s}`,
		list(some("stages", "A", "B", "stages", "D"), stage), list(some("variables", "x", "y"), named), list(some("triggers", "Code", "Other"), trigger),
		pick("store", `"artifactStore":`+store, `"artifactStores":{"eu-west-1":`+store+`}`, `"artifactStores":{"eu-west-1":`+store+`,"us-east-1":`+store+`}`),
		pick("top", "", `,"executionMode":"SUPERSEDED"`, `,"executionMode":"QUEUED"`))))
}

// fill adds what AWS adds to a document that it shows.
func fill(n *pipeline.Node) *pipeline.Node {
	set := func(o *pipeline.Node, name, text string) {
		if o.Get(name) == nil {
			o.Set(name, decode(panics{}, []byte(text)))
		}
	}
	set(n, "version", "3")
	set(n, "executionMode", `"SUPERSEDED"`)
	set(n, "variables", "[]")
	set(n, "triggers", "[]")
	for _, stage := range n.List("stages") {
		set(stage, "blockers", "[]")
		for _, action := range stage.List("actions") {
			set(action, "runOrder", "1")
			set(action, "configuration", "{}")
			set(action, "inputArtifacts", "[]")
			set(action, "outputArtifacts", "[]")
			set(action, "region", `"`+region+`"`)
		}
	}
	return n
}

type panics struct{}

func (panics) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// shuffle returns the document with all members, and all lists but the stages, in another order. No list of
// the generated documents but that one has an order that counts.
func shuffle(t *rapid.T, n *pipeline.Node) *pipeline.Node {
	c := *n
	c.Members = rapid.Permutation(n.Members).Draw(t, "members")
	for i, m := range c.Members {
		c.Members[i].Value = shuffle(t, m.Value)
	}
	c.Items = slices.Clone(n.Items)
	for i, item := range c.Items {
		c.Items[i] = shuffle(t, item)
	}
	if stages := len(n.Items) > 0 && n.Items[0].Get("actions") != nil; !stages {
		c.Items = rapid.Permutation(c.Items).Draw(t, "items")
	}
	return &c
}

// apply makes one edit to a canonical declaration, knowing nothing of the schema but how items are told apart.
func apply(n *pipeline.Node, e Edit) error {
	if path.Dir(e.From) == path.Dir(e.Path) {
		return apply(n, Edit{Path: e.From, Old: e.Old, New: e.New}) // another name for an item, in its place
	}
	if e.From != "" {
		if err := apply(n, Edit{Path: e.From, Old: e.Old}); err != nil {
			return err
		}
		return apply(n, Edit{Path: e.Path, New: e.New})
	}
	steps := strings.Split(e.Path[1:], "/")
	for i := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i])
	}
	for i, step := range steps[:len(steps)-1] {
		var next *pipeline.Node
		if n.Kind == pipeline.Array {
			if at := position(n, step); at >= 0 {
				next = n.Items[at]
			}
		} else if next = n.Get(step); next == nil {
			// A list or map that the canonical form leaves out while it is empty.
			if next = pipeline.NewArray(); step == "configuration" || regexp.MustCompile(`^(onFailure|onSuccess|beforeEntry|gitConfiguration)$`).MatchString(step) {
				next = pipeline.NewObject()
			}
			n.Set(step, next)
		}
		if next == nil {
			return fmt.Errorf("there is no %s", strings.Join(steps[:i+1], "/"))
		}
		n = next
	}
	last := steps[len(steps)-1]
	switch {
	case n.Kind == pipeline.Array:
		at := position(n, last)
		switch {
		case e.New == nil && at >= 0:
			n.Items = slices.Delete(n.Items, at, at+1)
		case e.Old == nil && at < 0:
			n.Items = append(n.Items, e.New.Clone())
		case at >= 0 && e.New != nil:
			n.Items[at] = e.New.Clone()
		default:
			return fmt.Errorf("%d is no place for it", at)
		}
	case e.New == nil:
		n.Delete(last)
	case last == "stages" && e.New.Kind == pipeline.Array && e.Old != nil && n.Get(last) != nil && slices.ContainsFunc(e.New.Items, func(i *pipeline.Node) bool { return i.Kind == pipeline.String }):
		order := map[string]int{}
		for i, name := range e.New.Items {
			order[name.Text] = i
		}
		slices.SortFunc(n.Get(last).Items, func(a, b *pipeline.Node) int { return order[a.Str("name")] - order[b.Str("name")] })
	default:
		n.Set(last, e.New.Clone())
	}
	return nil
}

func position(list *pipeline.Node, key string) int {
	if i, err := strconv.Atoi(key); err == nil && i < len(list.Items) && list.Items[i].Get("name") == nil {
		return i
	}
	return slices.IndexFunc(list.Items, func(n *pipeline.Node) bool {
		return n.Str("name") == key || n.Str("gitConfiguration", "sourceActionName") == key
	})
}

package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets
var assetFiles embed.FS

// contentPolicy lets a page load what this binary holds and nothing else, and nobody frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// nav is the bar on top of every page.
var nav = []struct{ Path, Title, Key string }{
	{"/", "Fleet", "f"}, {"/drift", "Drift", "d"}, {"/changes", "Changes", "c"}, {"/runs", "Runs", "r"},
	{"/problems", "Problems", "p"}, {"/targets", "Targets", "t"}, {"/unmanaged", "Unmanaged", "u"},
}

// view is what a template gets.
type view struct {
	*fleet
	Path, Title string
	Filter      filter
	Rows        []*row // those that the filter leaves
	Instance    string
	Version     string
	News        string // the version of what is shown
	Nav         any
	User        string // who may act; "" for nobody
	Acting      bool   // somebody may, after signing in
	SignIn      bool   // by a token
	Notice      string
	Assets      map[string]string // :: file → its address, which changes with its content

	Row     *row
	Tab     string
	History []past
	Shown   []*row // of those that need somebody and that the filter leaves, the first
	More    int    // so many more there are
	Groups  []commitGroup
	Runs    []runRow
	Files   []*problemView
	Places  []placeView
}

// runRow is one execution in the table of all.
type runRow struct {
	*execution.Run
	Row *row
}

// pages serves what people look at.
type pages struct {
	*admin
	templates *template.Template
	assets    map[string]asset // :: path below /assets/
	addresses map[string]string
}

type asset struct {
	data []byte
	kind string
}

func newPages(a *admin) *pages {
	p := &pages{admin: a, assets: map[string]asset{}, addresses: map[string]string{}}
	kinds := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	list, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		panic(err) // unreachable: they are in the binary
	}
	for _, f := range list {
		data, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			panic(err) // unreachable: the same
		}
		digest := sha256.Sum256(data)
		name, kind, _ := strings.Cut(f.Name(), ".")
		kind = kind[strings.LastIndexByte(kind, '.')+1:]
		if kinds[kind] == "" {
			continue // a licence
		}
		address := name + "-" + hex.EncodeToString(digest[:6]) + "." + kind
		p.assets[address] = asset{data, kinds[kind]}
		p.addresses[f.Name()] = "/assets/" + address
	}
	p.templates = template.Must(template.New("").Funcs(helpers).Funcs(template.FuncMap{"path": pipelinePath}).ParseFS(templateFiles, "templates/*.html"))
	return p
}

// pipelinePath is where a pipeline's page is.
func pipelinePath(r *row) string {
	return "/pipelines/" + url.PathEscape(r.Place.Name) + "/" + url.PathEscape(r.Name)
}

func (p *pages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.page("home.html", "Fleet", func(v *view) {
		v.Shown = v.Filter.apply(v.Needs)
		v.More = max(0, len(v.Shown)-maxNeeds)
		v.Shown = v.Shown[:len(v.Shown)-v.More]
	}))
	mux.HandleFunc("GET /pipelines/{target}/{name}", p.pipeline)
	mux.HandleFunc("GET /drift", p.page("drift.html", "Drift", func(v *view) {
		v.Rows = slices.DeleteFunc(slices.Clone(v.Rows), func(r *row) bool { return !r.Drifted() })
	}))
	mux.HandleFunc("GET /changes", p.page("changes.html", "Changes", p.changes))
	mux.HandleFunc("GET /runs", p.page("runs.html", "Runs", func(v *view) { v.Runs = recent(v.Rows, maxRuns) }))
	mux.HandleFunc("GET /problems", p.page("problems.html", "Problems", p.problems))
	mux.HandleFunc("GET /targets", p.page("targets.html", "Targets and sources", p.places))
	mux.HandleFunc("GET /unmanaged", p.page("unmanaged.html", "Unmanaged", func(v *view) {
		v.Rows = slices.DeleteFunc(slices.Clone(v.Rows), func(r *row) bool { return r.State != stateUnmanaged && r.State != stateForeign })
	}))
	mux.HandleFunc("GET /assets/{name}", p.asset)
}

// Drifted reports whether somebody changed it outside git.
func (r *row) Drifted() bool {
	return r.Status == sync.StatusDrifted || r.Status == sync.StatusMissing && r.State == stateMissing
}

// page serves one that shows many pipelines. fill adds what only it needs.
func (p *pages) page(name, title string, fill func(*view)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := p.view(r, title)
		v.Rows = v.Filter.apply(v.fleet.Rows)
		if fill != nil {
			fill(v)
		}
		p.write(w, r, http.StatusOK, name, v)
	}
}

// view begins a page.
func (p *pages) view(r *http.Request, title string) *view {
	user, _ := p.user(r)
	f, news := p.versioned()
	return &view{
		fleet: f, News: news, Path: r.URL.Path, Title: title, Filter: parseFilter(r.URL.Query().Get("q")),
		Instance: p.Instance, Version: p.Version, Nav: nav, Assets: p.addresses,
		User: user, Acting: p.Actions != nil && p.Actions.possible(), SignIn: p.Actions != nil && p.Actions.Token != nil,
	}
}

// write renders a page. It is rendered as a whole before the first byte is sent, so that a fault in it is no half
// page.
func (p *pages) write(w http.ResponseWriter, r *http.Request, code int, name string, v *view) {
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, name, v); err != nil {
		p.Log.Error("a page cannot be rendered; this is a bug of plumbline", zap.String("page", name), zap.Error(err))
		http.Error(w, "the page cannot be rendered", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // it may hold what only who is signed in may see
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		w.Write(page.Bytes())
	}
}

// asset serves a file of the binary. Its address has its digest, so it can be kept for ever.
func (p *pages) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}

// pipeline is the page of one.
func (p *pages) pipeline(w http.ResponseWriter, r *http.Request) {
	v := p.view(r, r.PathValue("name"))
	v.Row = v.find(r.PathValue("target"), r.PathValue("name"))
	if v.Row == nil {
		v.Title = "No such pipeline"
		p.write(w, r, http.StatusNotFound, "absent.html", v)
		return
	}
	v.Tab = "diff"
	if tab := r.URL.Query().Get("tab"); slices.Contains([]string{"runs", "history", "file"}, tab) {
		v.Tab = tab
	}
	if v.Tab == "history" {
		v.History = p.past(func(e journal.Entry) bool {
			return e.Pipeline == v.Row.Name && (e.Target == v.Row.Place.Name || e.Account == v.Row.Place.Account && e.Region == v.Row.Place.Region)
		}, 50)
	}
	p.write(w, r, http.StatusOK, "pipeline.html", v)
}

// past reads the journal.
func (p *pages) past(match func(journal.Entry) bool, limit int) []past {
	if p.History == nil {
		return nil
	}
	records, err := p.History(match, limit)
	if err != nil {
		p.Log.Warn("the journal cannot be read for a page", zap.Error(err))
	}
	return pasts(records)
}

// changes shows what is due, by commit, and what was done.
func (p *pages) changes(v *view) {
	v.Groups = v.fleet.commits(p.commits())
	v.History = p.past(func(e journal.Entry) bool { return e.Operation != "" }, 100)
}

// commits are those that the sources know.
func (p *pages) commits() map[string]source.Commit {
	known := map[string]source.Commit{}
	if p.Sources == nil {
		return known
	}
	for _, s := range p.Sources() {
		if s.Snapshot == nil {
			continue
		}
		for _, c := range s.Snapshot.Commits {
			known[c.ID] = c
		}
	}
	return known
}

// maxNeeds is how many pipelines that need somebody the first page tells of, one by one.
const maxNeeds = 100

// maxRuns is how many executions the page of all shows.
const maxRuns = 200

// recent returns the newest executions of the rows.
func recent(rows []*row, limit int) []runRow {
	var all []runRow
	for _, r := range rows {
		if r.Executions == nil {
			continue
		}
		for _, run := range r.Executions.Runs {
			all = append(all, runRow{run, r})
		}
	}
	slices.SortStableFunc(all, func(a, b runRow) int { return b.Started.Compare(a.Started) })
	return all[:min(limit, len(all))]
}

// problemView is one problem with the lines around it.
type problemView struct {
	pipeline.Problem
	Targets []string
	Lines   []sourceLine
}

// Sign is what tells severities apart beside colour and word.
func (p *problemView) Sign() string {
	return map[pipeline.Severity]string{pipeline.Error: "✕", pipeline.Warning: "!", pipeline.Note: "·"}[p.Severity]
}

type sourceLine struct {
	Number int
	Text   string
	Here   bool
}

// problems shows each problem once, with the targets that see it and the lines where it is.
func (p *pages) problems(v *view) {
	seen := map[string]int{}
	add := func(problem pipeline.Problem, target string) {
		key := problem.String() + "\x00" + problem.Path
		i, known := seen[key]
		if !known {
			i = len(v.Files)
			seen[key] = i
			v.Files = append(v.Files, &problemView{Problem: problem, Lines: p.lines(problem)})
		}
		if target != "" {
			v.Files[i].Targets = append(v.Files[i].Targets, target)
		}
	}
	for _, s := range v.Sources {
		for _, problem := range s.Problems {
			add(problem, "")
		}
	}
	for _, t := range v.Targets {
		for _, problem := range t.Problems {
			add(problem, t.Name)
		}
	}
	rank := map[pipeline.Severity]int{pipeline.Error: 0, pipeline.Warning: 1, pipeline.Note: 2}
	slices.SortStableFunc(v.Files, func(a, b *problemView) int { return rank[a.Severity] - rank[b.Severity] })
}

// lines returns the line of a problem with its neighbours, as the file has them; nothing where two sources have a file that it
// may be in, or where a secret may be near.
func (p *pages) lines(problem pipeline.Problem) []sourceLine {
	if problem.Line == 0 || p.Sources == nil {
		return nil
	}
	var found [][]byte
	for _, s := range p.Sources() {
		if s.Snapshot == nil {
			continue
		}
		for _, f := range s.Snapshot.Files {
			if problem.In(f.Path) {
				found = append(found, f.Data)
			}
		}
	}
	if len(found) != 1 || mayHoldSecret(found[0]) {
		return nil
	}
	return around(found[0], problem.Line)
}

// secretSigns are what tells, in lower case, that a file may hold a secret: the settings that are one, the owner whose
// settings nobody knows here, and an escape, behind which any of them can be.
var secretSigns = append(pipeline.SecretKeys(), "custom", `\u`)

// mayHoldSecret reports whether a file may hold a secret as it stands. A broken file cannot be parsed, so its text has to tell.
func mayHoldSecret(data []byte) bool {
	text := strings.ToLower(string(data))
	return slices.ContainsFunc(secretSigns, func(sign string) bool { return strings.Contains(text, strings.ToLower(sign)) })
}

func around(data []byte, line int) []sourceLine {
	lines := strings.Split(string(data), "\n")
	var shown []sourceLine
	for n := max(1, line-2); n <= min(len(lines), line+2); n++ {
		text := strings.ToValidUTF8(strings.TrimSuffix(lines[n-1], "\r"), "\uFFFD")
		if runes := []rune(text); len(runes) > 200 {
			text = string(runes[:200]) + "…"
		}
		shown = append(shown, sourceLine{n, text, n == line})
	}
	return shown
}

// Headline is the one sentence on top.
func (v *view) Headline() string {
	n, all, unseen := len(v.Needs), len(v.fleet.Rows), v.Unseen()
	if unseen != "" {
		unseen += " cannot be seen"
	}
	switch {
	case len(v.Targets) == 0:
		return "Nothing has been looked at yet"
	case n == 0 && unseen == "" && all == 1:
		return "The one pipeline is well"
	case n == 0 && unseen == "":
		return fmt.Sprintf("All %d pipelines are well", all)
	case n == 0:
		return "No pipeline needs you, but " + unseen
	}
	head := fmt.Sprintf("%d of %d pipelines need you", n, all)
	if n == 1 {
		head = fmt.Sprintf("1 of %s needs you", count(all, "pipeline"))
	}
	if unseen != "" {
		head += ", and " + unseen
	}
	return head
}

// Unseen counts what cannot be seen: "1 source and 2 targets"; "" for nothing.
func (v *view) Unseen() string {
	counts, parts := map[string]int{}, []string{}
	for _, t := range v.Trouble {
		counts[t.Kind]++
	}
	for _, kind := range []string{kindSource, kindTarget, kindQueue} {
		if n := counts[kind]; n > 0 {
			parts = append(parts, count(n, strings.ToLower(kind)))
		}
	}
	return strings.Join(parts, " and ")
}

// link is one to what a filter leaves.
type link struct {
	State state
	Count int
	Here  bool // the filter is this one
}

// States are the states that pipelines have, with how many, as links to them.
func (v *view) States() (all []link) {
	for _, s := range states {
		if n := v.Counts[s.State]; n > 0 {
			all = append(all, link{s.State, n, v.Filter.Text == "state:"+string(s.State)})
		}
	}
	return all
}

// Count is what stands beside a page's name in the bar on top; "" for nothing.
func (v *view) Count(path string) string {
	n := map[string]int{"/": len(v.Needs), "/drift": v.Drifts, "/problems": v.Faults}[path]
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// refused tells who sent a form why nothing was done.
func (p *pages) refused(w http.ResponseWriter, r *http.Request, code int, text, back string) {
	v := p.view(r, "Not done")
	v.Path, v.Notice = back, text
	p.write(w, r, code, "refused.html", v)
}

// Tabs are the parts of a pipeline's page.
func (v *view) Tabs() []string { return []string{"diff", "runs", "history", "file"} }

// FileCommit is the commit that brought in the file as it is.
func (v *view) FileCommit() string { return v.Row.fileCommit() }

func (r *row) fileCommit() string {
	if w := r.Place.report.Wanted(r.Name); w != nil {
		return w.Since
	}
	return ""
}

// FileURL is where the git host shows the file; "" for a host that is not known.
func (v *view) FileURL() string {
	w := v.Row.Place.report.Wanted(v.Row.Name)
	if w == nil || w.Origin == nil || w.Since == "" {
		return ""
	}
	return hostURL(w.Origin.Snapshot.Source, w.Origin.Snapshot.Commit, w.Path)
}

// hostURL is the address of a file on a git host that is known, from a source's default name, which is host/path.
func hostURL(source, commit, path string) string {
	host, repository, ok := strings.Cut(strings.TrimSuffix(source, ".git"), "/")
	if !ok {
		return ""
	}
	between := map[string]string{"github.com": "/blob/", "gitlab.com": "/-/blob/", "bitbucket.org": "/src/", "codeberg.org": "/src/commit/"}[host]
	if between == "" {
		return ""
	}
	u := url.URL{Scheme: "https", Host: host, Path: "/" + repository + between + commit + "/" + path}
	return u.String()
}

// coverage is how many of a target's live pipelines are ours.
type coverage struct {
	Name         string
	Managed, All int
}

// Coverage is that of every target.
func (v *view) Coverage() (all []coverage) {
	for _, t := range v.Targets {
		c := coverage{Name: t.Name, Managed: t.Ownership[sync.Managed]}
		for _, n := range t.Ownership {
			c.All += n
		}
		all = append(all, c)
	}
	return all
}

package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/plumbline/plumbline/execution"
	"github.com/plumbline/plumbline/journal"
	"github.com/plumbline/plumbline/live"
	"github.com/plumbline/plumbline/sync"
)

// AdminConfig says what the private listener tells. All functions are called from several goroutines at once and
// must answer at once, from what they remember. Those that are nil have nothing to tell.
type AdminConfig struct {
	Version  string // of the program
	Instance string // its name, as in the ownership tags

	// Alive returns an error only if the loop itself has come to a halt, so that a restart would help. AWS or a
	// git server being away is no reason. nil for always.
	Alive func() error
	// Ready returns an error, a sentence that says what is waited for, until there is a first report. nil for
	// always.
	Ready func() error

	Sources    func() []sync.SourceState  // what is known of each source
	Reports    func() []*sync.Report      // the latest of each target
	Executions func() []*execution.Report // the latest of each target whose executions are followed
	History    func(match func(journal.Entry) bool, limit int) ([]journal.Record, error)
	Budget     func(target string) (b live.Budget, known bool) // of its requests to AWS
	Refresh    func()                                          // has every source looked at and every target passed over soon; must not block
	Metrics    http.Handler                                    // of GET /metrics; nil for none
	Deliveries *Deliveries                                     // of webhooks; nil for none

	Actions  *Actions        // nil: nobody can do anything here
	Stopping <-chan struct{} // closed when the streams of events are to end; nil for never

	Log *zap.Logger // nil for none
}

// Admin returns the handler of the private listener:
//
//	GET  /healthz         200 while the loop moves, also while AWS or git is away; else 503 and the reason
//	GET  /readyz          200 once there is a report; before that 503 and what is waited for
//	GET  /metrics         the handler of the config
//	GET  /api/v1/status   a Status; with an ETag, so that those who ask often get 304 while nothing is new
//	GET  /api/v1/…        what openapi.json says: pipelines, executions, history, events
//	POST /api/v1/…        refresh, suspend, resume, revert: 202 once it is written down, 401 without the token,
//	                      403 for a page of another origin and where nobody may act
//	GET  /                the pages, their assets and the badges
//
// Every other path is 404 and every other method 405. HEAD goes where GET goes. Reading takes no authentication:
// the listener is for loopback, a private network, or a proxy that asks who it is. Acting takes what [Actions] says.
func Admin(cfg AdminConfig) http.Handler {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	a := &admin{AdminConfig: cfg, origins: http.NewCrossOriginProtection(), sessions: newSessions()}
	a.pages = newPages(a)
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { probe(w, cfg.Alive) })
	a.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { probe(w, cfg.Ready) })
	a.mux.HandleFunc("GET /api/v1/status", a.status)
	a.registerAPI()
	a.pages.register(&a.mux)
	a.mux.HandleFunc("GET /badge.svg", a.fleetBadge)
	a.mux.HandleFunc("GET /badges/{target}/{file}", a.pipelineBadge)
	a.mux.HandleFunc("POST /sign-in", a.signIn)
	a.mux.HandleFunc("POST /sign-out", a.signOut)
	if cfg.Metrics != nil {
		a.mux.Handle("GET /metrics", cfg.Metrics)
	}
	return a
}

type admin struct {
	AdminConfig
	mux     http.ServeMux
	origins *http.CrossOriginProtection

	pages    *pages
	made     made
	sessions *sessions
	streams  atomic.Int64 // of events, that are open
}

// ServeHTTP keeps from the mux what it would redirect: a path that is not clean is no path of ours.
func (a *admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if path.Clean(r.URL.Path) != r.URL.Path {
		http.NotFound(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// probe answers 200 or, with the reason, 503.
func probe(w http.ResponseWriter, check func() error) {
	if check != nil {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// status writes the document as a whole, since its ETag is a digest of it. http.ServeContent then knows what to
// do with If-None-Match, HEAD and ranges.
func (a *admin) status(w http.ResponseWriter, r *http.Request) {
	document, err := json.Marshal(a.now())
	if err != nil {
		a.Log.Error("the status cannot be written as JSON; this is a bug of plumbline", zap.Error(err))
		http.Error(w, "the status cannot be written", http.StatusInternalServerError)
		return
	}
	digest := sha256.Sum256(document)
	w.Header().Set("ETag", `"`+hex.EncodeToString(digest[:16])+`"`)
	w.Header().Set("Content-Type", "application/json")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(append(document, '\n')))
}

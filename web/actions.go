package web

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Actions is what people may do through the page and the API, and how they show that they may. Without a Token and a
// UserHeader nobody may.
type Actions struct {
	// Token returns what a person or a program shows in order to act, without the newline at the end of a file. nil for
	// none; an error or an empty token lets nobody act.
	Token func() ([]byte, error)
	// UserHeader is the header in which a proxy in front names who is signed in, believed only from Proxies. "" for none.
	UserHeader string
	Proxies    []netip.Prefix

	// What can be done. by is who asks, reason is never empty; "" as pipeline is all of the target, "" as target all of
	// them. They return once it is written down.
	Suspend func(target, pipeline, by, reason string, until time.Time) error
	Resume  func(target, pipeline, by, reason string) error
	Revert  func(target, pipeline, by, reason string) error
}

func (a *Actions) possible() bool { return a.Token != nil || a.UserHeader != "" }

// Limits of what people send.
const (
	maxForm    = 64 << 10
	maxReasons = 500 // characters
	sessionFor = 12 * time.Hour
	maxSession = 200

	// minToken is how long a token must be, in bytes. Wrong ones are not counted: who guesses could keep out who knows, and
	// one of this length is not guessed.
	minToken = 16
)

const sessionCookie = "plumbline_session"

// sessions are the browsers that have shown the token. A restart forgets them.
type sessions struct {
	mu    sync.Mutex
	users map[[32]byte]session
}

type session struct {
	user  string
	until time.Time
}

func newSessions() *sessions {
	return &sessions{users: map[[32]byte]session{}}
}

// begin returns the secret of a new session.
func (s *sessions) begin(user string) string {
	secret := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for k, v := range s.users {
		if now.After(v.until) || len(s.users) >= maxSession {
			delete(s.users, k)
		}
	}
	s.users[sha256.Sum256([]byte(secret))] = session{user, now.Add(sessionFor)}
	return secret
}

func (s *sessions) user(secret string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.users[sha256.Sum256([]byte(secret))]; ok && time.Now().Before(v.until) {
		return v.user
	}
	return ""
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, sha256.Sum256([]byte(secret)))
}

// user returns who may act with this request, "" for nobody.
func (a *admin) user(r *http.Request) (string, error) {
	if a.Actions == nil {
		return "", nil
	}
	if name := a.proxied(r); name != "" {
		return name, nil
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if err := a.rightToken(bearer); err != nil {
			return "", err
		}
		return cmp.Or(oneLine(r.Header.Get("X-Plumbline-User"), 100), "who has the token"), nil
	}
	if c, err := r.Cookie(sessionCookie); err == nil {
		return a.sessions.user(c.Value), nil
	}
	return "", nil
}

// proxied is whom a trusted proxy names.
func (a *admin) proxied(r *http.Request) string {
	if a.Actions.UserHeader == "" {
		return ""
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	from, err := netip.ParseAddr(host)
	if err != nil || !slices.ContainsFunc(a.Actions.Proxies, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) }) {
		return ""
	}
	return oneLine(r.Header.Get(a.Actions.UserHeader), 100)
}

// rightToken compares a token with the right one, in a time that tells nothing of it.
func (a *admin) rightToken(given string) error {
	if a.Actions.Token == nil {
		return errors.New("no token is configured")
	}
	right, err := a.Actions.Token()
	if err != nil {
		a.Log.Error("the token of the page cannot be read; nobody can act", zap.Error(err))
		return errors.New("the token cannot be read here; see the log")
	}
	if len(right) < minToken {
		a.Log.Error("the token of the page is too short to be one; nobody can act", zap.Int("least", minToken))
		return fmt.Errorf("the token in web.tokenFile is too short: it takes %d characters, such as openssl rand -hex 16 gives", minToken)
	}
	g, want := sha256.Sum256([]byte(given)), sha256.Sum256(right)
	if subtle.ConstantTimeCompare(g[:], want[:]) != 1 {
		return errors.New("that is not the token")
	}
	return nil
}

// ask is one action as it was sent.
type ask struct {
	Target   string `json:"target"`
	Pipeline string `json:"pipeline"`
	Reason   string `json:"reason"`
	For      string `json:"for"` // of a suspension, such as 2h; "" until somebody resumes

	user string
	back string // where a form was on; "" for a program
}

// denial is why an action is not made.
type denial struct {
	code int
	text string
}

func (d *denial) Error() string { return d.text }

// act makes the handler of one action.
func (a *admin) act(name string, do func(*ask) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asked, err := a.asked(w, r)
		if err == nil {
			err = do(asked)
		}
		if err == nil {
			a.Log.Info("asked for through the page", zap.String("action", name), zap.String("target", asked.Target), zap.String("pipeline", asked.Pipeline),
				zap.String("by", asked.user), zap.String("reason", asked.Reason))
		}
		a.answer(w, r, asked, err)
	}
}

// asked reads a request and checks that who sent it may.
func (a *admin) asked(w http.ResponseWriter, r *http.Request) (*ask, error) {
	asked := &ask{}
	if err := a.origins.Check(r); err != nil {
		return asked, &denial{http.StatusForbidden, "a page of another origin cannot act here"}
	}
	form, err := readAsk(w, r, asked)
	if err != nil {
		return asked, &denial{http.StatusBadRequest, err.Error()}
	}
	if form {
		asked.back = backOf(r.PostForm.Get("back"))
	}
	switch {
	case a.Actions == nil || !a.Actions.possible():
		return asked, &denial{http.StatusForbidden, "this page is read-only: neither web.tokenFile nor web.userHeader is configured"}
	}
	if asked.user, err = a.user(r); err != nil {
		return asked, &denial{http.StatusUnauthorized, err.Error()}
	}
	if asked.user == "" {
		return asked, &denial{http.StatusUnauthorized, "sign in first: show the token as Authorization: Bearer …, or on the page"}
	}
	if asked.Reason = oneLine(asked.Reason, maxReasons); asked.Reason == "" {
		return asked, &denial{http.StatusBadRequest, "say why: reason is empty, and whoever comes next will want to know"}
	}
	return asked, nil
}

// readAsk reads the body, JSON or a form.
func readAsk(w http.ResponseWriter, r *http.Request, asked *ask) (form bool, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) == "application/x-www-form-urlencoded" {
		if err := r.ParseForm(); err != nil {
			return true, fmt.Errorf("the form cannot be read: %w", err)
		}
		asked.Target, asked.Pipeline, asked.Reason, asked.For = r.PostForm.Get("target"), r.PostForm.Get("pipeline"), r.PostForm.Get("reason"), r.PostForm.Get("for")
		return true, nil
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(asked); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("the body is no JSON such as {\"target\":…,\"pipeline\":…,\"reason\":…}: %w", err)
	}
	return false, nil
}

// backOf keeps a form from leading people elsewhere.
func backOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(address, "\\\r\n") {
		return "/"
	}
	return u.String()
}

// answer ends an action: a form goes back to its page, a program gets JSON.
func (a *admin) answer(w http.ResponseWriter, r *http.Request, asked *ask, err error) {
	code, text := http.StatusAccepted, "written down"
	if err != nil {
		var no *denial
		code, text = http.StatusInternalServerError, err.Error()
		if errors.As(err, &no) {
			code = no.code
		} else {
			a.Log.Error("an action that was asked for failed", zap.Error(err))
		}
	}
	if asked.back != "" && err == nil {
		http.Redirect(w, r, asked.back, http.StatusSeeOther)
		return
	}
	if asked.back != "" {
		a.pages.refused(w, r, code, text, asked.back)
		return
	}
	key := "done"
	if err != nil {
		key = "error"
	}
	short(w, code, key, text)
}

// scope checks that what an action is about exists.
func (a *admin) scope(asked *ask, needsPipeline bool) error {
	f := a.fleet()
	if asked.Target != "" && !slices.ContainsFunc(f.Targets, func(p *place) bool { return p.Name == asked.Target }) {
		return &denial{http.StatusNotFound, fmt.Sprintf("there is no target called %q", asked.Target)}
	}
	if asked.Pipeline == "" && needsPipeline {
		return &denial{http.StatusBadRequest, "say which pipeline"}
	}
	if asked.Pipeline != "" && f.find(asked.Target, asked.Pipeline) == nil {
		return &denial{http.StatusNotFound, fmt.Sprintf("target %q has no pipeline called %q", asked.Target, asked.Pipeline)}
	}
	return nil
}

func (a *admin) suspend(asked *ask) error {
	if err := a.scope(asked, false); err != nil {
		return err
	}
	var until time.Time
	if asked.For != "" {
		d, err := time.ParseDuration(asked.For)
		if err != nil || d <= 0 || d > 366*24*time.Hour {
			return &denial{http.StatusBadRequest, fmt.Sprintf("for: %q is no time such as 2h or 30m", asked.For)}
		}
		until = time.Now().Add(d).UTC().Truncate(time.Second)
	}
	return a.Actions.Suspend(asked.Target, asked.Pipeline, asked.user, asked.Reason, until)
}

func (a *admin) resume(asked *ask) error {
	if err := a.scope(asked, false); err != nil {
		return err
	}
	return a.Actions.Resume(asked.Target, asked.Pipeline, asked.user, asked.Reason)
}

func (a *admin) revert(asked *ask) error {
	if err := a.scope(asked, true); err != nil {
		return err
	}
	if r := a.fleet().find(asked.Target, asked.Pipeline); !r.Drifted() {
		return &denial{http.StatusConflict, fmt.Sprintf("%s in %s is not drifted; there is nothing to put back", asked.Pipeline, asked.Target)}
	}
	return a.Actions.Revert(asked.Target, asked.Pipeline, asked.user, asked.Reason)
}

// signIn takes the token from a form and gives the browser a session.
func (a *admin) signIn(w http.ResponseWriter, r *http.Request) {
	if err := a.origins.Check(r); err != nil {
		http.Error(w, "a page of another origin cannot sign in here", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	back := backOf(r.PostFormValue("back"))
	if a.Actions == nil || a.Actions.Token == nil {
		a.pages.refused(w, r, http.StatusForbidden, "no token is configured (web.tokenFile); the page is read-only", back)
		return
	}
	if err := a.rightToken(r.PostFormValue("token")); err != nil {
		a.Log.Warn("somebody tried to sign in with a wrong token", zap.String("from", r.RemoteAddr))
		a.pages.refused(w, r, http.StatusUnauthorized, err.Error(), back)
		return
	}
	name := cmp.Or(oneLine(r.PostFormValue("name"), 100), "who has the token")
	a.setCookie(w, r, a.sessions.begin(name), int(sessionFor.Seconds()))
	http.Redirect(w, r, back, http.StatusSeeOther)
}

func (a *admin) signOut(w http.ResponseWriter, r *http.Request) {
	if err := a.origins.Check(r); err != nil {
		http.Error(w, "a page of another origin cannot sign out here", http.StatusForbidden)
		return
	}
	if c, err := r.Cookie(sessionCookie); err == nil {
		a.sessions.end(c.Value)
	}
	a.setCookie(w, r, "", -1)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *admin) setCookie(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	})
}

// oneLine makes one line of limited length of what somebody wrote.
func oneLine(text string, limit int) string {
	text = strings.Join(strings.Fields(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit])
	}
	return text
}

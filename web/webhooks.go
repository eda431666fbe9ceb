package web

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// WebhooksConfig says who may send webhooks, and what they start.
type WebhooksConfig struct {
	Hooks []Hook
	// Nudge has a source looked at soon. It must not block, and is called from several goroutines, also up to a
	// Gap after the last request.
	Nudge func(source string)

	MaxBody int64         // longer bodies are refused; zero is 25 MiB, the most that GitHub sends
	Gap     time.Duration // the least time between two nudges of a source; zero is 5 s

	Deliveries *Deliveries // is told of each; nil for nobody
	Log        *zap.Logger // nil for none
}

// Hook is one source that can be sent webhooks.
type Hook struct {
	Source string // its name
	// Secret returns what the sender and we alone know, without the newline at the end of a file. It is asked
	// again a second later at the earliest, so a secret that is changed works soon. Without a function,
	// with an empty secret or an error the source has no webhook.
	Secret func() ([]byte, error)
}

// Webhooks returns the handler of the public listener: POST /webhooks/<source name>, where the name is the rest of
// the path, decoded once. The answers are
//
//	202  the sender knows the secret; the source is looked at, now or when Gap is over
//	401  it does not show that it does
//	404  no such source, or one without a secret
//	405  not a POST
//	413  the body is longer than MaxBody
//	429  too many requests were refused lately, and this one would cost something to judge
//
// and they have no more to say: why a request was refused is in the log, for each source once a minute.
//
// The secret is shown by the signature of GitHub (X-Hub-Signature-256), Bitbucket (X-Hub-Signature), Forgejo and
// Gitea (X-Forgejo-Signature, X-Gitea-Signature), GitLab (webhook-signature, else X-Gitlab-Token), or in
// X-Plumbline-Signature: sha256= and the hex HMAC-SHA-256 of the body.
//
// A repeated request is not refused, since senders repeat what they think was lost, and since it can do no harm:
// it merges with others into one nudge in every Gap.
func Webhooks(cfg WebhooksConfig) http.Handler {
	s := &webhooks{
		hooks: map[string]*hook{}, maxBody: cmp.Or(cfg.MaxBody, 25<<20), told: cfg.Deliveries, log: cfg.Log,
		refusals: rate.NewLimiter(refusalRate, refusalBurst), flood: rate.Sometimes{Interval: time.Minute},
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	for _, h := range cfg.Hooks {
		if h.Secret == nil {
			continue // off
		}
		s.hooks[h.Source] = &hook{
			source:  h.Source,
			secret:  secret{read: h.Secret},
			gate:    gate{gap: cmp.Or(cfg.Gap, 5*time.Second), open: func() { cfg.Nudge(h.Source) }},
			unread:  rate.Sometimes{Interval: time.Minute},
			refused: rate.Sometimes{Interval: time.Minute},
		}
	}
	return s
}

// Requests are refused at this rate with reasons. While there are more, those that would cost something are
// refused unread. Those that cost nothing are still judged, because otherwise a few requests a second from
// anywhere would keep all webhooks away.
const (
	refusalRate  = 10 // a second
	refusalBurst = 100
	// cheapBody costs nothing: net/http itself reads this much of a body that its handler has left unread.
	cheapBody = 256 << 10
)

type webhooks struct {
	hooks    map[string]*hook // :: source name → hook
	maxBody  int64
	refusals *rate.Limiter
	flood    rate.Sometimes // says so
	told     *Deliveries
	log      *zap.Logger
}

// refusal is an answer other than 202. Why is for the log, never for the sender.
type refusal struct {
	status int
	why    error
}

// ServeHTTP answers one request. One that is refused costs a few lookups and, if it is signed, the hash of a body
// of bounded length; it leaves nothing behind.
func (s *webhooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	h, no := s.judge(w, r)
	if no == nil {
		s.log.Debug("a webhook was accepted", zap.String("source", h.source), zap.String("delivery", delivery(r.Header)))
		s.told.note(h.source, nil)
		h.gate.knock()
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if h != nil {
		s.told.note(h.source, no)
		h.refused.Do(func() {
			s.log.Warn("a webhook was refused", zap.String("source", h.source), zap.Error(no.why), zap.String("from", r.RemoteAddr))
		})
	}
	if !s.refusals.Allow() {
		no.status = http.StatusTooManyRequests
		s.flood.Do(func() {
			s.log.Warn("many webhook requests are refused; for as long as that lasts, long bodies are not judged")
		})
	}
	http.Error(w, http.StatusText(no.status), no.status)
}

// judge returns the hook that a request is for, if there is one, and why it is refused, if it is. What costs
// nothing comes first; the body is read last.
func (s *webhooks) judge(w http.ResponseWriter, r *http.Request) (*hook, *refusal) {
	name, found := strings.CutPrefix(r.URL.Path, "/webhooks/")
	if !found {
		return nil, &refusal{status: http.StatusNotFound}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, &refusal{status: http.StatusMethodNotAllowed}
	}
	h := s.hooks[name]
	if h == nil {
		return nil, &refusal{status: http.StatusNotFound}
	}
	secret, err := h.secret.now()
	if err != nil {
		h.unread.Do(func() {
			s.log.Error("the secret of a webhook cannot be read; it is off until it can", zap.String("source", h.source), zap.Error(err))
		})
	}
	if len(secret) == 0 {
		return nil, &refusal{status: http.StatusNotFound}
	}
	return h, s.authenticate(w, r, secret)
}

var errLong = errors.New("its body is too long")

// authenticate returns why a request does not show that its sender knows the secret, nil if it does.
func (s *webhooks) authenticate(w http.ResponseWriter, r *http.Request, secret []byte) *refusal {
	p, err := offered(r.Header, time.Now())
	switch {
	case err != nil:
		return &refusal{http.StatusUnauthorized, err}
	case r.ContentLength > s.maxBody:
		return &refusal{http.StatusRequestEntityTooLarge, errLong}
	case (r.ContentLength < 0 || r.ContentLength > cheapBody) && s.refusals.Tokens() < 1:
		return &refusal{http.StatusTooManyRequests, errors.New("too many others were refused just before")}
	}
	err = p.check(secret, http.MaxBytesReader(w, r.Body, s.maxBody))
	var long *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &long):
		return &refusal{http.StatusRequestEntityTooLarge, errLong}
	}
	return &refusal{http.StatusUnauthorized, err}
}

// delivery returns the name that a sender gave to a request, for whoever compares the log with the sender's.
func delivery(h http.Header) string {
	for _, name := range []string{"X-Github-Delivery", "X-Gitea-Delivery", "X-Gitlab-Event-Uuid", "Webhook-Id", "X-Request-Uuid", "X-Request-Id"} {
		if id := h.Get(name); id != "" {
			return id[:min(64, len(id))]
		}
	}
	return ""
}

package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const controlPath = "/_emulator/"

// controlHandler is the interface for a process of its own; the package comment documents it.
func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(body []byte) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { serveControl(w, r, f) })
	}
	do := func(f func()) func([]byte) (any, error) {
		return func([]byte) (any, error) { f(); return map[string]any{}, nil }
	}
	handle("GET /_emulator/healthz", func([]byte) (any, error) { return map[string]string{"status": "ok"}, nil })
	handle("GET /_emulator/calls", func([]byte) (any, error) { return append([]Call{}, s.Calls()...), nil })
	handle("DELETE /_emulator/calls", do(s.ResetCalls))
	handle("POST /_emulator/reset", do(s.Reset))
	handle("DELETE /_emulator/faults", do(s.ClearFaults))
	handle("POST /_emulator/faults", func(body []byte) (any, error) {
		return added(body, func(w wireFault) error {
			if w.Delay != "" {
				d, err := time.ParseDuration(w.Delay)
				if err != nil {
					return err
				}
				w.Fault.Delay = d
			}
			return s.AddFault(w.Fault)
		})
	})
	handle("POST /_emulator/outcomes", func(body []byte) (any, error) {
		return added(body, func(w wireOutcome) error {
			o, err := w.outcome()
			if err != nil {
				return err
			}
			return s.Script(o)
		})
	})
	handle("POST /_emulator/changes", func(body []byte) (any, error) {
		var ch Change
		if err := strictly(body, &ch); err != nil {
			return nil, err
		}
		id, err := s.SourceChange(ch)
		return map[string]string{"pipelineExecutionId": id}, err
	})
	handle("DELETE /_emulator/rules", do(s.ClearEventRules))
	handle("POST /_emulator/rules", func(body []byte) (any, error) {
		return added(body, func(w wireRule) (err error) {
			if w.Delay != "" {
				if w.EventRule.Delay, err = time.ParseDuration(w.Delay); err != nil {
					return err
				}
			}
			return s.AddEventRule(w.EventRule)
		})
	})
	handle("POST /_emulator/secrets", func(body []byte) (any, error) {
		return added(body, func(secret Secret) error { _, err := s.SetSecret(secret); return err })
	})
	handle("POST /_emulator/parameters", func(body []byte) (any, error) {
		return added(body, func(p Parameter) error { _, err := s.SetParameter(p); return err })
	})
	handle("POST /_emulator/tags", func(body []byte) (any, error) { return added(body, s.SetTags) })
	handle("POST /_emulator/complete", func(body []byte) (any, error) {
		var w wireOutcome
		if err := strictly(body, &w); err != nil {
			return nil, err
		}
		o, err := w.outcome()
		if err != nil {
			return nil, err
		}
		n, err := s.Complete(o)
		return map[string]int{"completed": n}, err
	})
	return mux
}

// wireFault is a Fault whose delay is written for people.
type wireFault struct {
	Fault
	Delay string `json:"delay"`
}

// wireOutcome is an Outcome whose durations are written for people.
type wireOutcome struct {
	Outcome
	Duration    string `json:"duration"`
	MaxDuration string `json:"maxDuration"`
}

func (w wireOutcome) outcome() (Outcome, error) {
	o := w.Outcome
	var errs [2]error
	if w.Duration != "" {
		o.Duration, errs[0] = time.ParseDuration(w.Duration)
	}
	if w.MaxDuration != "" {
		o.MaxDuration, errs[1] = time.ParseDuration(w.MaxDuration)
	}
	return o, errors.Join(errs[:]...)
}

// wireRule is likewise an EventRule.
type wireRule struct {
	EventRule
	Delay string `json:"delay"`
}

func serveControl(w http.ResponseWriter, r *http.Request, f func(body []byte) (any, error)) {
	body, err := io.ReadAll(r.Body)
	var out any
	if err == nil {
		out, err = f(body)
	}
	status := http.StatusOK
	if err != nil {
		status, out = http.StatusBadRequest, map[string]string{"error": err.Error()}
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			status = http.StatusRequestEntityTooLarge
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(encode(out), '\n'))
}

// added hands one rule, or each of a list, to add.
func added[T any](body []byte, add func(T) error) (any, error) {
	var rules []T
	if err := json.Unmarshal(body, new([]json.RawMessage)); err != nil {
		body = []byte(fmt.Sprintf("[%s]", body)) // one rule is a list of one
	}
	if err := strictly(body, &rules); err != nil {
		return nil, err
	}
	for _, rule := range rules {
		if err := add(rule); err != nil {
			return nil, err
		}
	}
	return map[string]int{"added": len(rules)}, nil
}

// strictly refuses unknown members: a rule with a misspelt one would match everything.
func strictly(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

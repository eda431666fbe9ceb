package metrics

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/plumbline/plumbline/execution"
)

// sample is one series with its value. The library's constant metrics would do the same, but they copy every
// label of every series, which at thousands of pipelines is most of what a scrape costs; here series share
// their labels.
type sample struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	value   float64
	counter bool
}

// Desc implements [prometheus.Metric].
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements [prometheus.Metric].
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.counter {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// histogram is a histogram whose labels are known later than its first observation.
type histogram struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	counts prometheus.Histogram
}

// Desc implements [prometheus.Metric].
func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements [prometheus.Metric].
func (h *histogram) Write(out *dto.Metric) error {
	err := h.counts.Write(out)
	out.Label = h.labels
	return err
}

// samples collects series of the catalog.
type samples struct {
	descs *[metricCount]*prometheus.Desc
	list  []sample
}

func (s *samples) add(m metric, labels []*dto.LabelPair, value float64) {
	s.list = append(s.list, sample{s.descs[m], labels, value, catalog[m].kind == counter})
}

// at adds a time, and nothing where there is none.
func (s *samples) at(m metric, labels []*dto.LabelPair, t time.Time) {
	if !t.IsZero() {
		s.add(m, labels, float64(t.UnixMilli())/1000)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func pair(name, value string) *dto.LabelPair {
	value = clean(value)
	return &dto.LabelPair{Name: &name, Value: &value}
}

// with returns the labels together, in the order that the library wants.
func with(labels []*dto.LabelPair, more ...*dto.LabelPair) []*dto.LabelPair {
	all := append(slices.Clone(labels), more...)
	slices.SortFunc(all, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return all
}

// withEach returns the labels with each of more.
func withEach(labels, more []*dto.LabelPair) [][]*dto.LabelPair {
	all := make([][]*dto.LabelPair, len(more))
	for i, l := range more {
		all[i] = with(labels, l)
	}
	return all
}

// longest is how many bytes of a label's value are kept. Names that AWS and the configuration accept are
// shorter; the name in a broken file need not be.
const longest = 200

// clean makes a label's value of any text. One value that is no UTF-8 would fail the scrape as a whole, and one
// of a megabyte, of which every series of a pipeline has a copy, would do worse.
func clean(s string) string {
	if len(s) <= longest && !strings.ContainsFunc(s, spoils) {
		return s
	}
	text := strings.Map(func(r rune) rune {
		if spoils(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	if len(text) <= longest {
		return text
	}
	sum := sha256.Sum256([]byte(s)) // two long texts that begin alike stay two series
	return strings.ToValidUTF8(text[:longest-20], "") + "…" + hex.EncodeToString(sum[:8])
}

func spoils(r rune) bool { return r == utf8.RuneError || unicode.IsControl(r) }

// vocabulary has the label pairs that every pipeline needs, so that there is one of each.
type vocabulary struct {
	statuses, edits []*dto.LabelPair
	ends, last      []*dto.LabelPair // of executions: :: as ends, as execution.Statuses
}

func newVocabulary() *vocabulary {
	v := &vocabulary{}
	for _, s := range statuses {
		v.statuses = append(v.statuses, pair("status", string(s)))
	}
	for _, e := range edits {
		v.edits = append(v.edits, pair("change", e))
	}
	for _, s := range ends {
		v.ends = append(v.ends, pair("status", s))
	}
	for _, s := range execution.Statuses {
		v.last = append(v.last, pair("status", s))
	}
	return v
}

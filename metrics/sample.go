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
//
// There are twenty of them for each pipeline and they stay from scrape to scrape, so they are small: a label that only
// this one has joins the others while it is written.
type sample struct {
	of     *family
	labels *labels
	own    *dto.LabelPair // one more; may be nil
	value  float64
}

// family is what the series of one name share.
type family struct {
	desc    *prometheus.Desc
	counter bool
}

// families are those of the catalog.
type families [metricCount]family

// labels are labels of a series, or of many, in the order that the library wants. nil has none.
type labels struct{ pairs []*dto.LabelPair }

// Desc implements [prometheus.Metric].
func (s *sample) Desc() *prometheus.Desc { return s.of.desc }

// Write implements [prometheus.Metric].
func (s *sample) Write(out *dto.Metric) error {
	if s.own != nil {
		out.Label = with(s.labels, s.own).pairs
	} else if s.labels != nil {
		out.Label = s.labels.pairs
	}
	if s.of.counter {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// histogram is a histogram whose labels are known later than its first observation.
type histogram struct {
	desc   *prometheus.Desc
	labels *labels
	counts prometheus.Histogram
}

// Desc implements [prometheus.Metric].
func (h *histogram) Desc() *prometheus.Desc { return h.desc }

// Write implements [prometheus.Metric].
func (h *histogram) Write(out *dto.Metric) error {
	err := h.counts.Write(out)
	out.Label = h.labels.pairs
	return err
}

// samples collects series of the catalog.
type samples struct {
	families *families
	list     []sample
}

func (s *samples) add(m metric, of *labels, value float64) { s.addOwn(m, of, nil, value) }

// addOwn adds a series that has one label more than others of its kind.
func (s *samples) addOwn(m metric, of *labels, own *dto.LabelPair, value float64) {
	s.list = append(s.list, sample{&s.families[m], of, own, value})
}

// at adds a time, and nothing where there is none.
func (s *samples) at(m metric, of *labels, t time.Time) {
	if !t.IsZero() {
		s.add(m, of, float64(t.UnixMilli())/1000)
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

// with returns the labels together.
func with(some *labels, more ...*dto.LabelPair) *labels {
	all := &labels{}
	if some != nil {
		all.pairs = slices.Grow(all.pairs, len(some.pairs)+len(more))
		all.pairs = append(all.pairs, some.pairs...)
	}
	all.pairs = append(all.pairs, more...)
	slices.SortFunc(all.pairs, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
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

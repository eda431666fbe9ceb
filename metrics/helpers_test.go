package metrics

import dto "github.com/prometheus/client_model/go"

// series returns the series of a metric that have all of the labels, given as names and values.
func (b *bench) series(name string, labels ...string) []*dto.Metric {
	b.Helper()
	families, err := b.reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	var found []*dto.Metric
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && has(m, labels) {
				found = append(found, m)
			}
		}
	}
	return found
}

func has(m *dto.Metric, labels []string) bool {
	have := map[string]string{}
	for _, l := range m.GetLabel() {
		have[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(labels); i += 2 {
		if have[labels[i]] != labels[i+1] {
			return false
		}
	}
	return true
}

// value returns the sum of the series that have all of the labels.
func (b *bench) value(name string, labels ...string) float64 {
	b.Helper()
	sum := 0.0
	for _, m := range b.series(name, labels...) {
		sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
	}
	return sum
}

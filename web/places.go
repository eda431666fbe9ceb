package web

import "github.com/plumbline/plumbline/live"

// placeView is a target on its page.
type placeView struct {
	*place
	Counts map[state]int
	Budget *budget // nil where it is not known
}

// budget is that of a target's requests to AWS.
type budget struct{ live.Budget }

// Allowed is how many requests could have been sent within the time that is told of.
func (b *budget) Allowed() int { return int(b.PerSecond * live.BudgetSpan.Seconds()) }

// Percent is the share of that which was sent.
func (b *budget) Percent() int { return 100 * b.Sent() / max(1, b.Allowed()) }

// Slowed reports whether AWS makes us slower than configured.
func (b *budget) Slowed() bool { return b.Rate < b.PerSecond }

func (a *admin) budget(target string) *budget {
	if a.Budget == nil {
		return nil
	}
	b, known := a.Budget(target)
	if !known {
		return nil
	}
	return &budget{b}
}

// counts are how many pipelines of a target have each state.
func (p *place) counts() map[state]int {
	all := map[state]int{}
	for _, r := range p.Rows {
		all[r.State]++
	}
	return all
}

func (p *pages) places(v *view) {
	for _, t := range v.Targets {
		v.Places = append(v.Places, placeView{t, t.counts(), p.budget(t.Name)})
	}
}

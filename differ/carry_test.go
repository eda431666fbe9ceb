package differ

import (
	"testing"

	"pgregory.net/rapid"
)

// TestCarry: when every difference is carried over, nothing differs.
func TestCarry(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		desired, live := draw(rt, "desired"), fill(draw(rt, "live"))
		body := desired.Clone()
		for range 2 { // an action's type that is carried over gives its settings other defaults
			d := Compare(body, live, region)
			for _, e := range append(d.Edits, d.Unknown...) {
				if !Carry(body, live, e) {
					rt.Fatalf("%s cannot be carried over\nbody %s\nlive %s", e.Path, body, live)
				}
			}
		}
		if left := Compare(body, live, region); len(left.Edits)+len(left.Unknown) > 0 {
			rt.Fatalf("still different:\n%s\nbody %s\nlive %s", sentences(left), body, live)
		}
	})
}

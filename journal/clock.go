package journal

import "time"

// clock tells how long ago something was, though the machine's clock may jump: it is set by hand, or by a server of time
// that is asked late. Between two readings in this process nothing but the steady clock counts. Only how old a line of the
// file is cannot be told but by the machine's clock, once, when the line is read.
type clock struct {
	wall   func() time.Time // the machine's
	opened time.Time        // by it
	began  time.Time        // the same moment, by a clock that never jumps
}

func startClock(d Disk) clock {
	return clock{d.Now, d.Now().Round(0), time.Now()} // without Round, times would be compared by another clock than the one they show
}

// steady is the machine's clock as it would be had it not jumped since the journal was opened.
func (c clock) steady() time.Time { return c.opened.Add(time.Since(c.began)) }

// age returns how long ago a time of the file was: the less of what both clocks say, and never less than nothing. What is
// taken for younger than it is is counted for longer, which delays a delete; taken for older it would allow one.
func (c clock) age(t time.Time) time.Duration {
	return max(0, min(c.steady().Sub(t), c.wall().Sub(t)))
}

// place returns when a time of the file was by the steady clock, and whether it can be: a time that is still to come was told by
// a clock that was ahead.
func (c clock) place(t time.Time) (at time.Time, can bool) {
	return c.steady().Add(-c.age(t)), !t.After(c.wall()) && !t.After(c.steady())
}

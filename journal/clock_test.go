package journal

import (
	"testing"
	"testing/synctest"
	"time"
)

// shaky is the machine with a clock that is off.
type shaky struct {
	machine
	off *time.Duration
}

func (s shaky) Now() time.Time { return time.Now().Add(*s.off) }

const year = 365 * day

// TestClockThatJumps sets the clock back and forth under a journal, and under those that open it later: no jump that a process
// sees ends the day for which deletes are counted, none makes a new journal one that is old enough, and none makes anything
// count for longer than a day of a process.
func TestClockThatJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Second, -time.Second, time.Hour, -time.Hour, 25 * time.Hour, -25 * time.Hour, year, -year, 10 * year, -10 * year} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var off time.Duration
				dir := t.TempDir()
				open := func() *Journal {
					j, err := OpenOn(shaky{off: &off}, dir)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = j.Close() })
					return j
				}
				counts := func(j *Journal, want int, wantKnown bool, when string) {
					t.Helper()
					if n, known := j.Count("111122223333", "eu-west-1", "delete"); n != want || known != wantKnown {
						t.Errorf("%s: %d deletes, known %v; want %d, %v", when, n, known, want, wantKnown)
					}
				}
				j := open()
				time.Sleep(23 * time.Hour)
				do(t, j, intent("a", "delete"), Applied)
				off = jump
				counts(j, 1, false, "an hour before the journal is a day old")
				do(t, j, intent("b", "delete"), Applied)
				counts(j, 2, false, "with one on each side of the jump")
				doubtful, err := j.Intend(intent("c", "delete"))
				if err != nil {
					t.Fatal(err)
				}
				if open := j.Open("111122223333", "eu-west-1", time.Minute); len(open) != 0 {
					t.Errorf("an intent of this moment passes for one of a minute ago: %v", open)
				}

				// A command writes beside the daemon, which reads everything anew.
				other := open()
				do(t, other, intent("d", "update"), Applied)
				counts(j, 3, false, "after another process has written")
				time.Sleep(2 * time.Hour)
				old := jump > -day // read with a clock before its first line, it is as old as the reading
				counts(j, 3, old, "two hours later")
				off = 0
				counts(j, 3, old, "when the clock is right again")
				if open := j.Open("111122223333", "eu-west-1", time.Minute); len(open) != 1 || open[0].ID != doubtful.ID {
					t.Errorf("two hours later the intent without an outcome is not to be seen: %v", open)
				}
				do(t, other, intent("d", "update"), Applied)
				counts(j, 3, true, "after everything was read with the right clock")

				// A process that starts when the clock is right again sees times that are still to come.
				later := open()
				counts(later, 3, true, "in a process that starts now")
				time.Sleep(day)
				if jump < day { // else two of them are still to come
					counts(open(), 0, true, "a day later, in a process that starts then")
				}
				counts(j, 0, true, "a day later")
				counts(later, 0, true, "a day later, in the process that started later")
				if open := later.Open("111122223333", "eu-west-1", time.Minute); len(open) != 1 {
					t.Errorf("the process that started later does not see the intent without an outcome: %v", open)
				}
			})
		})
	}
}

// TestClockOfTheBeginning wants the age of a journal to be that of its first line, also when the file is rewritten after the
// clock was set right.
func TestClockOfTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		off, dir := -50*year, t.TempDir() // a machine without a battery
		j, err := OpenOn(shaky{off: &off}, dir)
		if err != nil {
			t.Fatal(err)
		}
		do(t, j, intent("a", "update"), Applied)
		time.Sleep(time.Hour)
		off = 0
		j.limit = 0 // the next line has the file rewritten
		do(t, j, intent("b", "update"), Applied)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j, err = OpenOn(shaky{off: &off}, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if _, known := j.Count("111122223333", "eu-west-1", "delete"); known {
			t.Error("a journal of an hour passes for one of a day")
		}
		time.Sleep(23 * time.Hour)
		if _, known := j.Count("111122223333", "eu-west-1", "delete"); !known {
			t.Error("a journal of a day passes for a younger one")
		}
	})
}

// TestClockJumpsTwice sets a clock that was ahead when the journal was opened right, and ahead again after a delete, of which both
// clocks then say that it was long ago. What the process knew before it reads the file again stays as young as it is.
func TestClockJumpsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		do(t, open(t, dir), intent("web", "update"), Applied)
		time.Sleep(26 * time.Hour)
		off := year
		j, err := OpenOn(shaky{off: &off}, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.Close() })
		off = 0
		do(t, j, intent("old", "delete"), Applied)
		off = year
		do(t, open(t, dir), intent("web", "update"), Applied)
		if n, known := j.Count("111122223333", "eu-west-1", "delete"); n != 1 || !known {
			t.Errorf("%d deletes, known %v", n, known)
		}
		time.Sleep(day)
		if n, _ := j.Count("111122223333", "eu-west-1", "delete"); n != 0 {
			t.Errorf("%d deletes a day later", n)
		}
	})
}

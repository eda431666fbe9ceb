package sync

import (
	"slices"
	"testing"
)

// TestJudge has the rows of the classification table of docs/design.md, in its order.
func TestJudge(t *testing.T) {
	ours := func(f facts) facts { f.live, f.owner, f.recorded = true, Managed, true; return f }
	lost := func(f facts) facts { f.live, f.owner = true, Managed; return f }
	anyones := func(f facts) facts { f.live, f.owner = true, Unmanaged; return f }
	others := func(f facts) facts { f.live, f.owner, f.recorded = true, Foreign, false; return f }
	same := verdict{status: StatusSynced}

	for _, row := range []struct {
		name           string
		facts          facts
		adopt          Adoption // "" for identical
		apply, enforce verdict
	}{
		{"nothing moved, not read", ours(facts{}), "", same, same},

		{"nothing moved, differs", ours(facts{content: differs}), "",
			verdict{StatusDrifted, Update, CauseUnexplained, HoldDrift}, verdict{StatusDrifted, Update, CauseUnexplained, HoldNone}},
		{"nothing moved, differs again", ours(facts{content: differs, fought: true}), "",
			verdict{StatusDrifted, Update, CauseUnexplained, HoldFight}, verdict{StatusDrifted, Update, CauseUnexplained, HoldFight}},
		{"nothing moved, differs, an older file", ours(facts{content: differs, byGit: true}), "",
			verdict{StatusDrifted, Update, CauseUnexplained, HoldDrift}, verdict{StatusDrifted, Update, CauseUnexplained, HoldNone}},
		{"nothing moved, equal", ours(facts{content: equal}), "", same, same},

		{"a secret was rotated", ours(facts{content: equal, rotated: true}), "",
			verdict{StatusPending, Update, CauseRotation, HoldNone}, verdict{StatusPending, Update, CauseRotation, HoldNone}},
		{"another secret, or git moved and one was rotated", ours(facts{desired: true, content: equal, rotated: true}), "",
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},

		{"git moved, equal", ours(facts{desired: true, content: equal}), "",
			verdict{StatusSynced, Tag, CauseRecord, HoldNone}, verdict{StatusSynced, Tag, CauseRecord, HoldNone}},
		{"live moved, equal", ours(facts{moved: true, content: equal}), "",
			verdict{StatusSynced, Tag, CauseRecord, HoldNone}, verdict{StatusSynced, Tag, CauseRecord, HoldNone}},
		{"both moved, equal", ours(facts{desired: true, moved: true, content: equal}), "",
			verdict{StatusSynced, Tag, CauseRecord, HoldNone}, verdict{StatusSynced, Tag, CauseRecord, HoldNone}},

		{"git moved, differs", ours(facts{desired: true, content: differs}), "",
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},

		{"live moved, differs", ours(facts{moved: true, content: differs}), "",
			verdict{StatusDrifted, Update, CauseDrift, HoldDrift}, verdict{StatusDrifted, Update, CauseDrift, HoldNone}},
		{"live moved, differs, by git", ours(facts{moved: true, content: differs, byGit: true}), "",
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},

		{"both moved, differs", ours(facts{desired: true, moved: true, content: differs}), "",
			verdict{StatusDrifted, Update, CauseBoth, HoldDrift}, verdict{StatusDrifted, Update, CauseBoth, HoldNone}},
		{"both moved, differs, by git", ours(facts{desired: true, moved: true, content: differs, byGit: true}), "",
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},

		{"no record, equal, ours", lost(facts{content: equal}), "",
			verdict{StatusSynced, Tag, CauseRecord, HoldNone}, verdict{StatusSynced, Tag, CauseRecord, HoldNone}},
		{"no record, equal, never", anyones(facts{content: equal}), AdoptNever, same, same},
		{"no record, equal, identical", anyones(facts{content: equal}), AdoptIdentical,
			verdict{StatusSynced, Adopt, CauseUnadopted, HoldNone}, verdict{StatusSynced, Adopt, CauseUnadopted, HoldNone}},
		{"no record, equal, always", anyones(facts{content: equal}), AdoptAlways,
			verdict{StatusSynced, Adopt, CauseUnadopted, HoldNone}, verdict{StatusSynced, Adopt, CauseUnadopted, HoldNone}},
		{"no record, equal, foreign", others(facts{content: equal}), AdoptAlways, same, same},

		{"no record, differs, ours", lost(facts{content: differs}), "",
			verdict{StatusDrifted, Update, CauseDrift, HoldDrift}, verdict{StatusDrifted, Update, CauseDrift, HoldNone}},
		{"no record, differs, ours, by git", lost(facts{content: differs, byGit: true}), "",
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},
		{"no record, differs, never", anyones(facts{content: differs}), AdoptNever,
			verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}, verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}},
		{"no record, differs, identical", anyones(facts{content: differs}), AdoptIdentical,
			verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}, verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}},
		{"no record, differs, identical, by git", anyones(facts{content: differs, byGit: true}), AdoptIdentical,
			verdict{StatusPending, Update, CauseGit, HoldOwnership}, verdict{StatusPending, Update, CauseGit, HoldOwnership}},
		{"no record, differs, always", anyones(facts{content: differs}), AdoptAlways,
			verdict{StatusDrifted, Update, CauseDrift, HoldNone}, verdict{StatusDrifted, Update, CauseDrift, HoldNone}},
		{"no record, differs, always, by git", anyones(facts{content: differs, byGit: true}), AdoptAlways,
			verdict{StatusPending, Update, CauseGit, HoldNone}, verdict{StatusPending, Update, CauseGit, HoldNone}},
		{"no record, differs, foreign", others(facts{content: differs}), AdoptAlways,
			verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}, verdict{StatusDrifted, Update, CauseDrift, HoldOwnership}},

		{"absent, not known", facts{}, "",
			verdict{StatusMissing, Create, CauseGit, HoldNone}, verdict{StatusMissing, Create, CauseGit, HoldNone}},
		{"absent, known live", facts{known: true}, "",
			verdict{StatusMissing, Create, CauseDrift, HoldDrift}, verdict{StatusMissing, Create, CauseDrift, HoldNone}},
	} {
		t.Run(row.name, func(t *testing.T) {
			adopt := row.adopt
			if adopt == "" {
				adopt = AdoptIdentical
			}
			if got := judge(row.facts, Apply, adopt); got != row.apply {
				t.Errorf("apply: got %+v, want %+v", got, row.apply)
			}
			if got := judge(row.facts, Enforce, adopt); got != row.enforce {
				t.Errorf("enforce: got %+v, want %+v", got, row.enforce)
			}
		})
	}
}

// TestJudgeEverything goes through every combination of facts, those too that cannot happen: the answer is
// always one status, and nothing is written that the table says is held or reported.
func TestJudgeEverything(t *testing.T) {
	statuses := []Status{StatusMissing, StatusDrifted, StatusPending, StatusSynced}
	both := []bool{false, true}
	n := 0
	each := func(visit func(facts)) {
		for _, owner := range []Ownership{Managed, Unmanaged, Foreign} {
			for _, c := range []content{unread, equal, differs} {
				for bits := range 1 << 7 {
					bit := func(i int) bool { return both[bits>>i&1] }
					visit(facts{live: bit(0), known: bit(1), owner: owner, recorded: bit(2), desired: bit(3), moved: bit(4), content: c, byGit: bit(5), fought: bit(6)})
				}
			}
		}
	}
	each(func(f facts) {
		for _, adopt := range []Adoption{AdoptNever, AdoptIdentical, AdoptAlways} {
			apply, enforce := judge(f, Apply, adopt), judge(f, Enforce, adopt)
			for _, v := range []verdict{apply, enforce} {
				n++
				free := v.verb != "" && v.hold == HoldNone
				for _, broken := range []struct {
					is  bool
					why string
				}{
					{!slices.Contains(statuses, v.status), "no status of the table"},
					{v.verb == "" && (v.cause != "" || v.hold != ""), "a cause or hold of nothing"},
					{v.verb != "" && v.cause == "", "no cause"},
					{(v.verb == Create) != !f.live, "create means that it is not live"},
					{v.verb == Delete, "the table deletes nothing"},
					{f.live && f.owner == Foreign && free, "writes to a foreign pipeline"},
					{f.live && f.owner == Unmanaged && adopt == AdoptNever && free, "adopts though it never may"},
					{f.live && f.owner == Unmanaged && adopt == AdoptIdentical && f.content == differs && free, "adopts what is not identical"},
					{f.live && f.content != differs && v.verb == Update, "updates what does not differ"},
					{v.status == StatusSynced && v.verb == Update, "updates what is in sync"},
					{v.status == StatusMissing && f.live, "what is live is not missing"},
				} {
					if broken.is {
						t.Fatalf("%s: %+v with adopt %s gives %+v", broken.why, f, adopt, v)
					}
				}
			}
			if apply.status != enforce.status || apply.verb != enforce.verb || apply.cause != enforce.cause {
				t.Fatalf("the mode decides what is held, not what is seen: %+v gives %+v and %+v", f, apply, enforce)
			}
			if apply.hold == HoldNone && enforce.hold != HoldNone {
				t.Fatalf("enforce holds what apply writes: %+v", f)
			}
			byPerson := f.live && f.owner == Managed && f.content == differs && !f.byGit && (f.moved || !f.recorded)
			if byPerson && apply.hold == HoldNone {
				t.Fatalf("apply overwrites a person's change: %+v gives %+v", f, apply)
			}
		}
	})
	if n == 0 {
		t.Error("nothing was judged")
	}
}

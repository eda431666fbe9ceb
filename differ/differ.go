// Package differ compares the pipeline that people want with the one that is live, and says what differs.
//
// Both sides are first brought into one canonical form (see [pipeline.Canonical]), so that what AWS fills in,
// reorders or reformats is no difference. They are then walked side by side along the schema table: stages and
// actions are told by name, sets have no order, and a masked secret is neither equal nor different but unknown.
//
// The package is pure: it does no I/O and knows nothing of versions, tags' owners or policy.
package differ

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/pipeline"
)

// Edit is one difference: what has to happen to the live pipeline so that it becomes the desired one.
type Edit struct {
	Path string         `json:"path"` // RFC 6901, with the names of stages and actions for their places in a list
	Old  *pipeline.Node `json:"old"`  // the live value; nil where there is none
	New  *pipeline.Node `json:"new"`  // the desired value; nil where it is to go

	From  string `json:"from,omitempty"`  // of a stage or action that is renamed or moved: its live path
	Means string `json:"means,omitempty"` // what a new runOrder does
}

// Diff is the outcome of a comparison.
type Diff struct {
	Edits   []Edit   // in document order; empty means equal
	Unknown []Edit   // live members that this version does not know, and which an update would erase; New is nil
	Masked  []string // the paths of secrets, which AWS never shows and nobody can compare
}

// Compare returns how the live declaration differs from the desired one. region is the pipeline's own.
func Compare(desired, live *pipeline.Node, region string) Diff {
	d, l := pipeline.Canonical(desired, region), pipeline.Canonical(live, region)
	hideSecrets(d)
	hideSecrets(l)
	settleType(d, l)
	dropServerTriggers(d, l)
	c := &comparison{}
	c.value("", pipeline.Declaration, d, l)
	c.moves()
	c.waits(d, l)
	return c.Diff
}

// Authored returns a live declaration as a file would say it: without what AWS counts, fills in, or adds by itself. A
// comparison of the two finds no difference.
func Authored(live *pipeline.Node, region string) *pipeline.Node {
	d := pipeline.Authored(live, region)
	dropServerTriggers(pipeline.NewObject(), d)
	return d
}

// Shown returns a declaration as [Compare] sees it, for people to read: in canonical form, with the mask for every
// secret, and for every setting of an action type that the table does not have, since any of those may be one.
func Shown(declaration *pipeline.Node, region string) *pipeline.Node {
	d := pipeline.Canonical(declaration, region)
	hideSecrets(d)
	for _, stage := range d.List("stages") {
		for _, action := range stage.List("actions") {
			if pipeline.TypeOf(action) != nil {
				continue
			}
			if config := action.Get("configuration"); config != nil {
				for i := range config.Members {
					config.Members[i].Value = pipeline.NewString(pipeline.Mask)
				}
			}
		}
	}
	return d
}

// alwaysSecret are the settings that are hidden whatever the action's type is: a document that has the type
// wrong, such as the owner AWS for GitHub, has the secret all the same.
var alwaysSecret = pipeline.SecretKeys()

// hideSecrets puts the service's mask in place of every secret, so that none can reach a message.
func hideSecrets(declaration *pipeline.Node) {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			keys := alwaysSecret
			if actionType := pipeline.TypeOf(action); actionType != nil {
				keys = append(slices.Clone(keys), actionType.Secrets()...)
			}
			config := action.Get("configuration")
			for _, key := range keys {
				if config.Get(key) != nil {
					config.Set(key, pipeline.NewString(pipeline.Mask))
				}
			}
		}
	}
}

// settleType makes an omitted pipelineType no difference: sources disagree on its default, so the live value
// counts where the file says nothing, and V1 where the service (an old one, or an emulator) says nothing.
func settleType(desired, live *pipeline.Node) {
	const field = "pipelineType"
	switch {
	case desired.Get(field) == nil:
		live.Delete(field)
	case live.Get(field) == nil && desired.Str(field) == "V1":
		desired.Delete(field)
	}
}

// dropServerTriggers removes live triggers that AWS made itself. A V2 pipeline with a connection source gets
// one that nobody sent and nobody can remove while DetectChanges is on (terraform-provider-aws issues 38409
// and 38688). Its exact shape is not documented; taken as server-made is a trigger for such a source, not
// declared in the file, that has no filter beyond the branch of the source itself. Anything more was made by
// a person.
func dropServerTriggers(desired, live *pipeline.Node) {
	triggers := live.Get("triggers")
	if triggers == nil {
		return
	}
	declared := map[string]bool{}
	for _, t := range desired.List("triggers") {
		declared[t.Str("gitConfiguration", "sourceActionName")] = true
	}
	triggers.Items = slices.DeleteFunc(triggers.Items, func(t *pipeline.Node) bool {
		return !declared[t.Str("gitConfiguration", "sourceActionName")] && serverMade(t, live)
	})
	if len(triggers.Items) == 0 {
		live.Delete("triggers")
	}
}

func serverMade(trigger, declaration *pipeline.Node) bool {
	git := trigger.Get("gitConfiguration")
	source := sourceAction(declaration, git.Str("sourceActionName"))
	if source.Str("actionTypeId", "provider") != "CodeStarSourceConnection" || source.Str("configuration", "DetectChanges") == "false" {
		return false
	}
	push := git.List("push")
	if len(git.List("pullRequest")) > 0 || len(push) > 1 {
		return false
	}
	if len(push) == 0 {
		return true
	}
	branches := push[0].Get("branches")
	includes := branches.List("includes")
	return push[0].Get("tags") == nil && push[0].Get("filePaths") == nil && len(branches.List("excludes")) == 0 &&
		(len(includes) == 0 || len(includes) == 1 && includes[0].Text == source.Str("configuration", "BranchName"))
}

func sourceAction(declaration *pipeline.Node, name string) *pipeline.Node {
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			if action.Str("name") == name && action.Str("actionTypeId", "category") == "Source" {
				return action
			}
		}
	}
	return nil
}

// comparison walks two canonical trees.
type comparison struct{ Diff }

func (c *comparison) value(path string, s *pipeline.Shape, d, l *pipeline.Node) {
	switch {
	case isMask(d) && l != nil, isMask(l) && d != nil:
		c.Masked = append(c.Masked, path)
	case d.Equal(l):
	case d == nil || l == nil || s == nil || d.Kind != s.Kind || l.Kind != s.Kind:
		c.Edits = append(c.Edits, Edit{Path: path, Old: l, New: d})
	case s.Kind == pipeline.Object:
		c.object(path, s, d, l)
	case s.Kind == pipeline.Array && len(s.Key) > 0:
		c.keyed(path, s, d, l)
	case s.Kind == pipeline.Array && s.Elem.Kind == pipeline.Object && len(d.Items) == len(l.Items):
		c.pairs(path, s, d, l)
	default:
		c.Edits = append(c.Edits, Edit{Path: path, Old: l, New: d})
	}
}

func isMask(n *pipeline.Node) bool {
	return n != nil && n.Kind == pipeline.String && n.Text == pipeline.Mask
}

func (c *comparison) object(path string, s *pipeline.Shape, d, l *pipeline.Node) {
	if s.Elem != nil {
		for _, name := range unionOfNames(d, l) {
			c.value(path+"/"+escape(name), s.Elem, d.Get(name), l.Get(name))
		}
		return
	}
	for _, field := range s.Fields {
		dv, lv := d.Get(field.Name), l.Get(field.Name)
		if dv == nil && lv == nil {
			continue
		}
		c.value(path+"/"+field.Name, field.Shape, orDefault(dv, field), orDefault(lv, field))
	}
	for _, name := range unionOfNames(d, l) {
		if s.Field(name) != nil {
			continue
		}
		dv, lv := d.Get(name), l.Get(name)
		if dv == nil {
			c.Unknown = append(c.Unknown, Edit{Path: path + "/" + escape(name), Old: lv})
			continue
		}
		c.value(path+"/"+escape(name), nil, dv, lv)
	}
}

// orDefault shows what the service assumes for an absent member, so that an edit reads "runOrder 1 → 2".
func orDefault(n *pipeline.Node, field pipeline.Field) *pipeline.Node {
	if n != nil || field.Default == "" {
		return n
	}
	assumed, err := pipeline.Decode([]byte(field.Default))
	if err != nil {
		return nil // unreachable: the defaults of the table are JSON, which a test of the table checks
	}
	return assumed
}

func unionOfNames(d, l *pipeline.Node) []string {
	var names []string
	for _, n := range []*pipeline.Node{d, l} {
		for _, m := range n.Members {
			names = append(names, m.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// keyed compares two lists whose items are told apart by a member, such as stages by name.
func (c *comparison) keyed(path string, s *pipeline.Shape, d, l *pipeline.Node) {
	desired, live := index(s, d), index(s, l)
	renamed := renames(s, d, l, desired, live)
	for _, item := range l.Items {
		key := item.Str(s.Key...)
		if to := renamed[key]; to != "" {
			c.Edits = append(c.Edits, Edit{Path: path + "/" + escape(to), Old: item, New: desired[to], From: path + "/" + escape(key)})
			live[to] = desired[to] // nothing else of it differs
		} else if desired[key] == nil {
			c.Edits = append(c.Edits, Edit{Path: path + "/" + escape(key), Old: item})
		}
	}
	for _, item := range d.Items {
		key := item.Str(s.Key...)
		c.value(path+"/"+escape(key), s.Elem, item, live[key])
	}
	if s.AnyOrder {
		return
	}
	// Where the items that stay, and the new ones behind them, would not stand as desired, the order is an edit
	// of its own: it also says where a new item goes.
	before, after := keys(s, l), keys(s, d)
	for i, key := range before {
		before[i] = cmp.Or(renamed[key], key)
	}
	stay := slices.DeleteFunc(slices.Clone(before), func(key string) bool { return desired[key] == nil })
	come := slices.DeleteFunc(slices.Clone(after), func(key string) bool { return live[key] != nil })
	if !slices.Equal(append(stay, come...), after) {
		c.Edits = append(c.Edits, Edit{Path: path, Old: texts(before), New: texts(after)})
	}
}

// renames finds the items of a list that have another name and nothing else, :: live name → desired name.
func renames(s *pipeline.Shape, d, l *pipeline.Node, desired, live map[string]*pipeline.Node) map[string]string {
	if len(s.Key) != 1 || !movable(s) {
		return nil
	}
	var found map[string]string
	taken := map[string]bool{}
	for _, old := range l.Items {
		from := old.Str(s.Key...)
		if desired[from] != nil {
			continue
		}
		for _, item := range d.Items {
			to := item.Str(s.Key...)
			if live[to] != nil || taken[to] || !equalBut(s.Key[0], old, item) {
				continue
			}
			if found == nil {
				found = map[string]string{}
			}
			found[from], taken[to] = to, true
			break
		}
	}
	return found
}

// movable reports whether a list's items have so much in them that one with another name, or in another place, is
// still the same: stages and actions.
func movable(s *pipeline.Shape) bool {
	return s.Elem.Field("actions") != nil || s.Elem.Field("actionTypeId") != nil
}

func equalBut(member string, a, b *pipeline.Node) bool {
	a, b = a.Clone(), b.Clone()
	a.Delete(member)
	b.Delete(member)
	return a.Equal(b)
}

// moves joins an action that goes in one stage and comes, the same, in another.
func (c *comparison) moves() {
	for i := range c.Edits {
		to := &c.Edits[i]
		if to.Old != nil || to.New.Get("actionTypeId") == nil {
			continue
		}
		from := slices.IndexFunc(c.Edits, func(e Edit) bool { return e.New == nil && e.Old.Get("actionTypeId") != nil && e.Old.Equal(to.New) })
		if from >= 0 {
			to.From, to.Old = c.Edits[from].Path, c.Edits[from].Old
		}
	}
	moved := map[string]bool{}
	for _, e := range c.Edits {
		moved[e.From] = true
	}
	c.Edits = slices.DeleteFunc(c.Edits, func(e Edit) bool { return e.New == nil && e.From == "" && moved[e.Path] })
}

// waits says of each new runOrder for which actions the action now waits, or does not any more.
func (c *comparison) waits(desired, live *pipeline.Node) {
	for i := range c.Edits {
		e := &c.Edits[i]
		steps := strings.Split(e.Path, "/")
		if len(steps) != 6 || steps[5] != "runOrder" || e.Old == nil || e.New == nil {
			continue
		}
		stage, action := unescape.Replace(steps[2]), unescape.Replace(steps[4])
		before, after := earlier(live, stage, action), earlier(desired, stage, action)
		var parts []string
		if names := without(after, before); len(names) > 0 {
			parts = append(parts, "now waits for "+strings.Join(names, ", "))
		}
		if names := without(before, after); len(names) > 0 {
			parts = append(parts, "no longer waits for "+strings.Join(names, ", "))
		}
		e.Means = strings.Join(parts, " and ")
	}
}

// earlier returns the actions of a stage that run before one of them.
func earlier(declaration *pipeline.Node, stage, action string) []string {
	for _, s := range declaration.List("stages") {
		if s.Str("name") != stage {
			continue
		}
		order := int64(0)
		for _, a := range s.List("actions") {
			if a.Str("name") == action {
				order = a.Int(1, "runOrder")
			}
		}
		var names []string
		for _, a := range s.List("actions") {
			if a.Int(1, "runOrder") < order {
				names = append(names, a.Str("name"))
			}
		}
		return names
	}
	return nil
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// pairs compares two lists of as many objects, which no member tells apart: one by one where their order counts. Where
// it does not, only what AWS shows and this version does not know is told from a difference of the whole list.
func (c *comparison) pairs(path string, s *pipeline.Shape, d, l *pipeline.Node) {
	if !s.AnyOrder {
		for i, item := range d.Items {
			c.value(fmt.Sprintf("%s/%d", path, i), s.Elem, item, l.Items[i])
		}
		return
	}
	left := slices.Clone(l.Items)
	for _, item := range d.Items {
		i := slices.IndexFunc(left, func(other *pipeline.Node) bool {
			inner := &comparison{}
			inner.value("", s.Elem, item, other)
			return len(inner.Edits) == 0
		})
		if i < 0 {
			c.Edits = append(c.Edits, Edit{Path: path, Old: l, New: d})
			return
		}
		left = slices.Delete(left, i, i+1)
	}
	c.Unknown = append(c.Unknown, Edit{Path: path, Old: l})
}

func index(s *pipeline.Shape, list *pipeline.Node) map[string]*pipeline.Node {
	items := map[string]*pipeline.Node{}
	for _, item := range list.Items {
		items[item.Str(s.Key...)] = item
	}
	return items
}

// keys returns the keys of a list in its order.
func keys(s *pipeline.Shape, list *pipeline.Node) []string {
	all := make([]string, len(list.Items))
	for i, item := range list.Items {
		all[i] = item.Str(s.Key...)
	}
	return all
}

func texts(list []string) *pipeline.Node {
	items := make([]*pipeline.Node, len(list))
	for i, text := range list {
		items[i] = pipeline.NewString(text)
	}
	return pipeline.NewArray(items...)
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// Tags compares tags: those the file sets, and those that an earlier version of it set and this one does not.
// Other live tags belong to others. Paths are /tags/KEY.
func Tags(desired, previous, live map[string]string) []Edit {
	var edits []Edit
	for key, value := range desired {
		if old, ok := live[key]; !ok {
			edits = append(edits, Edit{Path: "/tags/" + escape(key), New: pipeline.NewString(value)})
		} else if old != value {
			edits = append(edits, Edit{Path: "/tags/" + escape(key), Old: pipeline.NewString(old), New: pipeline.NewString(value)})
		}
	}
	for key := range previous {
		if _, kept := desired[key]; kept {
			continue
		}
		if old, ok := live[key]; ok {
			edits = append(edits, Edit{Path: "/tags/" + escape(key), Old: pipeline.NewString(old)})
		}
	}
	slices.SortFunc(edits, func(a, b Edit) int { return strings.Compare(a.Path, b.Path) })
	return edits
}

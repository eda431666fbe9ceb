// Package differ compares the pipeline that people want with the one that is live, and says what differs.
//
// Both sides are first brought into one canonical form (see [pipeline.Canonical]), so that what AWS fills in,
// reorders or reformats is no difference. They are then walked side by side along the schema table: stages and
// actions are told by name, sets have no order, and a masked secret is neither equal nor different but unknown.
//
// The package is pure: it does no I/O and knows nothing of versions, tags' owners or policy.
package differ

import (
	"slices"
	"strings"

	"github.com/plumbline/plumbline/pipeline"
)

// Edit is one difference: what has to happen to the live pipeline so that it becomes the desired one.
type Edit struct {
	Path string         `json:"path"` // RFC 6901, with the names of stages and actions for their places in a list
	Old  *pipeline.Node `json:"old"`  // the live value; nil where there is none
	New  *pipeline.Node `json:"new"`  // the desired value; nil where it is to go
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
	return c.Diff
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
				keys = append(slices.Clone(keys), actionType.Secret...)
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
		c.Edits = append(c.Edits, Edit{path, l, d})
	case s.Kind == pipeline.Object:
		c.object(path, s, d, l)
	case s.Kind == pipeline.Array && len(s.Key) > 0:
		c.keyed(path, s, d, l)
	default:
		c.Edits = append(c.Edits, Edit{path, l, d})
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
			c.Unknown = append(c.Unknown, Edit{path + "/" + escape(name), lv, nil})
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
	for _, item := range l.Items {
		if key := item.Str(s.Key...); desired[key] == nil {
			c.Edits = append(c.Edits, Edit{path + "/" + escape(key), item, nil})
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
	after := keys(s, d)
	if got := append(shared(s, l, desired), missing(s, d, live)...); !slices.Equal(got, after) {
		c.Edits = append(c.Edits, Edit{path, texts(keys(s, l)), texts(after)})
	}
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

// shared and missing return those keys that the other list has too, or has not.
func shared(s *pipeline.Shape, list *pipeline.Node, other map[string]*pipeline.Node) []string {
	return slices.DeleteFunc(keys(s, list), func(key string) bool { return other[key] == nil })
}

func missing(s *pipeline.Shape, list *pipeline.Node, other map[string]*pipeline.Node) []string {
	return slices.DeleteFunc(keys(s, list), func(key string) bool { return other[key] != nil })
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
			edits = append(edits, Edit{"/tags/" + escape(key), nil, pipeline.NewString(value)})
		} else if old != value {
			edits = append(edits, Edit{"/tags/" + escape(key), pipeline.NewString(old), pipeline.NewString(value)})
		}
	}
	for key := range previous {
		if _, kept := desired[key]; kept {
			continue
		}
		if old, ok := live[key]; ok {
			edits = append(edits, Edit{"/tags/" + escape(key), pipeline.NewString(old), nil})
		}
	}
	slices.SortFunc(edits, func(a, b Edit) int { return strings.Compare(a.Path, b.Path) })
	return edits
}

package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"weak"
)

// Document is one pipeline as one target should have it.
type Document struct {
	Path string            // the file it stands in
	Name string            // "" where the file has none that can be read
	Tags map[string]string // nil: the file leaves the tags alone

	file   *File
	target *Target // what the file's variables are replaced for; nil where it has none

	mu          sync.Mutex
	declaration weak.Pointer[Node]

	once       sync.Once
	digest     string
	references []Reference
}

// Declaration returns the pipeline as written, variables replaced, without version. It must not be changed.
func (d *Document) Declaration() *Node {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.declaration.Value()
	if n == nil {
		_, n = d.file.replaced(&checker{findings: findings{file: d.file}, target: d.valuesOf()})
		n = declared(n)
		d.declaration = weak.Make(n)
	}
	return n
}

// valuesOf returns the target for the sake of its variables.
func (d *Document) valuesOf() (t Target) {
	if d.target != nil {
		t = *d.target
	}
	return t
}

// Digest returns the identity of the declaration; see [Digest].
func (d *Document) Digest() string {
	d.once.Do(d.examine)
	return d.digest
}

// References returns the secrets that the declaration refers to; see [References].
func (d *Document) References() []Reference {
	d.once.Do(d.examine)
	return d.references
}

func (d *Document) examine() {
	declaration := d.Declaration()
	d.digest, d.references = Digest(declaration), References(declaration)
}

// For returns the document for one target and everything that is wrong with it there. The document is usable
// as desired state only if no problem is of severity error.
func (f *File) For(t Target) (*Document, []Problem) {
	c := &checker{findings: findings{file: f}, target: t}
	written, declaration := f.replaced(c)
	c.value(Declaration, declaration, phrase{what: "the pipeline"})
	c.structure(declaration)
	c.fences(declaration)
	c.secretReferences(declaration)
	// A part of a text would keep all of it.
	doc := &Document{Path: f.Path, Name: strings.Clone(declaration.Str("name")), Tags: c.tags(written.tags != nil), file: f}
	if f.variables {
		doc.target = &t
	}
	c.tellPlaceholders()
	return doc, Grade(c.problems(c.root), t.Rules)
}

// replaced has a checker replace the variables of a file, and returns what the file says and the pipeline in c.root.
func (f *File) replaced(c *checker) (written *tree, declaration *Node) {
	written = f.tree()
	c.root = written.root
	if f.variables {
		c.root = c.substitute(written.root)
	}
	if written.declaration != written.root {
		return written, c.root.Get("pipeline")
	}
	return written, c.root
}

// declared returns the declaration without what is the service's or the file's own.
func declared(n *Node) *Node {
	d := *n
	d.Members = make([]Member, 0, len(n.Members))
	for _, m := range n.Members {
		if field := Declaration.Field(m.Name); (field == nil || !field.Server) && m.Name != "$schema" && m.Name != "tags" && m.Name != "metadata" {
			d.Members = append(d.Members, m)
		}
	}
	return &d
}

// checker finds what is wrong with one document for one target.
type checker struct {
	findings
	target      Target
	root        *Node          // the file's document, variables replaced
	opaque      map[*Node]bool // strings whose value is not known without a target
	opaqueNames map[*Node]bool // values of members whose name is not
	replaced    map[*Node]bool // strings in which variables were replaced
	replacedKey map[*Node]bool // values of members in whose name they were

	placeholders []unfilled
}

// on reports whether people want a rule: all but those that are off by themselves.
func (c *checker) on(rule string) bool {
	severity, set := c.target.Rules[rule]
	return set && severity != Off || !set && ruleIndex[rule].Severity != Off
}

// phrase is what people call a value. It is put together only where a finding needs it.
type phrase struct{ before, what, name string }

func (p phrase) String() string {
	if p.name != "" {
		return p.before + p.what + " " + shorten(p.name, 60)
	}
	return p.before + p.what
}

// value checks n against a shape; what is what people call it.
func (c *checker) value(s *Shape, n *Node, what phrase) {
	if n.Kind == Null {
		return // reported by Parse
	}
	if n.Kind != s.Kind {
		if s.Kind == String && c.intrinsic(n) {
			return
		}
		c.report(n, "CP-F10", typeHint(s, n), "%s must be %s, not %s", what, article(s.Kind), article(n.Kind))
		return
	}
	switch s.Kind {
	case String:
		c.text(s, n.place(), n.Text, c.opaque[n], what)
	case Number:
		c.number(s, n, what)
	case Array:
		c.size(s, n, len(n.Items), what)
		for _, item := range n.Items {
			c.value(s.Elem, item, phrase{"an entry of ", what.String(), ""})
		}
		c.keys(s, n, what)
	case Object:
		if s.isMap() {
			c.size(s, n, len(n.Members), what)
			c.entries(s, n, what)
			return
		}
		c.members(s, n, what)
	}
}

// article returns the kind with its article.
func article(k Kind) string {
	switch k {
	case Null:
		return "null"
	case Object:
		return "an object"
	}
	return "a " + k.String()
}

func typeHint(s *Shape, n *Node) string {
	switch {
	case s.Kind == String && (n.Kind == Number || n.Kind == Bool):
		return fmt.Sprintf("write it in quotes: %q", n.Text)
	case s.Kind == String && (n.Kind == Object || n.Kind == Array):
		return `the service takes a text here; write JSON as a string: "{\"…\"}"` // without the value: it may hold a secret
	case s.Kind == Number && n.Kind == String && isDigits(n.Text):
		return "write it without quotes: " + n.Text
	case s.Kind == Array && n.Kind == Object:
		return "put it in [ ]"
	}
	return ""
}

func shorten(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// text checks a string, which is a value or the name of a member.
func (c *checker) text(s *Shape, at place, text string, opaque bool, what phrase) {
	if opaque {
		return
	}
	c.length(s, at, utf8.RuneCountInString(text), what)
	if s.fits(text, c.target.Region) || c.unfilled(at, text, what.String()) {
		return
	}
	switch {
	case s.Enum != nil:
		c.report(at, "CP-F04", didYouMean(text, s.Enum), "%s is %q, which the service does not know", what, shorten(text, 120))
	case text == "":
		// its length says all
	case s.Region:
		c.report(at, "CP-F12", didYouMean(text, Regions), "%s is %q, which is no AWS Region", what, shorten(text, 120))
	default:
		c.report(at, "CP-F03", hintFor(s, text), "%s has the wrong form: %q", what, shorten(text, 120))
	}
}

// fits reports whether a text has the form that the shape asks for, whatever its length.
func (s *Shape) fits(text, region string) bool {
	switch {
	case s.Enum != nil:
		return slices.Contains(s.Enum, text)
	case s.Region:
		return isRegion(text) || text == region
	}
	return s.matches(text)
}

func hintFor(s *Shape, value string) string {
	if s.Hint != nil {
		return s.Hint(value)
	}
	return "AWS takes " + strings.TrimSuffix(strings.TrimPrefix(s.Pattern.String(), "^(?:"), ")$")
}

func (c *checker) length(s *Shape, at place, length int, what phrase) {
	rule := s.Length
	if rule == "" {
		rule = "CP-F02"
	}
	switch {
	case length < s.Min && length == 0 && rule == "CP-F07":
		c.report(at, "CP-F09", "leave the key out instead", "%s is empty", what)
	case length < s.Min && length == 0:
		c.report(at, rule, "", "%s is empty", what)
	case length < s.Min:
		c.report(at, rule, "", "%s has %d characters; at least %d are needed", what, length, s.Min)
	case s.Max > 0 && length > s.Max:
		c.report(at, rule, "", "%s has %d characters; at most %d are allowed", what, length, s.Max)
	case rule == "CP-F07" && length > 1000:
		c.warn(at, rule, "the live service has taken up to 50,000 since 2025; keep it shorter where you can", "%s has %d characters; AWS documents at most 1,000", what, length)
	}
}

func (c *checker) number(s *Shape, n *Node, what phrase) {
	value, err := strconv.ParseInt(n.Text, 10, 64) // out of its range, value is the nearest that fits
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		c.report(n, "CP-F10", "write it without a point and without an exponent", "%s must be a whole number, not %s", what, shorten(n.Text, 40))
	case value < int64(s.Min):
		c.report(n, "CP-F05", "", "%s is %s; the least is %d", what, shorten(n.Text, 40), s.Min)
	case s.Max > 0 && value > int64(s.Max):
		c.report(n, "CP-F05", "", "%s is %s; the most is %d", what, shorten(n.Text, 40), s.Max)
	}
}

func (c *checker) size(s *Shape, n *Node, length int, what phrase) {
	switch {
	case length < s.Min && s.Min == s.Max:
		c.report(n, "CP-F06", "", "%s needs exactly %d entry", what, s.Min)
	case length < s.Min && s.Min == 1:
		c.report(n, "CP-F06", "leave it out instead", "%s is empty", what)
	case length < s.Min:
		c.report(n, "CP-F06", "", "%s has %d entries; at least %d are needed", what, length, s.Min)
	case s.Max > 0 && length > s.Max:
		c.report(n, "CP-F06", "", "%s has %d entries; at most %d are allowed", what, length, s.Max)
	}
}

// entries checks a map: its names and its values.
func (c *checker) entries(s *Shape, n *Node, what phrase) {
	for _, m := range n.Members {
		c.text(s.Names, m.place(), m.Name, c.opaqueNames[m.Value], phrase{"a name in ", what.String(), ""})
		c.value(s.Elem, m.Value, phrase{"", what.String(), m.Name})
	}
}

// members checks an object: each member, what is unknown, and what is missing.
func (c *checker) members(s *Shape, n *Node, what phrase) {
	var meant []string
	var free []string // rows that a misspelt name may have meant; computed when first needed
	for _, m := range n.Members {
		if field := s.Field(m.Name); field != nil {
			c.value(field.Shape, m.Value, phrase{what: m.Name})
			continue
		}
		if s == Declaration && n == c.root && c.beside(m) || c.full() {
			continue
		}
		if free == nil {
			free = missing(s, n)
		}
		closest := Closest(m.Name, free)
		meant = append(meant, closest)
		hint := fmt.Sprintf("did you mean %q?", closest)
		if closest == "" {
			hint = cmp.Or(c.belongs(s, n, m.Name), didYouMean(m.Name, names(s)))
		}
		c.report(m, "CP-F11", hint, "%s has no member %q", what, shorten(m.Name, 60))
	}
	for i := range s.Fields {
		if field := &s.Fields[i]; field.Required && n.Get(field.Name) == nil && !slices.Contains(meant, field.Name) {
			c.report(n, "CP-F01", missingHint(field), "%s has no %s", what, field.Name)
		}
	}
}

// belongs says where a member belongs that stands one level too high: in a member of its object, or in the
// configuration of its action.
func (c *checker) belongs(s *Shape, n *Node, name string) string {
	for _, field := range s.Fields {
		switch inner := field.Shape; {
		case inner.Field(name) != nil:
			return "it belongs in " + field.Name
		case inner.Kind == Array && inner.Elem.Field(name) != nil:
			return "it belongs in an entry of " + field.Name
		}
	}
	if row := c.rowOf(n); row != nil {
		for i := range row.Keys {
			if strings.EqualFold(row.Keys[i].Name, name) {
				return fmt.Sprintf("it belongs in configuration, as %q", row.Keys[i].Name)
			}
		}
	}
	return ""
}

// missingHint shows what to write for a missing member.
func missingHint(field *Field) string {
	value := map[Kind]string{String: `"…"`, Array: "[…]", Object: "{…}"}[field.Shape.Kind]
	if len(field.Shape.Enum) == 1 {
		value = strconv.Quote(field.Shape.Enum[0])
	}
	return fmt.Sprintf("add %q: %s", field.Name, value)
}

// beside explains the members that stand beside `pipeline` in an envelope and were found in a bare declaration.
func (c *checker) beside(m Member) bool {
	if m.Name != "tags" && m.Name != "metadata" {
		return m.Name == "$schema"
	}
	c.report(m, "CP-F11", fmt.Sprintf(`write {"pipeline": {…}, %q: …}`, m.Name), "%s stands beside the pipeline, not in it", m.Name)
	return true
}

// missing returns the names of the rows that n does not have, which a misspelt name may have meant.
func missing(s *Shape, n *Node) []string {
	var list []string
	for _, field := range s.Fields {
		if n.Get(field.Name) == nil {
			list = append(list, field.Name)
		}
	}
	return list
}

func names(s *Shape) []string {
	list := make([]string, len(s.Fields))
	for i, field := range s.Fields {
		list[i] = field.Name
	}
	return list
}

// keys checks that no two items of a list share the member that tells them apart.
func (c *checker) keys(s *Shape, n *Node, what phrase) {
	if s.KeyRule == "" || len(n.Items) < 2 {
		return
	}
	first := map[string]*Node{}
	for _, item := range n.Items {
		key := item.Get(s.Key...)
		if key == nil || key.Kind != String || c.opaque[key] {
			continue
		}
		if earlier, ok := first[key.Text]; ok {
			c.report(key, s.KeyRule, cmp.Or(keyHints[s.KeyRule], "give one another name"), "%q stands twice in %s; first at line %d", shorten(key.Text, 60), what, c.file.line(earlier.Offset))
			continue
		}
		first[key.Text] = key
	}
}

// keyHints is what to do about two items with one key, where it is not to rename one.
var keyHints = map[string]string{
	"CP-R06": "list it once",
	"CP-T02": "put the filters of both into one trigger: AWS takes one for each source action",
	"PL-D05": "keep one",
	"PL-T02": "keep one",
}

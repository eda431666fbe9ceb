package pipeline

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Document is one pipeline as one target should have it.
type Document struct {
	Path        string            // the file it stands in
	Name        string            // "" where the file has none that can be read
	Declaration *Node             // as written, variables replaced, without version
	Tags        map[string]string // nil: the file leaves the tags alone
	Digest      string
}

// For returns the document for one target and everything that is wrong with it there. The document is usable
// as desired state only if no problem is of severity error.
func (f *File) For(t Target) (*Document, []Problem) {
	c := &checker{file: f, target: t, opaque: map[*Node]bool{}}
	c.root = c.substitute(f.root)
	declaration := c.root
	if f.declaration != f.root {
		declaration = c.root.Get("pipeline")
	}
	c.value(Declaration, declaration, "the pipeline")
	c.structure(declaration)
	doc := &Document{Path: f.Path, Name: declaration.Str("name"), Tags: c.tags()}
	if declaration.Kind == Object {
		doc.Declaration = declared(declaration)
		doc.Digest = Digest(doc.Declaration)
	}
	SortProblems(c.problems)
	return doc, Grade(c.problems, t.Rules)
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
	file     *File
	target   Target
	root     *Node          // the file's document, variables replaced
	opaque   map[*Node]bool // strings whose value is not known without a target
	problems []Problem
}

// report adds a problem about a value, with its rule's own severity.
func (c *checker) report(n *Node, rule, hint, format string, args ...any) {
	c.problems = append(c.problems, c.file.at(c.root, n, rule, ruleIndex[rule].Severity, fmt.Sprintf(format, args...), hint))
}

// warn adds a problem that is less certain, or less bad, than its rule's severity says.
func (c *checker) warn(n *Node, rule, hint, format string, args ...any) {
	c.problems = append(c.problems, c.file.at(c.root, n, rule, Warning, fmt.Sprintf(format, args...), hint))
}

// reportName adds a problem about the name of a member.
func (c *checker) reportName(m Member, rule, hint, format string, args ...any) {
	c.problems = append(c.problems, c.file.atName(c.root, m, rule, ruleIndex[rule].Severity, fmt.Sprintf(format, args...), hint))
}

// value checks n against a shape; what is what people call it.
func (c *checker) value(s *Shape, n *Node, what string) {
	if n.Kind == Null {
		return // reported by Parse
	}
	if n.Kind != s.Kind {
		c.report(n, "CP-F10", typeHint(s, n), "%s must be %s, not %s", what, article(s.Kind), article(n.Kind))
		return
	}
	switch s.Kind {
	case String:
		c.text(s, n, what)
	case Number:
		c.number(s, n, what)
	case Array:
		c.size(s, n, len(n.Items), what)
		for _, item := range n.Items {
			c.value(s.Elem, item, "an entry of "+what)
		}
		c.keys(s, n)
	case Object:
		if s.isMap() {
			c.size(s, n, len(n.Members), what)
			c.entries(s, n, what)
			return
		}
		c.members(s, n, what)
	}
}

func article(k Kind) string {
	if k == Array {
		return "a list"
	}
	if k == Object {
		return "an object"
	}
	return "a " + k.String()
}

func typeHint(s *Shape, n *Node) string {
	switch {
	case s.Kind == String && (n.Kind == Number || n.Kind == Bool):
		return fmt.Sprintf("write it in quotes: %q", n.Text)
	case s.Kind == String && (n.Kind == Object || n.Kind == Array):
		return "the service takes a text here; write JSON as a string: " + strconv.Quote(shorten(n.String(), 60))
	case s.Kind == Number && n.Kind == String && isDigits(n.Text):
		return "write it without quotes: " + n.Text
	case s.Kind == Array && n.Kind == Object:
		return "put it in [ ]"
	}
	return ""
}

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

func (c *checker) text(s *Shape, n *Node, what string) {
	if c.opaque[n] {
		return
	}
	c.length(s, n, utf8.RuneCountInString(n.Text), what)
	switch {
	case n.Text == "":
		// its length says all
	case s.Enum != nil && !contains(s.Enum, n.Text):
		c.report(n, "CP-F04", didYouMean(n.Text, s.Enum), "%s is %q, which the service does not know", what, n.Text)
	case s.Region && !isRegion(n.Text) && n.Text != c.target.Region:
		c.report(n, "CP-F12", didYouMean(n.Text, Regions), "%s is %q, which is no AWS Region", what, n.Text)
	case s.Pattern != nil && !s.Pattern.MatchString(n.Text):
		c.report(n, "CP-F03", hintFor(s, n.Text), "%s has the wrong form: %q", what, shorten(n.Text, 120))
	}
}

func hintFor(s *Shape, value string) string {
	if s.Hint != nil {
		return s.Hint(value)
	}
	return "AWS takes " + strings.TrimSuffix(strings.TrimPrefix(s.Pattern.String(), "^(?:"), ")$")
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

func (c *checker) length(s *Shape, n *Node, length int, what string) {
	rule := s.Length
	if rule == "" {
		rule = "CP-F02"
	}
	switch {
	case length < s.Min && length == 0 && rule == "CP-F07":
		c.report(n, "CP-F09", "leave the key out instead", "%s is empty", what)
	case length < s.Min && length == 0:
		c.report(n, rule, "", "%s is empty", what)
	case length < s.Min:
		c.report(n, rule, "", "%s has %d characters; at least %d are needed", what, length, s.Min)
	case s.Max > 0 && length > s.Max:
		c.report(n, rule, "", "%s has %d characters; at most %d are allowed", what, length, s.Max)
	case rule == "CP-F07" && length > 1000:
		c.warn(n, rule, "the live service has taken up to 50,000 since 2025; keep it shorter where you can", "%s has %d characters; AWS documents at most 1,000", what, length)
	}
}

func (c *checker) number(s *Shape, n *Node, what string) {
	value, err := strconv.Atoi(n.Text)
	switch {
	case err != nil:
		c.report(n, "CP-F10", "", "%s must be a whole number, not %s", what, n.Text)
	case value < s.Min:
		c.report(n, "CP-F05", "", "%s is %d; the least is %d", what, value, s.Min)
	case s.Max > 0 && value > s.Max:
		c.report(n, "CP-F05", "", "%s is %d; the most is %d", what, value, s.Max)
	}
}

func (c *checker) size(s *Shape, n *Node, length int, what string) {
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
func (c *checker) entries(s *Shape, n *Node, what string) {
	for _, m := range n.Members {
		name := &Node{Kind: String, Text: m.Name, Offset: m.Offset}
		before := len(c.problems)
		c.text(s.Names, name, "the name "+strconv.Quote(shorten(m.Name, 60))+" in "+what)
		for i := before; i < len(c.problems); i++ {
			c.problems[i].Path = c.root.Pointer(m.Value)
		}
		c.value(s.Elem, m.Value, what+" "+m.Name)
	}
}

// members checks an object: what is unknown, what is missing, and each member.
func (c *checker) members(s *Shape, n *Node, what string) {
	meant := map[string]bool{}
	for _, m := range n.Members {
		if field := s.Field(m.Name); field != nil {
			c.value(field.Shape, m.Value, m.Name)
			continue
		}
		if s == Declaration && n == c.root && contains([]string{"$schema", "tags", "metadata"}, m.Name) {
			c.beside(m)
			continue
		}
		closest := Closest(m.Name, missing(s, n))
		meant[closest] = true
		hint := fmt.Sprintf("did you mean %q?", closest)
		if closest == "" {
			hint = didYouMean(m.Name, names(s))
		}
		c.reportName(m, "CP-F11", hint, "%s has no member %q", what, m.Name)
	}
	for i := range s.Fields {
		if field := &s.Fields[i]; field.Required && n.Get(field.Name) == nil && !meant[field.Name] {
			c.report(n, "CP-F01", "", "%s has no %s", what, field.Name)
		}
	}
}

// beside explains the members that stand beside `pipeline` in an envelope and were found in a bare declaration.
func (c *checker) beside(m Member) {
	if m.Name == "$schema" {
		return
	}
	c.reportName(m, "CP-F11", fmt.Sprintf(`write {"pipeline": {…}, %q: …}`, m.Name), "%s stands beside the pipeline, not in it", m.Name)
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
func (c *checker) keys(s *Shape, n *Node) {
	if s.KeyRule == "" {
		return
	}
	first := map[string]*Node{}
	for _, item := range n.Items {
		key := item.Get(s.Key...)
		if key == nil || key.Kind != String || c.opaque[key] {
			continue
		}
		if earlier, ok := first[key.Text]; ok {
			c.report(key, s.KeyRule, "give one another name", "%q stands twice; first at line %d", key.Text, c.file.line(earlier.Offset))
			continue
		}
		first[key.Text] = key
	}
}

package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// unfilled is a value that somebody meant to write and did not.
type unfilled struct {
	at      place
	what    string // the member
	text    string // the placeholder in it
	certain bool   // AWS refuses the value, or it can name nothing that exists
}

// Placeholders in brackets of some template language; and words that people write in capitals where a value is to
// come. Both are only looked for in values that AWS refuses anyway, or that begin with one.
var (
	bracketed = regexp.MustCompile(`<[A-Za-z][^<>]{0,80}>|\$?\{\{?[^{}"]{1,80}\}?\}|\$[A-Za-z_]\w*|%[A-Za-z]\w*%|__[A-Za-z]\w*?__|@@?[A-Z]\w*@@?|\[[A-Z][A-Z_ -]+\]`)
	words     = regexp.MustCompile(`(?i:your)[-_A-Za-z0-9]*|(?i:(?:replace|change|fill)[-_]?(?:me|this|with|in))[-_\w]*|TODO|FIXME|TBD|(?i:placeholder)|[xX]{3,}|[A-Z]+(?:[-_][A-Z0-9]+)+|ACCOUNT|REGION|(?i:account[-_]?(?:id|number))`)
	leading   = regexp.MustCompile(`^(?:<[A-Za-z][\w .-]{0,60}>|\{\{[^{}]{1,120}\}\}|\$\{[A-Za-z_][\w:.]*\}|\$[A-Z_]+$|%[A-Za-z]\w*%$|__[A-Z]\w*__|(?:your|YOUR)[-_][-\w]+|Your[A-Z]\w+|REPLACE[-_](?:ME|THIS|WITH|YOUR|BY)\w*|(?i:replace|change)[-_]?me$|TODO$)`)
)

// unfilled remembers a value that does not fit because it is a placeholder, and reports whether it is one.
func (c *checker) unfilled(at placed, text, what string) bool {
	piece := bracketed.FindString(text)
	switch {
	case piece != "":
	case strings.EqualFold(text, what) && len(text) > 4:
		piece = text // "roleArn": "roleArn"
	case strings.HasPrefix(text, "arn:"):
		if parts := strings.SplitN(text, ":", 6); len(parts) == 6 && !isDigits(parts[4]) {
			piece = words.FindString(parts[4])
		}
	case what == "location":
		piece = words.FindString(text)
	case words.FindString(text) == text && what != "executionMode" && what != "pipelineType":
		piece = text
	}
	if piece == "" {
		return false
	}
	c.placeholders = append(c.placeholders, unfilled{at.place(), what, piece, true})
	return true
}

// intrinsic remembers a function of CloudFormation where a text belongs.
func (c *checker) intrinsic(n *Node) bool {
	if n.Kind != Object || len(n.Members) != 1 || n.Members[0].Name != "Ref" && !strings.HasPrefix(n.Members[0].Name, "Fn::") {
		return false
	}
	c.placeholders = append(c.placeholders, unfilled{n.place(), "a value", n.Members[0].Name, true})
	return true
}

// freeText are the configuration keys in which anything may stand.
var freeText = []string{"CustomData", "UserParameters", "Input", "EnvironmentVariables", "ParameterOverrides", "Parameters", "ExternalEntityLink", "Value"}

// fillIns looks for placeholders in configuration values, which AWS takes as they are.
func (c *checker) fillIns(declaration *Node) {
	c.allowedFillIn(declaration, "name")
	c.allowedFillIn(declaration.Get("artifactStore"), "location")
	c.roleFillIn(declaration.Get("roleArn"))
	for _, stage := range declaration.List("stages") {
		for _, action := range stage.List("actions") {
			c.roleFillIn(action.Get("roleArn"))
			configuration := action.Get("configuration")
			if configuration == nil || configuration.Kind != Object {
				continue
			}
			for _, m := range configuration.Members {
				if m.Value.Kind == String && !c.opaque[m.Value] && !c.replaced[m.Value] && mayBeUnfilled(m.Value.Text) && !slices.Contains(freeText, m.Name) {
					c.fillIn(m)
				}
			}
		}
	}
}

// allowedFillIn looks at a value whose form allows some placeholders, such as your-bucket.
func (c *checker) allowedFillIn(n *Node, member string) {
	if v := n.Get(member); v != nil && v.Kind == String && !c.opaque[v] && !c.replaced[v] && mayBeUnfilled(v.Text) && !strings.ContainsAny(v.Text, "<{$%") {
		c.fillIn(Member{Name: member, Value: v})
	}
}

// roleFillIn looks at the name in the ARN of a role: the form that AWS asks for allows any letters there, though
// no role has such a name.
func (c *checker) roleFillIn(v *Node) {
	if v == nil || v.Kind != String || c.opaque[v] || c.replaced[v] || strings.Contains(v.Text, "#{") || !roleARN.matches(v.Text) {
		return
	}
	name := v.Text[strings.LastIndexByte(v.Text, ':')+1:]
	if piece := bracketed.FindString(name); strings.ContainsAny(piece, "<{$%[") {
		c.placeholders = append(c.placeholders, unfilled{v.place(), "roleArn", piece, true})
	} else if piece := leading.FindString(name[strings.LastIndexByte(name, '/')+1:]); piece != "" {
		c.placeholders = append(c.placeholders, unfilled{v.place(), "roleArn", piece, false})
	}
}

// mayBeUnfilled sorts out nearly every value by its first letters.
func mayBeUnfilled(text string) bool {
	if text == "" {
		return false
	}
	switch text[0] {
	case '<', '{', '$', '%', '_', 'y', 'Y', 'R', 'r', 'C', 'c', 'T':
		return true
	}
	return strings.HasPrefix(text, "arn:")
}

func (c *checker) fillIn(m Member) {
	if ourReference.MatchString(m.Value.Text) || referenceAttempt.MatchString(m.Value.Text) && slices.Contains(SecretKeys(), m.Name) {
		return // a reference to a secret, which has rules of its own
	}
	if !strings.HasPrefix(m.Value.Text, "arn:") {
		if piece := leading.FindString(m.Value.Text); piece != "" {
			c.placeholders = append(c.placeholders, unfilled{m.Value.place(), m.Name, piece, false})
		}
		return
	}
	parts := strings.SplitN(m.Value.Text, ":", 6)
	if len(parts) < 6 || parts[4] == "" || isDigits(parts[4]) || strings.Contains(m.Value.Text, "#{") {
		return
	}
	piece := bracketed.FindString(m.Value.Text)
	if piece == "" {
		piece = words.FindString(parts[4])
	}
	if piece != "" {
		c.placeholders = append(c.placeholders, unfilled{m.Value.place(), m.Name, piece, true})
	}
}

// tellPlaceholders reports all placeholders as one problem, at the first that is certain: a template that was never
// filled in has one fault, not twenty.
func (c *checker) tellPlaceholders() {
	if len(c.placeholders) == 0 {
		return
	}
	first := c.placeholders[max(0, slices.IndexFunc(c.placeholders, func(u unfilled) bool { return u.certain }))]
	report := c.warn
	if first.certain {
		report = c.report
	}
	message := fmt.Sprintf("%s is not filled in: %s is a placeholder", first.what, quote(first.text))
	hint := "write the value; what differs by target is written ${var.NAME}, with NAME among the vars of each target"
	switch {
	case first.text == "Ref" || strings.HasPrefix(first.text, "Fn::") || strings.HasPrefix(first.text, "${AWS::"):
		message = fmt.Sprintf("%s is not filled in: only CloudFormation knows %s", first.what, first.text)
	case strings.HasPrefix(first.text, "{{resolve:"):
		message = fmt.Sprintf("%s is not filled in: only CloudFormation resolves {{resolve:…}}; CodePipeline takes it as it stands", first.what)
	case strings.HasPrefix(first.text, "$"):
		hint = "the shell did not replace it; " + hint
	}
	report(first.at, "PL-D07", hint+c.others(first), "%s", message)
}

// others names the lines of the other placeholders.
func (c *checker) others(first unfilled) string {
	var lines []string
	for _, u := range c.placeholders {
		if u.at != first.at && len(lines) < 10 {
			lines = append(lines, fmt.Sprint(c.file.line(u.at.offset)))
		}
	}
	lines = slices.Compact(lines)
	switch {
	case len(lines) == 0:
		return ""
	case len(c.placeholders) > 11:
		lines = append(lines, "…")
	}
	if len(lines) == 1 {
		return "; another is in line " + lines[0]
	}
	return "; others are in lines " + strings.Join(lines, ", ")
}

func quote(s string) string { return fmt.Sprintf("%q", shorten(s, 60)) }

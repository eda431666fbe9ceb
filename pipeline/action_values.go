package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// keyValue checks the value of one key that the type knows. AWS takes most wrong values and the action fails when it
// runs, so nearly all of these findings are warnings.
func (c *checker) keyValue(s subject, k *Key, m Member) {
	v := m.Value
	if v.Kind != String || v.Text == "" {
		return // reported by the schema check
	}
	if k.Secret {
		c.secret(s, k, v)
		return
	}
	if k.Form >= JSONObject && k.Form <= Environment {
		c.json(s, k, v)
		return
	}
	if k.Form == 0 && k.Enum == nil && k.Only == nil || c.unsettled(v) {
		return
	}
	if k.Only != nil && v.Text != "false" {
		if holds, sure := c.holds(s, k.Only); sure && !holds {
			c.report(m, s.rule(), "remove it", "%s has %s, which only counts where %s is %s", s, k.Name, k.Only.Key, strings.Join(k.Only.In, " or "))
		}
	}
	if k.Enum != nil && k.Form != CommaList && !slices.Contains(k.Enum, v.Text) {
		c.report(v, s.rule(), closest(v.Text, k.Enum), "%s of %s is %q; AWS documents %s", k.Name, s, shorten(v.Text, 60), listing(k.Enum))
	}
	c.form(s, k, v)
}

// closest returns a hint where one of the candidates, which the message lists, is probably meant.
func closest(word string, candidates []string) string {
	if c := Closest(word, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	return ""
}

// secret warns of a secret that stands in a file, without showing it.
func (c *checker) secret(s subject, k *Key, v *Node) {
	switch {
	case v.Text == Mask || v.Text == Mask+"*":
		c.report(v, "CP-A05", "AWS keeps the secret only where nothing else of the action changes; a new or renamed action or stage needs the secret itself, or a reference to it",
			"%s of %s is %s, what AWS shows in place of a secret", k.Name, s, v.Text)
	case referenceAttempt.MatchString(v.Text) || c.opaque[v]:
		// A reference, which has rules of its own; or unknown.
	default:
		c.report(v, "CP-P02", "anybody who can read the repository can use it: revoke it, and write a reference, {{resolve:secretsmanager:…}}", "%s of %s is a secret in plain text", k.Name, s)
	}
}

// form checks a value that has a form of its own.
func (c *checker) form(s subject, k *Key, v *Node) {
	wrong := func(hint, format string, args ...any) {
		if leading.MatchString(v.Text) {
			return // PL-D07 tells it better
		}
		c.report(v, s.rule(), hint, "%s of %s %s", k.Name, s, fmt.Sprintf(format, args...))
	}
	switch k.Form {
	case ArtifactPath:
		if artifact, path, ok := strings.Cut(v.Text, "::"); !ok || artifact == "" || path == "" {
			wrong(`write "Artifact::path/in/it"`, "is %q, which does not name an artifact and a file in it", shorten(v.Text, 100))
		}
	case RoleARN:
		if !roleARN.Pattern.MatchString(v.Text) {
			wrong(hintRoleARN(v.Text), "is no ARN of a role: %q", shorten(v.Text, 120))
		}
	case TopicARN:
		c.topic(s, k, v)
	case ConnectionARN:
		if hint := connectionFault(v.Text, c.target.Partition); hint != "" {
			wrong(hint, "is no ARN of a connection: %q", shorten(v.Text, 120))
		}
	case Repository:
		if hint := repositoryFault(v.Text); hint != "" {
			wrong(hint, "is %q; AWS takes owner/name", shorten(v.Text, 100))
		}
	case WholeNumber:
		if n, err := strconv.Atoi(v.Text); err != nil || n < k.Min || k.Max > 0 && n > k.Max {
			wrong("", "is %q; AWS documents a whole number%s", shorten(v.Text, 40), bounds(k))
		}
	case Decimal:
		if _, err := strconv.ParseFloat(v.Text, 64); err != nil {
			wrong("", "is %q; the type says it is a number", shorten(v.Text, 40))
		}
	case Share:
		count, isPercentage := strings.CutSuffix(v.Text, "%")
		if n, err := strconv.Atoi(count); err != nil || n < 0 || isPercentage && (n < 1 || n > 100) {
			wrong(`write a count, "2", or a percentage, "25%"`, "is %q; AWS takes a number of targets, or 1%% to 100%%", shorten(v.Text, 40))
		}
	case CommaList:
		c.parts(s, k, v)
	case Strategy:
		if fault := strategyFault(v.Text); fault != "" {
			wrong("AllAtOnce, Canary10Percent5Minutes and Linear10PercentEvery1Minute are strategies", "is %q: %s", shorten(v.Text, 60), fault)
		}
	case AbsolutePath:
		if !strings.HasPrefix(v.Text, "/") {
			wrong("begin it with /", "is %q; AWS needs a whole path", shorten(v.Text, 100))
		}
	case Cron:
		if at, fault := cronFault(v.Text); fault != "" {
			c.report(c.within(v, at), s.rule(), "seconds minutes hours day-of-month month day-of-week [year], such as 0 0 9-17 ? * MON-FRI *", "%s of %s is %q: %s", k.Name, s, shorten(v.Text, 60), fault)
		}
	case TimeZone:
		if !isTimeZone(v.Text) {
			wrong("write Europe/Berlin, UTC or UTC+02:00", "is %q, which is no time zone that AWS documents", shorten(v.Text, 60))
		}
	}
}

func bounds(k *Key) string {
	if k.Max > 0 {
		return fmt.Sprintf(" from %d to %d", k.Min, k.Max)
	}
	return fmt.Sprintf(", at least %d", k.Min)
}

// topic checks the ARN of the topic to which approvals are sent; AWS reads it when the pipeline is written.
func (c *checker) topic(s subject, k *Key, v *Node) {
	const form = "arn:aws:sns:<region>:<12-digit account>:<topic>"
	parts := strings.SplitN(v.Text, ":", 6)
	switch region := c.target.Region; {
	case len(parts) < 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws") || parts[3] == "" || parts[5] == "":
		c.report(v, s.rule(), "expected "+form, "%s of %s is no ARN of an SNS topic: %q", k.Name, s, shorten(v.Text, 120))
	case parts[2] != "sns":
		c.report(v, s.rule(), "expected "+form, "%s of %s is an ARN of %s; approvals are sent to topics of SNS", k.Name, s, shorten(parts[2], 40))
	case !isDigits(parts[4]) || len(parts[4]) != 12:
		c.warn(v, s.rule(), "expected "+form, "%s of %s has no account number of 12 digits: %q", k.Name, s, shorten(v.Text, 120))
	case region != "" && parts[3] != region:
		c.report(v, s.rule(), "use a topic of "+region, "%s of %s is a topic in %s, but the pipeline is in %s", k.Name, s, shorten(parts[3], 40), region)
	}
}

func connectionFault(arn, partition string) (hint string) {
	const form = "expected arn:aws:codeconnections:<region>:<12-digit account>:connection/<id>"
	parts := strings.SplitN(arn, ":", 6)
	switch {
	case len(parts) < 6 || parts[0] != "arn" || !strings.HasPrefix(parts[1], "aws"):
		return form
	case parts[2] != "codeconnections" && parts[2] != "codestar-connections":
		return fmt.Sprintf("this is an ARN of %s; %s", shorten(parts[2], 40), form)
	case parts[3] == "" || !isDigits(parts[4]) || len(parts[4]) != 12 || !strings.HasPrefix(parts[5], "connection/") || parts[5] == "connection/":
		return form
	case partition != "" && parts[1] != partition:
		return fmt.Sprintf("the target is in the partition %s", partition)
	}
	return ""
}

func repositoryFault(id string) (hint string) {
	owner, name, ok := strings.Cut(id, "/")
	switch {
	case strings.Contains(id, "://") || strings.HasPrefix(id, "git@"):
		return "write owner/name, not an address"
	case !ok || owner == "" || name == "" || strings.HasSuffix(name, "/") || strings.ContainsAny(id, " \t\n"):
		return "write owner/name, as in my-org/my-repository"
	case strings.HasSuffix(name, ".git"):
		return "leave out .git"
	}
	return ""
}

// parts checks a list of words between commas.
func (c *checker) parts(s subject, k *Key, v *Node) {
	at, count := 0, 0
	for part := range strings.SplitSeq(v.Text, ",") {
		count++
		switch {
		case k.Enum == nil || slices.Contains(k.Enum, part):
		case slices.Contains(k.Enum, strings.TrimSpace(part)):
			c.report(c.within(v, at), s.rule(), "leave out the space", "%s of %s has a space beside %q; AWS documents commas without spaces", k.Name, s, strings.TrimSpace(part))
		default:
			c.report(c.within(v, at), s.rule(), closest(part, k.Enum), "%s of %s has %q; AWS documents %s", k.Name, s, shorten(part, 60), listing(k.Enum))
		}
		at += len(part) + 1
	}
	if k.Max > 0 && count > k.Max {
		c.report(v, s.rule(), "", "%s of %s has %d entries; AWS documents at most %d", k.Name, s, count, k.Max)
	}
}

// json checks JSON that stands in a string. What it says of it, it says of the place inside the string.
func (c *checker) json(s subject, k *Key, v *Node) {
	if c.opaque[v] {
		return
	}
	r := newReader([]byte(v.Text))
	n, err := r.document()
	switch {
	case err != nil && filledInLater(v.Text):
		// It may be JSON once it is filled in.
	case err != nil:
		c.report(c.within(v, failedAt(r, err)), s.rule(), "", "%s of %s is not JSON: %s", k.Name, s, jsonFault(err))
	case k.Form == JSONObject && n.Kind != Object:
		c.report(v, s.rule(), `write {"name": "value"} as a string`, "%s of %s must be a JSON object in a string, not %s", k.Name, s, article(n.Kind))
	case k.Form != JSONObject && n.Kind != Array:
		c.report(v, s.rule(), "put it in [ ]", "%s of %s must be a JSON list in a string, not %s", k.Name, s, article(n.Kind))
	case k.Max > 0 && len(v.Text) > k.Max && !filledInLater(v.Text):
		c.report(v, s.rule(), "move the values into a file: TemplateConfiguration", "%s of %s has %d bytes; AWS documents at most %d", k.Name, s, len(v.Text), k.Max)
	case k.Form == Environment:
		for _, entry := range n.Items {
			c.environment(s, v, entry)
		}
	}
}

// failedAt returns the byte of a text at which it stops being JSON.
func failedAt(r *reader, err error) int {
	if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err, &syntactic) {
		return int(syntactic.ByteOffset)
	}
	return r.failed
}

// jsonFault says what is wrong without the text around it, which may hold a secret.
func jsonFault(err error) string {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a name stands twice in one object"
	case errors.Is(err, errTooDeep), errors.Is(err, errTrailing):
		return err.Error()
	}
	return "here it stops being JSON"
}

var environmentTypes = []string{"PLAINTEXT", "PARAMETER_STORE", "SECRETS_MANAGER"}

// environment checks one variable of a build; its value is never shown.
func (c *checker) environment(s subject, v, entry *Node) {
	if entry.Kind != Object {
		c.report(c.within(v, entry.Offset), s.rule(), `write {"name": "…", "value": "…"}`, "an entry of EnvironmentVariables of %s must be an object, not %s", s, article(entry.Kind))
		return
	}
	for _, m := range entry.Members {
		switch m.Name {
		case "name", "value", "type":
			if m.Value.Kind != String {
				c.report(c.within(v, m.Value.Offset), s.rule(), "write it in quotes", "%s in EnvironmentVariables of %s must be a string, not %s", m.Name, s, article(m.Value.Kind))
			} else if m.Name == "type" && !slices.Contains(environmentTypes, m.Value.Text) && !filledInLater(m.Value.Text) {
				c.report(c.within(v, m.Value.Offset), s.rule(), closest(m.Value.Text, environmentTypes), "a type in EnvironmentVariables of %s is %q; AWS documents %s", s, shorten(m.Value.Text, 40), listing(environmentTypes))
			}
		default:
			c.report(c.within(v, m.Offset), s.rule(), closest(m.Name, []string{"name", "value", "type"}), "an entry of EnvironmentVariables of %s has %q; AWS documents name, value and type", s, shorten(m.Name, 60))
		}
	}
	for _, name := range [...]string{"name", "value"} {
		if entry.Get(name) == nil {
			c.report(c.within(v, entry.Offset), s.rule(), "", "an entry of EnvironmentVariables of %s has no %s", s, name)
		}
	}
}

package emulator

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

//go:embed model.json
var modelJSON []byte

// model is the part of an AWS service model that says what a request may hold: shape name → shape.
type model map[string]*shape

type shape struct {
	Type               string // structure, list, map, string, integer, boolean, timestamp
	Required           []string
	Members            map[string]string // :: member → shape name
	Member, Key, Value string            // shape names of list members and of map keys and values
	Min, Max           *int
	Pattern            string
	Enum               []string

	re *regexp.Regexp // Pattern, anchored: AWS matches the whole value
}

var codepipelineModel, taggingModel = loadModels()

func loadModels() (codepipeline, tagging model) {
	var file struct{ Codepipeline, Tagging model }
	if err := json.Unmarshal(modelJSON, &file); err != nil {
		panic(err) // unreachable: the file is part of the binary
	}
	// The one place where the service is known to differ from its model: messages since 2025 say 50000 (CP-F07).
	*file.Codepipeline["ActionConfigurationValue"].Max = 50000
	for _, m := range []model{file.Codepipeline, file.Tagging} {
		for _, sh := range m {
			if sh.Pattern != "" {
				sh.re = regexp.MustCompile(`\A(?:` + sh.Pattern + `)\z`)
			}
		}
	}
	return file.Codepipeline, file.Tagging
}

// conform returns input as the named shape: members of null and, unless keepUnknown, members that the shape does not
// have left out, whole numbers as int64. A value of the wrong JSON type is a SerializationException; all values that
// break a constraint are told together in one ValidationException (CP-F01 to CP-F09).
func (m model) conform(name string, input map[string]any, keepUnknown bool) (map[string]any, error) {
	ch := &conformer{model: m, keepUnknown: keepUnknown}
	out, err := ch.structure(m[name], "", input)
	if err != nil {
		return nil, err
	}
	if n := len(ch.violations); n > 0 {
		return nil, refuse("ValidationException", "%d validation error%s detected: %s", n, plural(n), strings.Join(ch.violations, "; "))
	}
	return out.(map[string]any), nil
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// conformer walks one request. Violations come in the order of member names: that of AWS is not known.
type conformer struct {
	model       model
	keepUnknown bool
	violations  []string
}

func (ch *conformer) violate(path, constraint string) {
	ch.violations = append(ch.violations, fmt.Sprintf("Value at '%s' failed to satisfy constraint: %s", path, constraint))
}

func (ch *conformer) value(name, path string, v any) (any, error) {
	sh := ch.model[name]
	switch sh.Type {
	case "structure":
		return ch.structure(sh, path, v)
	case "list":
		return ch.list(sh, path, v)
	case "map":
		return ch.mapping(sh, path, v)
	}
	v, broken, err := sh.scalar(v)
	for _, b := range broken {
		ch.violate(path, b)
	}
	return v, err
}

func (ch *conformer) structure(sh *shape, path string, v any) (any, error) {
	in, ok := v.(map[string]any)
	if !ok && v != nil {
		return nil, mismatch(v, "structure")
	}
	out := map[string]any{}
	if ch.keepUnknown {
		for k, v := range in {
			if sh.Members[k] == "" {
				out[k] = v
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(sh.Members)) {
		at := join(path, k)
		if in[k] == nil {
			if slices.Contains(sh.Required, k) {
				ch.violate(at, "Member must not be null")
			}
			continue
		}
		member, err := ch.value(sh.Members[k], at, in[k])
		if err != nil {
			return nil, err
		}
		out[k] = member
	}
	return out, nil
}

// join appends a member. AWS writes the members of capitalised APIs (tagging) in lower case here.
func join(path, member string) string {
	member = strings.ToLower(member[:1]) + member[1:]
	if path == "" {
		return member
	}
	return path + "." + member
}

func (ch *conformer) list(sh *shape, path string, v any) (any, error) {
	in, ok := v.([]any)
	if !ok {
		return nil, mismatch(v, "list")
	}
	ch.size(sh, path, len(in))
	out := make([]any, len(in))
	brokenMember := false
	for i, v := range in {
		at := fmt.Sprintf("%s.%d.member", path, i+1)
		if v == nil {
			ch.violate(at, "Member must not be null")
			continue
		}
		member, broken, err := ch.element(sh.Member, at, v)
		if err != nil {
			return nil, err
		}
		out[i] = member
		brokenMember = brokenMember || broken
	}
	if brokenMember {
		ch.violate(path, "Member must satisfy constraint: "+ch.model[sh.Member].constraintList())
	}
	return out, nil
}

func (ch *conformer) mapping(sh *shape, path string, v any) (any, error) {
	in, ok := v.(map[string]any)
	if !ok {
		return nil, mismatch(v, "structure")
	}
	ch.size(sh, path, len(in))
	out := map[string]any{}
	brokenKey, brokenValue := false, false
	for _, k := range slices.Sorted(maps.Keys(in)) {
		_, broken, _ := ch.model[sh.Key].scalar(k)
		brokenKey = brokenKey || len(broken) > 0
		if in[k] == nil {
			continue
		}
		member, bad, err := ch.element(sh.Value, path+"."+k+".member", in[k])
		if err != nil {
			return nil, err
		}
		out[k] = member
		brokenValue = brokenValue || bad
	}
	if brokenKey {
		ch.violate(path, "Map keys must satisfy constraint: "+ch.model[sh.Key].constraintList())
	}
	if brokenValue {
		ch.violate(path, "Map value must satisfy constraint: "+ch.model[sh.Value].constraintList())
	}
	return out, nil
}

// element checks a member of a list or map. A structure reports its own violations; a scalar only says that it is
// broken, because AWS reports those once for the whole list or map, with all constraints of the member (CP-F07).
func (ch *conformer) element(name, path string, v any) (out any, broken bool, err error) {
	sh := ch.model[name]
	if sh.Type == "structure" || sh.Type == "list" || sh.Type == "map" {
		out, err = ch.value(name, path, v)
		return out, false, err
	}
	out, violated, err := sh.scalar(v)
	return out, len(violated) > 0, err
}

func (ch *conformer) size(sh *shape, path string, n int) {
	for _, b := range sh.outside(int64(n), "length") {
		ch.violate(path, b)
	}
}

// scalar returns v as its shape and the constraints it breaks.
func (sh *shape) scalar(v any) (out any, broken []string, err error) {
	switch sh.Type {
	case "string":
		s, ok := v.(string)
		if !ok {
			return nil, nil, mismatch(v, "a String")
		}
		broken = sh.outside(int64(utf8.RuneCountInString(s)), "length")
		if sh.re != nil && !sh.re.MatchString(s) {
			broken = append(broken, sh.patternText())
		}
		if sh.Enum != nil && !slices.Contains(sh.Enum, s) {
			broken = append(broken, sh.enumText())
		}
		return s, broken, nil
	case "integer":
		n, ok := v.(json.Number)
		if !ok {
			return nil, nil, mismatch(v, "an Integer")
		}
		i, ok := wholeNumber(n)
		if !ok { // a ValidationException according to other emulators; the text is not known
			return nil, []string{"Member must be an integer"}, nil
		}
		return i, sh.outside(i, "value"), nil
	case "timestamp":
		n, ok := v.(json.Number)
		if !ok {
			return nil, nil, mismatch(v, "a Timestamp")
		}
		seconds, err := n.Float64()
		return time.UnixMilli(int64(seconds * 1000)), nil, err
	default: // boolean
		b, ok := v.(bool)
		if !ok {
			return nil, nil, mismatch(v, "a Boolean")
		}
		return b, nil, nil
	}
}

// wholeNumber accepts 1, 1.0 and 1e2, and refuses 1.5 and what no int32 can hold.
func wholeNumber(n json.Number) (int64, bool) {
	if i, err := strconv.ParseInt(string(n), 10, 32); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || f < -1<<31 || f >= 1<<31 {
		return 0, false
	}
	return int64(f), f == float64(int64(f))
}

func (sh *shape) outside(n int64, what string) []string {
	if sh.Max != nil && n > int64(*sh.Max) {
		return []string{atMost(what, *sh.Max)}
	}
	if sh.Min != nil && n < int64(*sh.Min) {
		return []string{atLeast(what, *sh.Min)}
	}
	return nil
}

// constraintList is every constraint of a scalar, as AWS lists them when a member of a list or map breaks one.
func (sh *shape) constraintList() string {
	var all []string
	if sh.Max != nil {
		all = append(all, atMost("length", *sh.Max))
	}
	if sh.Min != nil {
		all = append(all, atLeast("length", *sh.Min))
	}
	if sh.Pattern != "" {
		all = append(all, sh.patternText())
	}
	if sh.Enum != nil {
		all = append(all, sh.enumText())
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func atMost(what string, n int) string {
	return fmt.Sprintf("Member must have %s less than or equal to %d", what, n)
}

func atLeast(what string, n int) string {
	return fmt.Sprintf("Member must have %s greater than or equal to %d", what, n)
}

func (sh *shape) patternText() string {
	return "Member must satisfy regular expression pattern: " + sh.Pattern
}

func (sh *shape) enumText() string {
	return "Member must satisfy enum value set: [" + strings.Join(sh.Enum, ", ") + "]"
}

// mismatch is the refusal of a JSON value of another type than the model's (CP-F10), worded as other
// AWS JSON services word it; CodePipeline's own words are not known.
func mismatch(v any, want string) error {
	if want == "list" {
		return refuse("SerializationException", "Expected list or null")
	}
	if want == "structure" {
		return refuse("SerializationException", "Expected structure or null")
	}
	got := "Start of structure or map found where not expected."
	switch v := v.(type) {
	case []any:
		got = "Start of list found where not expected."
	case string:
		got = "STRING_VALUE can not be converted to " + want
	case json.Number:
		got = "NUMBER_VALUE can not be converted to " + want
	case bool:
		got = fmt.Sprintf("%s_VALUE can not be converted to %s", strings.ToUpper(strconv.FormatBool(v)), want)
	}
	return refuse("SerializationException", "%s", got)
}

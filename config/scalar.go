package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// scalar is a key that holds one value. The same setter serves the file and the environment.
type scalar struct {
	kind kind
	set  func(text string) error // a *complaint if the text will not do
	form form
}

// form is what a JSON Schema says of a scalar beside its type: what an editor can know. set knows more.
type form map[string]any

// kind is what a scalar must be written as in YAML.
type kind string

const (
	textKind     kind = "text"
	numberKind   kind = "a number"
	boolKind     kind = "true or false"
	durationKind kind = "a duration"
)

// complaint is why a value will not do, in words that follow the name of its key.
type complaint struct {
	message string
	hint    string
}

func (c *complaint) Error() string { return c.message }

// check looks at one value; it returns a *complaint or nil.
type check func(text string) error

func text(dst *string, checks ...check) scalar {
	return scalar{textKind, func(s string) error {
		if s == "" {
			return &complaint{"is empty", "remove the line or give it a value"}
		}
		return optionalText(dst, checks...).set(s)
	}, form{"minLength": 1}}
}

// optionalText is text for which empty means none.
func optionalText(dst *string, checks ...check) scalar {
	return scalar{textKind, func(s string) error {
		for _, c := range checks {
			if s == "" {
				break
			}
			if err := c(s); err != nil {
				return err
			}
		}
		*dst = s
		return nil
	}, nil}
}

func oneOf[T ~string](dst *T, choices ...T) scalar {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = string(c)
	}
	return scalar{textKind, func(s string) error {
		if !slices.Contains(names, s) {
			return &complaint{fmt.Sprintf("%q is none of %s", s, strings.Join(names, ", ")), didYouMean(s, names)}
		}
		*dst = T(s)
		return nil
	}, form{"enum": names}}
}

func boolean(dst *bool) scalar {
	return scalar{boolKind, func(s string) error {
		switch strings.ToLower(s) {
		case "true":
			*dst = true
		case "false":
			*dst = false
		default:
			return &complaint{fmt.Sprintf("want true or false, have %q", s), ""}
		}
		return nil
	}, nil}
}

// rate is a number of calls per second, above zero.
func rate(dst *float64) scalar {
	return scalar{numberKind, func(s string) error {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f > 0) || math.IsInf(f, 0) { // the negated comparison catches NaN as well
			return &complaint{fmt.Sprintf("want a number above 0, have %s", s), ""}
		}
		*dst = f
		return nil
	}, form{"exclusiveMinimum": 0}}
}

// count is a whole number, at least 1.
func count[T int | int64](dst *T) scalar {
	return whole(dst, "want a whole number above 0", 1, math.MaxInt64)
}

// limit is a whole number that may be 0, which allows nothing.
func limit(dst *int) scalar { return whole(dst, "want a whole number, 0 or more", 0, math.MaxInt64) }

func percent(dst *int) scalar { return whole(dst, "want a whole number from 0 to 100", 0, 100) }

func whole[T int | int64](dst *T, want string, least, most int64) scalar {
	bounds := form{"type": "integer", "minimum": least}
	if most < math.MaxInt64 {
		bounds["maximum"] = most
	}
	return scalar{numberKind, func(s string) error {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < least || n > most || int64(T(n)) != n {
			return &complaint{fmt.Sprintf("%s, have %s", want, s), ""}
		}
		*dst = T(n)
		return nil
	}, bounds}
}

// duration is a span of time above zero.
func duration(dst *time.Duration) scalar {
	return scalar{durationKind, func(s string) error {
		d, err := parseDuration(s)
		if err != nil || d <= 0 {
			return &complaint{fmt.Sprintf("%q is no duration above 0", s), "write it like 20s, 1m, 1h30m or 1d"}
		}
		*dst = d
		return nil
	}, form{"pattern": `^\+?([0-9]+d)?([0-9.]+(h|m|s|ms|us|µs|μs|ns))*$`, "minLength": 2}}
}

// interval is a span of time between two things that are done again and again: a second at least.
func interval(dst *time.Duration) scalar {
	var d time.Duration
	span := duration(&d)
	return scalar{span.kind, func(s string) error {
		if err := span.set(s); err != nil {
			return err
		}
		if d < time.Second {
			return &complaint{fmt.Sprintf("%q is shorter than a second", s), "1s is the least"}
		}
		*dst = d
		return nil
	}, span.form}
}

// parseDuration is time.ParseDuration with leading days of 24 hours: 1d, 1d12h.
func parseDuration(s string) (time.Duration, error) {
	number, rest, found := strings.Cut(s, "d")
	if !found {
		return time.ParseDuration(s)
	}
	days, err := strconv.ParseUint(number, 10, 16) // 16 bits of days are far from overflow
	if err != nil {
		return 0, fmt.Errorf("reading the days of %q: %w", s, err)
	}
	d := time.Duration(days) * 24 * time.Hour
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || more < 0 || d+more < 0 {
		return 0, fmt.Errorf("reading %q after the days: not a span of time", rest)
	}
	return d + more, nil
}

func (s scalar) read(d *decoder, path string, n *yaml.Node) {
	if n = d.resolve(n); n == nil {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.fault(n, fmt.Sprintf("%s: want %s, have %s", path, s.kind, describe(n)), "")
		return
	}
	if err := s.accepts(n); err != nil {
		d.complain(n, path, err)
		return
	}
	if err := s.set(n.Value); err != nil {
		d.complain(n, path, err)
	}
}

// accepts holds a value to the type that its notation has in YAML. A number where text is wanted is refused, although
// its text could be taken: 012345678901 and 1.10 mean something else to every other tool that reads the file.
func (s scalar) accepts(n *yaml.Node) error {
	tag := n.ShortTag()
	switch {
	case tag == "!!null":
		return &complaint{"has no value", "remove the line or give it a value"}
	case s.kind == textKind && tag != "!!str":
		return &complaint{fmt.Sprintf("want text, but YAML reads %s as %s", n.Value, describe(n)), fmt.Sprintf("put it in quotes: %q", n.Value)}
	case s.kind == durationKind && tag == "!!int":
		return &complaint{fmt.Sprintf("%s has no unit", n.Value), fmt.Sprintf("write %ss for seconds", n.Value)}
	case s.kind == numberKind && tag != "!!int" && tag != "!!float", s.kind == boolKind && tag != "!!bool":
		return &complaint{fmt.Sprintf("want %s, have %q", s.kind, n.Value), ""}
	}
	return nil
}

// describe says what a value is in YAML, for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "text"
	}
	return "something else"
}

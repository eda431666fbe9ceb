package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// prefix is that of every environment variable that overrides a key.
const prefix = "PLUMBLINE_"

// foreign matches what Kubernetes puts into each container for a Service called plumbline or plumbline-…: variables
// with our prefix that nobody wrote.
var foreign = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// environment sets keys from variables, in the form of os.Environ. An empty variable counts as not set.
func (d *decoder) environment(known keys, environ []string) {
	scalars := map[string]string{} // :: variable → path
	setters := map[string]scalar{} // :: path → the key
	known.scalars("", func(path string, s scalar) {
		scalars[variable(path)] = path
		setters[path] = s
	})
	for _, entry := range environ {
		name, val, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, prefix) || foreign.MatchString(name) || val == "" {
			continue
		}
		path, ok := scalars[name]
		if !ok {
			hint := didYouMean(name, slices.Sorted(maps.Keys(scalars)))
			d.faults = append(d.faults, Fault{File: name, Message: "unknown environment variable", Hint: hint})
			continue
		}
		d.places[path] = place{file: name}
		if err := setters[path].set(val); err != nil {
			message, hint := explain(path, err)
			d.faults = append(d.faults, Fault{File: name, Message: message, Hint: hint})
		}
	}
}

// scalars calls visit for each key that holds one value and stands in no list. What can be written in two ways has
// the short one for a variable.
func (k keys) scalars(path string, visit func(path string, s scalar)) {
	for name, v := range k {
		switch v := v.(type) {
		case scalar:
			visit(join(path, name), v)
		case keys:
			v.scalars(join(path, name), visit)
		case either:
			below := maps.Clone(v.long)
			delete(below, v.name)
			visit(join(path, name), v.short)
			below.scalars(join(path, name), visit)
		}
	}
}

var hump = regexp.MustCompile(`([a-z])([A-Z])`)

// variable returns the environment variable of a key: PLUMBLINE_AWS_ENDPOINT_URL for aws.endpointURL.
func variable(path string) string {
	words := hump.ReplaceAllString(strings.ReplaceAll(path, ".", "_"), "${1}_$2")
	return prefix + strings.ToUpper(words)
}

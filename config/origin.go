package config

import (
	"fmt"
	"reflect"
	"strings"
)

// origins is where the keys of a configuration are set. Its zero value is that of one which nobody wrote.
type origins struct {
	file   string           // as it was given to Load
	path   string           // of the same file, absolute
	places map[string]place // :: path of a key, such as policy.mode or sources[0].url → where it is set
}

// place is where a key is set: in the file, or (line 0) in the environment variable that file names.
type place struct {
	file         string
	line, column int
}

func (p place) String() string {
	if p.line == 0 {
		return "environment " + p.file
	}
	return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column)
}

// has reports whether a key is set, in the file or in the environment.
func (o *origins) has(path string) bool {
	_, ok := o.places[path]
	return ok
}

// fromEnvironment reports whether the value of a key comes from the environment.
func (o *origins) fromEnvironment(path string) bool {
	at, ok := o.places[path]
	return ok && at.line == 0
}

// nearest returns the key itself if it is set, and else the smallest thing around it that is.
func (o *origins) nearest(path string) (string, place) {
	for path != "" && !o.has(path) {
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	if path == "" {
		return "", place{o.file, 1, 1}
	}
	return path, o.places[path]
}

// faultOf is a fault of a key, or where the key is not set, of what it would stand in.
func (o *origins) faultOf(path, message, hint string) Fault {
	path, at := o.nearest(path)
	return Fault{at.file, at.line, at.column, prefixed(path, message), hint}
}

// sourcePath returns the path of source i in whichever form the file uses.
func (o *origins) sourcePath(i int) string {
	if o.has("source") {
		return "source"
	}
	return fmt.Sprintf("sources[%d]", i)
}

// targetPath returns the path of target i in whichever form the file uses.
func (o *origins) targetPath(i int) string {
	if o.has("regions") {
		return fmt.Sprintf("regions[%d]", i)
	}
	return fmt.Sprintf("targets[%d]", i)
}

// Files returns the absolute paths of the files whose change makes a configuration another one: the file it was
// loaded from, or none. Files with secrets are not among them; they are read when they are used.
func Files(c *Config) []string {
	if c.origins.path == "" {
		return nil
	}
	return []string{c.origins.path}
}

// Equal reports whether two configurations say the same, wherever they say it: a comment or another order of the keys
// makes no difference.
func Equal(a, b *Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	left, right := *a, *b
	left.origins, right.origins = origins{}, origins{}
	return reflect.DeepEqual(left, right)
}

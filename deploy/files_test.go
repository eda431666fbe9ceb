// Package deploy_test checks the files with which operators run Plumbline: that each is well formed, and that what it
// says of the program is so.
package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/plumbline/plumbline/config"
)

// object is a YAML mapping of which a test looks at a part.
type object = map[string]any

// dig returns what stands at a path of keys, nil if there is nothing.
func dig(in any, path ...string) any {
	for _, key := range path {
		m, ok := in.(object)
		if !ok {
			return nil
		}
		in = m[key]
	}
	return in
}

// items returns the mappings of a list.
func items(in any) (all []object) {
	list, _ := in.([]any)
	for _, item := range list {
		if m, ok := item.(object); ok {
			all = append(all, m)
		}
	}
	return all
}

// words returns the strings of a list.
func words(in any) (all []string) {
	list, _ := in.([]any)
	for _, item := range list {
		if s, ok := item.(string); ok {
			all = append(all, s)
		}
	}
	return all
}

// documents returns the documents of a YAML file. A key that is given twice is an error.
func documents(data []byte) (all []any, err error) {
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithUniqueKeys())
	for err == nil {
		var doc any
		if err = loader.Load(&doc); err == nil {
			all = append(all, doc)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

// mapping returns the one document of a file.
func mapping(t *testing.T, path string) object {
	t.Helper()
	all, err := documents([]byte(read(t, path)))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(all) == 1 {
		if m, ok := all[0].(object); ok {
			return m
		}
	}
	t.Fatalf("%s has %d documents, want one mapping", path, len(all))
	return nil
}

// configuration returns what a daemon would read, with the variables of its environment.
func configuration(t *testing.T, path string, environ ...string) *config.Config {
	t.Helper()
	c, err := config.Load(path, environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestYAML reads every YAML file of the folder.
func TestYAML(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(path)) {
			return err
		}
		files++
		if all, err := documents([]byte(read(t, path))); err != nil || len(all) == 0 {
			t.Errorf("%s: %d documents: %v", path, len(all), err)
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files: %v", files, err)
	}
	for _, bad := range []string{"a: 1\na: 2", "a: [", "\ta: 1"} {
		if _, err := documents([]byte(bad)); err == nil {
			t.Errorf("%q passes for YAML", bad)
		}
	}
}

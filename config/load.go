package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxSize bounds the file, in bytes.
const maxSize = 1 << 20

// smallest is the hint for files that have hardly begun.
const smallest = "the smallest useful file has two lines, source: {url: ../pipelines} and regions: [us-east-1]"

// Load reads the configuration at path; environ is what os.Environ returns. A file that cannot be read is an error
// that wraps the operating system's; one that can be read and is not valid is an [*Error] with every fault.
func Load(path string, environ []string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("finding the folder of %s: %w", path, err)
	}
	return parse(path, folder, data, environ)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err == nil && len(data) > maxSize {
		err = fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return data, err
}

// parse is Load after all reading is done; paths in data are relative to folder.
func parse(file, folder string, data []byte, environ []string) (*Config, error) {
	d := &decoder{origins: origins{file, filepath.Join(folder, filepath.Base(file)), map[string]place{}}}
	c := Default()
	if root := d.tree(data, smallest); root != nil {
		table := c.keys()
		table.read(d, "", root)
		d.environment(table, environ)
		c.complete(d, folder)
		if d.visits <= maxVisits { // of half a configuration, much would seem to be missing
			c.validate(d)
		}
	}
	if len(d.faults) > 0 {
		return nil, &Error{Faults: sortFaults(d.faults)}
	}
	c.origins = d.origins
	return c, nil
}

// tree parses YAML; smallest is a hint for files that have hardly begun. It returns nil, having reported why, if data is
// not exactly one document with something in it.
func (d *decoder) tree(data []byte, smallest string) *yaml.Node {
	var doc, next yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err == nil {
		err = loader.Load(&doc)
	}
	if err == nil {
		if err = loader.Load(&next); err == nil {
			d.fault(&next, "a second document begins here", "keep one; the line --- divides documents")
			return nil
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		d.syntax(data, err)
	case len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null":
		d.faultAt("", "the file is empty", smallest)
	case doc.Content[0].Kind != yaml.MappingNode:
		d.fault(doc.Content[0], fmt.Sprintf("want keys and values, have %s", describe(doc.Content[0])), smallest)
	default:
		return doc.Content[0]
	}
	return nil
}

// syntax reports what the parser says of a file that is no YAML.
func (d *decoder) syntax(data []byte, err error) {
	fault := Fault{File: d.file, Line: 1, Column: 1, Message: "no valid YAML: " + err.Error()}
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		fault.Message = "no valid YAML: " + e.Message
		fault.Line, fault.Column = e.Mark.Line, e.Mark.Column
		if fault.Line == 0 { // the reader, which comes before lines, knows bytes only
			before := data[:min(max(e.Mark.Index, 0), len(data))]
			fault.Line = 1 + bytes.Count(before, []byte("\n"))
			fault.Column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		}
	}
	if lines := bytes.Split(data, []byte("\n")); fault.Line <= len(lines) && bytes.HasPrefix(lines[fault.Line-1], []byte("\t")) {
		fault.Hint = "YAML allows no tabs at the beginning of a line"
	}
	d.faults = append(d.faults, fault)
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/plumbline/plumbline/differ"
	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
	"github.com/plumbline/plumbline/sync"
)

// write turns what is live into files, pipeline by pipeline.
func (i *importer) write(ctx context.Context) error {
	if err := os.MkdirAll(i.flags.dir, 0o755); err != nil {
		return err
	}
	there, err := i.existing(ctx)
	if err != nil {
		return err
	}
	fileNames := uniqueFileNames(i.known)
	byName := map[string][]liveDocument{}
	for _, d := range i.live {
		if why := i.prepare(&d); why != "" {
			i.leave([]liveDocument{d}, why)
			continue
		}
		byName[d.name] = append(byName[d.name], d)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if err := i.place(byName[name], fileNames[name], there); err != nil {
			return err
		}
	}
	slices.SortStableFunc(i.results, func(a, b imported) int { return cmp.Compare(a.Pipeline, b.Pipeline) })
	return nil
}

// leave notes that a person has to say something before pipelines can be written.
func (i *importer) leave(documents []liveDocument, reason string) {
	i.results = append(i.results, imported{
		Pipeline: documents[0].name, Targets: targetsOf(documents), Outcome: fileSkipped, Reason: reason, wanting: true,
	})
}

func targetsOf(documents []liveDocument) (names []string) {
	for _, d := range documents {
		names = append(names, d.target.Name)
	}
	return names
}

// prepare makes the file's tree of a live pipeline. It returns why that cannot be.
func (i *importer) prepare(d *liveDocument) (why string) {
	declaration := differ.Authored(d.declaration, d.target.Region)
	var missing []string
	for _, secret := range pipeline.Masked(declaration) {
		value := cmp.Or(i.secrets[d.name+"/"+secret.Key], i.secrets[secret.Key])
		if value == "" {
			missing = append(missing, fmt.Sprintf("%s of stage %s, action %s", secret.Key, secret.Stage, secret.Action))
			continue
		}
		secret.Set(value)
	}
	if len(missing) > 0 {
		return fmt.Sprintf("AWS hides its secret (%s), and a mask in a file is none: keep the secret in Secrets Manager or Parameter Store and name it with --secret 'KEY={{resolve:secretsmanager:NAME:SecretString:JSON-KEY}}', or move the source to a connection", strings.Join(missing, "; "))
	}
	d.file = declaration
	if len(d.tags) > 0 {
		list := pipeline.NewArray()
		for _, key := range slices.Sorted(maps.Keys(d.tags)) {
			list.Items = append(list.Items, pipeline.NewObject(
				pipeline.Member{Name: "key", Value: pipeline.NewString(key)}, pipeline.Member{Name: "value", Value: pipeline.NewString(d.tags[key])}))
		}
		d.file = pipeline.NewObject(pipeline.Member{Name: "pipeline", Value: declaration}, pipeline.Member{Name: "tags", Value: list})
	}
	return ""
}

// existing reads the files that are in the folder already.
func (i *importer) existing(ctx context.Context) (*sync.Tree, error) {
	s, err := source.Open(source.Config{Dir: i.flags.dir})
	if err != nil {
		return nil, err
	}
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return sync.Read([]sync.Origin{{Snapshot: snapshot, Layout: i.flags.layout}}, i.all), nil
}

// place finds the file, or the files, for the pipelines of one name, and writes them.
func (i *importer) place(documents []liveDocument, file string, there *sync.Tree) error {
	claimed, same := map[string]string{}, true // :: target → the file that stands for it already
	for _, d := range documents {
		w := there.For(d.target).Wanted[d.name]
		if w != nil {
			claimed[d.target.Name] = w.Path
		}
		same = same && w != nil && d.isSaidBy(w)
	}
	if same {
		i.results = append(i.results, imported{
			Pipeline: documents[0].name, Targets: targetsOf(documents), Outcome: fileKept,
			File: strings.Join(slices.Compact(slices.Sorted(maps.Values(claimed))), ", "),
		})
		return nil
	}
	common := path.Join("all", file)
	elsewhere := slices.ContainsFunc(slices.Collect(maps.Values(claimed)), func(p string) bool { return p != common })
	if i.flags.layout == sync.ByTarget && len(i.all) > 1 && len(documents) == len(i.all) && !elsewhere {
		if text := together(documents, common); text != nil {
			return i.put(documents, common, text, len(claimed) > 0)
		}
	}
	for _, d := range documents {
		name := file
		if i.flags.layout == sync.ByTarget {
			name = path.Join(d.target.Name, file)
		}
		w := there.For(d.target).Wanted[d.name]
		text := together([]liveDocument{d}, name)
		var err error
		switch {
		case w != nil && d.isSaidBy(w):
			i.results = append(i.results, imported{Pipeline: d.name, Targets: []string{d.target.Name}, Outcome: fileKept, File: w.Path})
		case w != nil && w.Path != name:
			i.leave([]liveDocument{d}, fmt.Sprintf("%s stands for it already and says something else; change or remove that file", w.Path))
		case text == nil:
			i.leave([]liveDocument{d}, "no file can say what AWS shows of it; please report that")
		default:
			err = i.put([]liveDocument{d}, name, text, w != nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isSaidBy reports whether a file already says what is live.
func (d *liveDocument) isSaidBy(w *sync.Wanted) bool {
	if len(w.Errors) > 0 || !d.isEqual(w.Document) {
		return false
	}
	// A mask is equal to any secret, and a new file would not have it.
	return len(pipeline.Masked(w.Document.Declaration())) == 0
}

// isEqual reports whether a document is what is live.
func (d *liveDocument) isEqual(doc *pipeline.Document) bool {
	if doc == nil || doc.Name != d.name || len(d.tags) > 0 && !maps.Equal(doc.Tags, d.tags) {
		return false
	}
	diff := differ.Compare(doc.Declaration(), d.declaration, d.target.Region)
	return len(diff.Edits) == 0 && len(diff.Unknown) == 0
}

// together returns the text of the one file that is each of the documents in its target, nil where there is none.
// That it is so is proved by reading it back.
func together(documents []liveDocument, name string) []byte {
	tree := pipeline.Literal(documents[0].file)
	if len(documents) > 1 {
		var trees []*pipeline.Node
		var targets []pipeline.Target
		for _, d := range documents {
			trees, targets = append(trees, d.file), append(targets, d.target)
		}
		tree = pipeline.Unify(trees, targets)
	}
	if tree == nil {
		return nil
	}
	formatted, _ := pipeline.Format(name, tree.JSON())
	if formatted == nil {
		return nil
	}
	file, _ := pipeline.Parse(name, formatted.Text)
	for _, d := range documents {
		if file == nil {
			return nil
		}
		if doc, _ := file.For(d.target); !d.isEqual(doc) {
			return nil
		}
	}
	return formatted.Text
}

// put writes a file. One that is there is kept, unless --force, and unless it is another pipeline's.
func (i *importer) put(documents []liveDocument, name string, text []byte, ours bool) error {
	root, err := os.OpenRoot(i.flags.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if folder := path.Dir(name); folder != "." {
		if err := root.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	written := imported{Pipeline: documents[0].name, Targets: targetsOf(documents), Outcome: fileWritten, File: name}
	was, err := readFile(path.Join(root.Name(), name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = writeNew(root, name, 0o644, text)
	case err != nil:
	case bytes.Equal(was, text): // it has errors by our rules, which is not this command's to mend
		written.Outcome = fileKept
	case !ours && holdsAnother(name, was, documents[0].name):
		i.leave(documents, name+" is another pipeline's file; rename that, and import again")
		return nil
	case !i.flags.force:
		i.leave(documents, name+" is there and says something else; --force writes over it")
		return nil
	default:
		err = replaceFile(i.flags.dir, name, was, text)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path.Join(i.flags.dir, name), err)
	}
	i.results = append(i.results, written)
	return nil
}

// holdsAnother reports whether a file is that of a pipeline with another name.
func holdsAnother(name string, text []byte, pipelineName string) bool {
	file, _ := pipeline.Parse(name, text)
	return file != nil && file.Name() != "" && file.Name() != pipelineName
}

// uniqueFileNames gives each pipeline a file's name that every system takes, tells apart from the others whatever it
// thinks of letter case, and does not hide. :: pipeline → file
func uniqueFileNames(pipelines []string) map[string]string {
	names, folded, used := map[string]string{}, map[string]bool{}, map[string]bool{}
	for _, name := range pipelines {
		folded[strings.ToLower(name)] = true
	}
	// Of names that differ in letter case only, the one in small letters goes first.
	ordered := slices.SortedFunc(slices.Values(pipelines), func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(b, a))
	})
	for _, name := range ordered {
		base, own := name, strings.ToLower(name)
		if strings.ContainsAny(base[:1], ".-") || reservedName(base) {
			base = "_" + base
		}
		file := base
		for n := 2; ; n++ {
			// A number at the end must not make it the name of another pipeline.
			if lower := strings.ToLower(file); !used[lower] && (!folded[lower] || lower == own) {
				used[lower] = true
				break
			}
			file = fmt.Sprintf("%s-%d", base, n)
		}
		names[name] = file + ".json"
	}
	return names
}

// reservedName reports whether Windows takes a name, up to its first dot, for a device.
func reservedName(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	return slices.Contains([]string{"con", "prn", "aux", "nul"}, stem) ||
		len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) && stem[3] >= '1' && stem[3] <= '9'
}

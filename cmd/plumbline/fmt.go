package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plumbline/plumbline/pipeline"
	"github.com/plumbline/plumbline/source"
)

func fmtCommand(a *app) *cobra.Command {
	f := formatting{app: a}
	cmd := &cobra.Command{
		Use:   "fmt FILE|FOLDER|-...",
		Short: "Write pipeline files in one form",
		Long: `Write pipeline files in one form, so that a difference in git is a difference of the
pipeline: members in the order in which AWS prints them, two spaces, a line for each
value, settings (configuration) by the alphabet. There are no options of style.

It mends what editors and shells leave behind (UTF-16, a byte order mark, CRLF, no
newline at the end, a comma after a last item) and removes what only AWS writes (version,
metadata). All else stays: unknown members, the order of lists, numbers and texts as they
are, JSON inside texts, the envelope.

Files are replaced at once or not at all, and those that changed are listed. Folders are
searched as validate does. A file that cannot be read without doubt, as one with a comment
or with a name that stands twice, is reported and left as it is; the others are written
all the same. - reads standard input and writes standard output.

Exit codes: 0 done; 1 a file could not be formatted, or with --check one would change.`,
		Example: `  plumbline fmt pipelines/
  plumbline fmt --check pipelines/      # in CI: lists what would change
  plumbline fmt --diff pipelines/web.json
  aws codepipeline get-pipeline --name web | plumbline fmt - >pipelines/web.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return hinted{errors.New("no file or folder is given"), "`plumbline fmt .` formats this folder and all below it"}
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions([]string{"json"}, cobra.ShellCompDirectiveFilterFileExt),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, arg := range args {
				if err := f.arg(cmd.Context(), arg); err != nil {
					f.failed = append(f.failed, err)
				}
			}
			return f.finish()
		},
	}
	cmd.Flags().BoolVar(&f.check, "check", false, "write nothing; list the files that would change, and end with exit code 1 if there are any")
	cmd.Flags().BoolVar(&f.diff, "diff", false, "write nothing; show what would change")
	return cmd
}

// formatting is one run of fmt. What is wrong with one file keeps no other from being formatted.
type formatting struct {
	*app
	check, diff bool

	files, changed int
	problems       []pipeline.Problem
	failed         []error
}

func (f *formatting) arg(ctx context.Context, arg string) error {
	if arg == "-" {
		return f.standardInput()
	}
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		return fmt.Errorf("opening %s: %w", arg, errors.Unwrap(err))
	case info.IsDir():
		return f.folder(ctx, arg)
	}
	data, err := readFile(arg)
	if err != nil {
		return fmt.Errorf("reading %s: %w", arg, err)
	}
	file, err := filepath.EvalSymlinks(arg) // a link that a person names stays one
	if err != nil {
		return fmt.Errorf("following %s: %w", arg, err)
	}
	return f.file(filepath.ToSlash(arg), data, filepath.Dir(file), filepath.Base(file))
}

// standardInput writes its form to standard output, changed or not.
func (f *formatting) standardInput() error {
	const shown = "stdin"
	data, err := io.ReadAll(io.LimitReader(f.stdin, pipeline.MaxFileSize+1))
	if err != nil {
		return fmt.Errorf("reading standard input: %w", err)
	}
	formatted := f.format(shown, data)
	if formatted == nil || f.check || f.diff {
		return nil
	}
	_, err = f.stdout.Write(formatted.Text)
	return err
}

// folder formats what validate would read.
func (f *formatting) folder(ctx context.Context, dir string) error {
	s, err := source.Open(source.Config{Dir: dir})
	if err != nil {
		return err
	}
	defer s.Close()
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, p := range snapshot.Problems {
		p.File = prefix(dir) + p.File
		f.problems = append(f.problems, p)
	}
	for _, file := range snapshot.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.file(prefix(dir)+file.Path, file.Data, dir, file.Path); err != nil {
			f.failed = append(f.failed, err)
		}
	}
	return nil
}

// file formats the file called name in dir.
func (f *formatting) file(shown string, data []byte, dir, name string) error {
	formatted := f.format(shown, data)
	if formatted == nil || bytes.Equal(formatted.Text, data) || f.check || f.diff {
		return nil
	}
	if err := replaceFile(dir, name, data, formatted.Text); err != nil {
		f.changed--
		return fmt.Errorf("writing %s: %w", shown, err)
	}
	fmt.Fprintln(f.stdout, printable(shown))
	return nil
}

// format returns the form of a file, or nil where it has none. With --check or --diff it shows what would change.
func (f *formatting) format(shown string, data []byte) *pipeline.Formatted {
	f.files++
	formatted, problems := pipeline.Format(shown, data)
	if formatted == nil {
		f.problems = append(f.problems, problems...)
		return nil
	}
	if bytes.Equal(formatted.Text, data) {
		return formatted
	}
	f.changed++
	if len(formatted.Mended) > 0 {
		fmt.Fprintf(f.stderr, "%s: %s\n", printable(shown), strings.Join(formatted.Mended, ", "))
	}
	switch {
	case f.diff:
		f.printDiff(udiff.Unified(shown+".orig", shown, string(formatted.Before), string(formatted.Text)))
	case f.check:
		fmt.Fprintln(f.stdout, printable(shown))
	}
	return formatted
}

// printDiff writes a difference: to a terminal without what could disturb it, elsewhere as it is, for patch.
func (f *formatting) printDiff(diff string) {
	colours := map[byte]text.Color{'+': text.FgGreen, '-': text.FgRed, '@': text.FgCyan}
	for line := range strings.Lines(diff) {
		if f.terminal {
			line = strings.ReplaceAll(printable(strings.TrimSuffix(line, "\n")), `\u0009`, "\t") + "\n"
		}
		if colour, ok := colours[line[0]]; ok {
			line = f.paint(colour, strings.TrimSuffix(line, "\n")) + "\n"
		}
		fmt.Fprint(f.stdout, line)
	}
}

// finish reports what could not be formatted, and how much was done.
func (f *formatting) finish() error {
	pipeline.SortProblems(f.problems)
	f.printProblems(f.stderr, f.problems, nil)
	done := "formatted"
	if f.check || f.diff {
		done = "would change"
	}
	summary := fmt.Sprintf("%s: %d %s", count(f.files, "file"), f.changed, done)
	if n := len(f.problems) + len(f.failed); n > 0 {
		summary += ", " + count(n, "error")
	}
	fmt.Fprintln(f.stderr, summary)
	switch {
	case len(f.failed) > 0:
		return errors.Join(f.failed...)
	case len(f.problems) > 0 || f.check && f.changed > 0:
		return codeError(exitError)
	}
	return nil
}

// replaceFile puts text in place of the file called name in dir, which must still hold what was read of it: at once
// or not at all, with the same mode. A file that may not be written stays, although its folder would let another take
// its place.
func replaceFile(dir, name string, was, text []byte) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is a link of a mounted volume: format the file that the volume is made from")
	case info.Mode().Perm()&0o200 == 0:
		return errors.New("the file is read-only: chmod u+w lets its owner write it")
	}
	file, err := root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	now, err := io.ReadAll(io.LimitReader(file, int64(len(was))+1))
	file.Close()
	if err == nil && !bytes.Equal(now, was) {
		err = errors.New("it changed while it was formatted: try again")
	}
	if err != nil {
		return err
	}
	temp := path.Join(path.Dir(name), ".plumbline-"+rand.Text()) // hidden, so nobody takes it for a pipeline
	if err := writeNew(root, temp, info.Mode().Perm(), text); err != nil {
		return err
	}
	if err := root.Rename(temp, name); err != nil {
		return errors.Join(err, root.Remove(temp))
	}
	return nil
}

// writeNew writes a file that is not there yet, to the disk itself; where that fails, nothing is left of it.
func writeNew(root *os.Root, name string, mode os.FileMode, text []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	// The umask took bits from the mode.
	if err = errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}

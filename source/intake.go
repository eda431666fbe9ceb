package source

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/pipeline"
)

// The rules by which something in a source is not read.
const (
	RuleSymlink    = "PL-S01" // a symbolic link
	RuleSubmodule  = "PL-S02" // a submodule
	RuleUnsafeName = "PL-S03" // a name that could lead elsewhere, could not be shown as it is, or stands twice
	RuleTooLarge   = "PL-S04" // a file over Config.MaxFileSize
	RuleTooMany    = "PL-S05" // over Config.MaxFiles or MaxTotalSize: an error that names this rule, never a Problem
	RuleSpecial    = "PL-S06" // a device, pipe or socket in a folder
)

const (
	maxName = 255  // bytes; no file system holds a longer one
	maxPath = 1024 // bytes
)

// A few nested trees can hold more names than there are atoms, and none of them a file that would be counted.
// So looking has a cost too: one for each name, and more for what takes longer or more memory.
const (
	maxCost    = 2_000_000 // of the files as they are, and again of their history
	folderCost = 40        // opening a folder
	changeCost = 10        // holding one change of one file
)

// intake gathers what one reading finds, and enforces the limits on it.
type intake struct {
	cfg      Config
	files    []File
	problems []pipeline.Problem
	total    int64
	cost     int
}

// enter counts a folder with so many names in it. Its error ends the reading.
func (in *intake) enter(names int) error {
	if in.cost += folderCost + names; in.cost > maxCost {
		return fmt.Errorf("there are too many files and folders to look at (%s): set path to the folder with the pipelines", RuleTooMany)
	}
	return nil
}

// admit decides by its size whether a file is to be read. What comes over a limit of the whole source is an
// error, because a part of the files must not be taken for all of them.
func (in *intake) admit(file string, size int64) (bool, error) {
	if size > in.cfg.MaxFileSize {
		return false, in.refuse(file, RuleTooLarge,
			fmt.Sprintf("the file has %d bytes, and at most %d are read", size, in.cfg.MaxFileSize),
			"a pipeline of AWS is far smaller: is this one?")
	}
	if in.total += size; in.total > in.cfg.MaxTotalSize {
		return false, fmt.Errorf("the files have more than %d bytes together (%s): set path to the folder with the pipelines",
			in.cfg.MaxTotalSize, RuleTooMany)
	}
	return true, in.room()
}

// room reports whether one more file or Problem can be taken. Problems count, or else a repository of links
// would fill the memory.
func (in *intake) room() error {
	if len(in.files)+len(in.problems) >= in.cfg.MaxFiles {
		return fmt.Errorf("there are more than %d files (%s): set path to the folder with the pipelines", in.cfg.MaxFiles, RuleTooMany)
	}
	return nil
}

func (in *intake) add(file string, data []byte, hash string) {
	in.files = append(in.files, File{Path: file, Data: data, Hash: hash})
}

// refuse notes that a file is not read.
func (in *intake) refuse(file, rule, message, hint string) error {
	if err := in.room(); err != nil {
		return err
	}
	in.problems = append(in.problems, pipeline.Problem{
		File: file, Rule: rule, Severity: pipeline.Error, Message: message, Hint: hint,
	})
	return nil
}

func (in *intake) refuseLink(file string) error {
	return in.refuse(file, RuleSymlink, "symbolic links are not followed", "put the file or folder itself here")
}

// refuseName notes a name that is not used as a path; the Problem shows it quoted.
func (in *intake) refuseName(dir, name, why string) error {
	return in.refuse(path.Join(dir, quote(name)), RuleUnsafeName, fmt.Sprintf("the name %s %s", quote(name), why), "rename or remove it")
}

// finish puts what was gathered into the order that Snapshots promise.
func (in *intake) finish(s *Snapshot) {
	slices.SortFunc(in.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	pipeline.SortProblems(in.problems)
	s.Files, s.Problems = in.files, in.problems
}

// isHidden reports whether a name is passed over, as GitOps tools do: .github, .vscode, .#lock, ..data.
func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isJSON(name string) bool { return strings.EqualFold(path.Ext(name), ".json") }

// quote makes any name safe to show, and short.
func quote(name string) string {
	const most = 80
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}

// unsafeName says what is wrong with the name of a file or folder, or "". It refuses what git refuses to check
// out on any system, and whatever would look in a log or on a page like something else.
func unsafeName(name string) string {
	switch lower := strings.ToLower(name); {
	case name == "" || name == "." || name == "..":
		return "leads to another folder"
	case strings.ContainsAny(name, `/\`):
		return "holds a path separator"
	case lower == ".git" || lower == "git~1":
		return "is kept for git itself"
	case len(name) > maxName:
		return fmt.Sprintf("is longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "is not valid UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds characters that cannot be seen"
	}
	return ""
}

// nearest lists names that may have been meant: those with the longest common beginning first.
func nearest(wanted string, names []string) string {
	const most = 10
	common := func(name string) int {
		n := 0
		for n < len(name) && n < len(wanted) && name[n] == wanted[n] {
			n++
		}
		return n
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(common(b)-common(a), cmp.Compare(a, b)) })
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// noFolder is the error for a Config.Path that does not exist; there are the folders found at parent, the
// deepest part of it that does exist.
func noFolder(wanted, parent, where string, there []string) error {
	at := "at its root"
	if parent != "" {
		at = fmt.Sprintf("in %q", parent)
	}
	if len(there) == 0 {
		return fmt.Errorf("%s has no folder %q, and no folders at all %s: mend path", where, wanted, at)
	}
	missing, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(wanted, parent), "/"), "/")
	return fmt.Errorf("%s has no folder %q: mend path; %s there are %s", where, wanted, at, nearest(missing, there))
}

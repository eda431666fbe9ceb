package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReadme follows README.md from top to bottom, as a person without an AWS account would: every command in one
// shell, those for a second terminal in one of their own, and what is printed is what README.md says. A comment of
// HTML right before a block says what is special about it:
//
//	<!-- second terminal -->  the block ends with a program that stays until the end
//	<!-- not run: WHY -->     needs what a test does not have; the check of all documents still reads it
func TestReadme(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to follow README.md with")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git to follow README.md with")
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for key, value := range settings(dir) {
		if !strings.HasPrefix(key, "AWS_ACCESS_KEY") && !strings.HasPrefix(key, "AWS_SECRET") && key != "PLUMBLINE_STATE_DIR" {
			t.Setenv(key, value)
		}
	}
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "A Newcomer")
		t.Setenv("GIT_"+who+"_EMAIL", "newcomer@example.com")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("PLUMBLINE_WEB_LISTEN", freeAddress(t)) // the usual ports may be taken
	elsewhere := strings.NewReplacer("127.0.0.1:4566", freeAddress(t))

	first := openTerminal(t, shell, dir)
	exports, ran := "", 0
	for _, b := range blocks(elsewhere.Replace(string(text))) {
		switch {
		case b.language != "sh" && b.language != "console" || strings.HasPrefix(b.mark, "not run:"):
			continue
		case b.mark == "second terminal":
			openProgram(t, shell, dir, exports, b.text)
			ran++
			continue
		case b.mark != "":
			t.Fatalf("README.md:%d: nobody knows what <!-- %s --> means", b.line, b.mark)
		}
		for _, c := range b.commands() {
			first.check(c)
			ran++
			if strings.HasPrefix(c.text, "export ") {
				exports += c.text + "\n"
			}
		}
	}
	if ran < 20 {
		t.Errorf("only %d commands were found in README.md", ran)
	}
}

// freeAddress returns an address on which nobody listens.
func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// block is a fenced block of a Markdown text.
type block struct {
	language, text string
	mark           string // of the comment before it
	line           int    // of its fence
}

var commentOf = regexp.MustCompile(`^<!-- (.*) -->$`)

func blocks(text string) []block {
	var all []block
	var open *block
	mark := ""
	for i, line := range strings.Split(text, "\n") {
		switch {
		case open != nil && line == "```":
			all, open = append(all, *open), nil
		case open != nil:
			open.text += line + "\n"
		case strings.HasPrefix(line, "```"):
			open, mark = &block{language: line[3:], mark: mark, line: i + 1}, ""
		default:
			mark = ""
			if m := commentOf.FindStringSubmatch(line); m != nil {
				mark = m[1]
			}
		}
	}
	return all
}

// command is one command of a block, with what it should print where the block shows that.
type command struct {
	text, want string
	shown      bool
	line       int
}

// commands returns the commands of a block: of a console those after "$ ", else every line with what its here
// document needs.
func (b block) commands() []command {
	var all []command
	end := "" // of the here document
	for i, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
		last := len(all) - 1
		switch {
		case end != "":
			all[last].text += "\n" + line
			if line == end {
				end = ""
			}
			continue
		case b.language == "console" && !strings.HasPrefix(line, "$ "):
			if last >= 0 {
				all[last].want += line + "\n"
			}
			continue
		case strings.TrimSpace(line) == "":
			continue
		}
		all = append(all, command{text: strings.TrimPrefix(line, "$ "), shown: b.language == "console", line: b.line + 1 + i})
		if _, word, here := strings.Cut(line, "<<'"); here {
			end, _, _ = strings.Cut(word, "'")
		}
	}
	return all
}

// matches reports whether an output is as wanted, where … stands for anything.
func matches(want, got string) bool {
	parts := strings.Split(want, "…")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	// The columns of a table are as wide as what stands for their content here.
	pattern := regexp.MustCompile(` {2,}`).ReplaceAllString(strings.Join(parts, `(?s:.*?)`), ` {2,}`)
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(got)
}

// terminal is a shell that keeps its folder and its variables between commands.
type terminal struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
}

// prelude lets the commands of Go stand for what they are: the tests are running, and the program is this one.
const prelude = `go() { case "$1" in run) shift 2; plumbline "$@" --exit;; test|install) ;; *) return 1;; esac; }
`

const mark = "--- done: "

func openTerminal(t *testing.T, shell, dir string) *terminal {
	cmd := exec.CommandContext(t.Context(), shell)
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // its exit code is that of its last command
	})
	if _, err := io.WriteString(in, prelude); err != nil {
		t.Fatal(err)
	}
	return &terminal{t, in, bufio.NewReader(out)}
}

// run runs one command and returns what it printed, and its exit code.
func (s *terminal) run(text string) (output, code string) {
	if _, err := fmt.Fprintf(s.in, "%s\nprintf '\\n%s%%s\\n' $?\n", text, mark); err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			s.t.Fatalf("$ %s\n%s: the shell has ended: %v", text, b.String(), err)
		}
		if code, done := strings.CutPrefix(line, mark); done {
			return strings.TrimSuffix(b.String(), "\n"), strings.TrimSpace(code)
		}
		b.WriteString(line)
	}
}

// check runs a command and compares. What looks at the work of the daemon is asked again until the daemon is there.
func (s *terminal) check(c command) {
	s.t.Helper()
	looks := regexp.MustCompile(`^plumbline (list|runs|status)`).MatchString(c.text)
	deadline := time.Now().Add(30 * time.Second)
	for {
		output, code := s.run(c.text)
		good := code == "0"
		if c.shown {
			good = matches(c.want, output) // an error that is shown is what the reader is told of
		}
		if good {
			s.t.Logf("$ %s\n%s", c.text, output)
			return
		}
		if !looks || time.Now().After(deadline) {
			s.t.Fatalf("README.md:%d: $ %s\nexit code %s; it prints\n%s\nand should print\n%s", c.line, c.text, code, output, c.want)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// openProgram runs a block whose last command stays until the end of the test, and waits until that is at work.
func openProgram(t *testing.T, shell, dir, exports, text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines[len(lines)-1] = "exec " + lines[len(lines)-1] // so that the signal reaches the program
	cmd := exec.CommandContext(t.Context(), shell, "-e", "-c", exports+strings.Join(lines, "\n"))
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute // after which it is killed
	out := &watched{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { // t.Context has ended by now
		if err := <-ended; err != nil && cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("%s\n%v\n%s", text, err, out)
		}
	})
	at := regexp.MustCompile(`serving CodePipeline|the source was read`)
	for range 3000 {
		if at.MatchString(out.String()) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s\ndoes not start:\n%s", text, out)
}

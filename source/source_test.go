package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenRefusesConfig(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "{}"})
	id := strings.Repeat("a", 40)
	for name, test := range map[string]struct {
		cfg   Config
		words []string
	}{
		"nothing":          {Config{}, []string{"needs a url", "dir"}},
		"both":             {Config{URL: s.Path(), Dir: s.Path()}, []string{"not both"}},
		"no state folder":  {Config{URL: "https://example.com/x.git"}, []string{"state folder"}},
		"http":             {Config{URL: "http://example.com/x.git", StateDir: "x"}, []string{"http://", "write https://"}},
		"file":             {Config{URL: "file:///srv/x.git", StateDir: "x"}, []string{"file://", "give the path"}},
		"ext":              {Config{URL: "ext::sh -c id", StateDir: "x"}, []string{"spaces"}},
		"codecommit":       {Config{URL: "codecommit::us-east-1://x", StateDir: "x"}, []string{"codecommit", "which is not read"}},
		"userinfo":         {Config{URL: "https://kim@example.com/x", StateDir: "x"}, []string{"take it out", "auth.tokenFile"}},
		"password":         {Config{URL: "ssh://git:x@example.com/x", StateDir: "x"}, []string{"take it out"}},
		"query":            {Config{URL: "https://example.com/x?token=x", StateDir: "x"}, []string{"query"}},
		"no host":          {Config{URL: "https:///x", StateDir: "x"}, []string{"no host"}},
		"no path":          {Config{URL: "https://example.com/", StateDir: "x"}, []string{"add its path"}},
		"dash":             {Config{URL: "ssh://-oProxyCommand=x/y", StateDir: "x"}, []string{"no host"}},
		"dash in scp":      {Config{URL: "git@example.com:-x", StateDir: "x"}, []string{"user@host:path"}},
		"scp with a port":  {Config{URL: "git@example.com:22:x", StateDir: "x"}, []string{"room for a port"}},
		"ssh without key":  {Config{URL: "git@example.com:x/y.git", StateDir: "x"}, []string{"auth.sshKeyFile"}},
		"ssh with token":   {Config{URL: "git@example.com:x", StateDir: "x", Auth: Auth{TokenFile: "x"}}, []string{"the rest is for https"}},
		"https with key":   {Config{URL: "https://example.com/x", StateDir: "x", Auth: Auth{SSHKeyFile: "x"}}, []string{"are for ssh"}},
		"two ways":         {Config{URL: "https://example.com/x", StateDir: "x", Auth: Auth{TokenFile: "x", PasswordFile: "y"}}, []string{"not several"}},
		"no user":          {Config{URL: "https://example.com/x", StateDir: "x", Auth: Auth{PasswordFile: "y"}}, []string{"go together"}},
		"half an app":      {Config{URL: "https://example.com/x", StateDir: "x", Auth: Auth{GitHubApp: &GitHubApp{AppID: 1}}}, []string{"installationID"}},
		"app over http":    {Config{URL: "https://example.com/x", StateDir: "x", Auth: Auth{GitHubApp: &GitHubApp{1, 1, "x", "http://example.com"}}}, []string{"baseURL"}},
		"auth of a dir":    {Config{Dir: s.Path(), Auth: Auth{TokenFile: "x"}}, []string{"leave it out"}},
		"proxy":            {Config{URL: "https://example.com/x", StateDir: "x", Proxy: "http://u:p@example.com"}, []string{"password cannot be in it"}},
		"proxy for ssh":    {Config{URL: "git@example.com:x", StateDir: "x", Proxy: "http://example.com"}, []string{"for https"}},
		"timeout":          {Config{URL: "https://example.com/x", StateDir: "x", Timeout: -1}, []string{"negative"}},
		"branch and tag":   {Config{URL: s.Path(), Branch: "main", Tag: "v1"}, []string{"branch, tag and commit"}},
		"tag and commit":   {Config{URL: s.Path(), Tag: "v1", Commit: id}, []string{"branch, tag and commit"}},
		"short commit":     {Config{URL: s.Path(), Commit: "abcdef1"}, []string{"abcdef1", "40 hex digits"}},
		"upper case":       {Config{URL: s.Path(), Commit: strings.ToUpper(id)}, []string{"40 hex digits"}},
		"branch of a dir":  {Config{Dir: s.Path(), Branch: "main"}, []string{"url"}},
		"path up":          {Config{URL: s.Path(), Path: "../x"}, []string{`"../x"`, "below the root"}},
		"path up inside":   {Config{URL: s.Path(), Path: "a/../b"}, []string{"below the root"}},
		"absolute path":    {Config{Dir: s.Path(), Path: "/etc"}, []string{`"/etc"`, "below the root"}},
		"backslash":        {Config{URL: s.Path(), Path: `a\b`}, []string{"separator"}},
		"control":          {Config{URL: s.Path(), Path: "a\nb"}, []string{`"a\nb"`, "cannot be seen"}},
		"git's own folder": {Config{Dir: s.Path(), Path: ".git/x"}, []string{"git itself"}},
		"negative limit":   {Config{URL: s.Path(), MaxFiles: -1}, []string{"negative"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(test.cfg)
			if err == nil {
				t.Fatal("Open accepted it")
			}
			for _, w := range test.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not say %q", err, w)
				}
			}
		})
	}
}

func TestErrorsDoNotRepeatSecrets(t *testing.T) {
	for _, url := range []string{
		"https://user:hunter2@example.com/x", "https://hunter2@example.com/x?t=hunter2", "https://example.com/x#hunter2",
		"user:hunter2@example.com:x", "https://user:hunter2@exa mple.com/%zz", "ssh://u:hunter2@example.com/x",
	} {
		if _, err := Open(Config{URL: url, StateDir: "x"}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v", url, err)
		}
		if name := DefaultName(Config{URL: url}); name != "" {
			t.Errorf("DefaultName(%q) = %q", url, name)
		}
	}
}

func TestDefaultName(t *testing.T) {
	wd := t.TempDir()
	t.Chdir(wd)
	for place, want := range map[string]string{
		"/srv/git/pipelines.git":   "pipelines",
		"/srv/git/pipelines.git/":  "pipelines",
		"/home/kim/pipelines":      "pipelines",
		"/home/kim/pipelines/.git": "pipelines",
		"./pipelines":              "pipelines",
		"repo":                     "repo",
		".":                        filepath.Base(wd),
		"/":                        "root",
		"":                         "",

		"https://example.com/x.git":             "example.com/x",
		"https://example.com:8443/team/x/":      "example.com/team/x",
		"ssh://git@example.com:2222/team/x.git": "example.com/team/x",
		"git@example.com:team/x.git":            "example.com/team/x",
		"http://127.0.0.1:1/x":                  "127.0.0.1/x",
		"file:///srv/x":                         "",
	} {
		if got := DefaultName(Config{URL: place}); got != want {
			t.Errorf("DefaultName(URL %q) = %q, want %q", place, got, want)
		}
	}
	if got := DefaultName(Config{Dir: "/etc/plumbline/pipelines"}); got != "pipelines" {
		t.Errorf("DefaultName(Dir) = %q", got)
	}
}

func TestName(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "{}"})
	if got := snapshot(t, Config{URL: s.Path()}).Source; got != "pipelines" {
		t.Errorf("default name = %q", got)
	}
	if got := snapshot(t, Config{URL: s.Path(), Name: "platform"}).Source; got != "platform" {
		t.Errorf("name = %q", got)
	}
}

func TestContains(t *testing.T) {
	s := newScratch(t)
	first := commit(t, s, files{"a.json": "1"})
	second := commit(t, s, files{"a.json": "2"})
	snap := snapshot(t, Config{URL: s.Path()})
	for commit, want := range map[string]bool{
		first: true, second: true, first[:12]: true, second[:20]: true,
		"": false, first[:11]: false, strings.Repeat("0", 40): false, first + "0": false,
	} {
		if got := snap.Contains(commit); got != want {
			t.Errorf("Contains(%q) = %v", commit, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "0", "b/c.json": "0"})
	src, err := Open(Config{URL: s.Path()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				snap, err := src.Snapshot(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				// Both files change together, so a snapshot of two commits would show.
				if c := contents(snap); c["a.json"] != c["b/c.json"] {
					t.Errorf("a snapshot of several commits: %v", c)
				}
				if _, err := src.Head(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 30 {
		n := strings.Repeat("x", i+1)
		commit(t, s, files{"a.json": n, "b/c.json": n})
	}
	close(done)
	readers.Wait()
}

func TestContextIsHonoured(t *testing.T) {
	s := newScratch(t)
	commit(t, s, files{"a.json": "{}"})
	dir := t.TempDir()
	write(t, dir, files{"a.json": "{}"})
	for _, cfg := range []Config{{URL: s.Path()}, {Dir: dir}} {
		src, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := src.Snapshot(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Snapshot: %v", err)
		}
		if _, err := src.Head(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Head: %v", err)
		}
	}
}

// TestReadAgain: what a Source knows of earlier commits changes nothing of what it says of a new one.
func TestReadAgain(t *testing.T) {
	s := newScratch(t)
	cfg := Config{URL: s.Path(), MaxFiles: 8, MaxFileSize: 400}
	src := openSource(t, cfg)
	dice := rand.New(rand.NewPCG(1, 2))
	paths := []string{"a.json", "b/a.json", "b/c/a.json", "b/c/d/a.json", "b/c/e.json", "f/a.json", "f/c/a.json", "f/g.txt", "b/h.JSON", "z.json", "i/a.json", "i/b.json", "i/c.json"}
	refused, there := 0, files{}
	for range 60 {
		changes := files{}
		for range 1 + dice.IntN(3) {
			text := fmt.Sprintf(`{"name": "%0*d"}`, dice.IntN(3)*200, dice.IntN(3)) // some are too large, some are alike
			path := paths[dice.IntN(len(paths))]
			if changes[path] = text; there[path] != "" && dice.IntN(4) == 0 {
				changes[path] = "" // gone
			}
		}
		maps.Copy(there, changes)
		commit(t, s, changes)
		fresh := openSource(t, cfg)
		want, wantErr := fresh.Snapshot(t.Context())
		got, err := src.Snapshot(t.Context())
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if err != nil {
			refused++
		} else if d := cmp.Diff(want, got, whole); d != "" {
			t.Fatalf("after %v (-want +got):\n%s", changes, d)
		}
	}
	if refused == 0 || refused > 50 {
		t.Errorf("%d of 60 were over the limits", refused)
	}
}

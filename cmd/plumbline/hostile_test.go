//go:build linux

package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

// pack is a pack of git that a hostile server sends: nothing in it has to be as git would make it.
type pack struct {
	body  bytes.Buffer
	count uint32
}

const (
	packCommit   = 1
	packTree     = 2
	packBlob     = 3
	packRefDelta = 7
)

// add adds an object and returns its id. Deltas have a base.
func (p *pack) add(kind byte, data []byte, base ...byte) []byte {
	p.header(kind, len(data))
	p.body.Write(base)
	z := zlib.NewWriter(&p.body)
	z.Write(data)
	z.Close()
	return objectID(kind, data)
}

func (p *pack) header(kind byte, size int) {
	p.count++
	b := kind<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		p.body.WriteByte(b | 0x80)
		b = byte(size & 0x7f)
	}
	p.body.WriteByte(b)
}

func objectID(kind byte, data []byte) []byte {
	h := sha1.New()
	fmt.Fprintf(h, "%s %d\x00", map[byte]string{packCommit: "commit", packTree: "tree", packBlob: "blob"}[kind], len(data))
	h.Write(data)
	return h.Sum(nil)
}

// commit adds a commit of one folder with entries, such as "100644 web.json", and returns its id, which is another one in
// each pack.
func (p *pack) commit(tree []byte) []byte {
	id := p.add(packTree, tree)
	return p.add(packCommit, fmt.Appendf(nil, "tree %x\nauthor x <x> 1700000000 +0000\ncommitter x <x> 1700000000 +0000\n\n%x\n", id, sha1.Sum(p.body.Bytes())))
}

func treeEntry(mode, name string, id []byte) []byte {
	return append([]byte(mode+" "+name+"\x00"), id...)
}

// bytes returns the whole pack.
func (p *pack) bytes() []byte {
	whole := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), p.count)
	whole = append(whole, p.body.Bytes()...)
	sum := sha1.Sum(whole)
	return append(whole, sum[:]...)
}

// deltaOf makes a delta that repeats its base until it has a size.
func deltaOf(base, size int) []byte {
	d := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(base)), uint64(size))
	for left := size; left > 0; {
		n := min(left, base, 0xffffff)
		d = append(d, 0xf0, byte(n), byte(n>>8), byte(n>>16)) // copy n bytes from 0
		left -= n
	}
	return d
}

func packetLine(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }

// serveHostile answers as a git server whose branch main is at a commit, with so many references beside it, and that has one pack.
func serveHostile(commit []byte, refs int, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out := bufio.NewWriterSize(w, 1<<16)
		defer out.Flush()
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			id := hex.EncodeToString(commit)
			out.WriteString(packetLine("# service=git-upload-pack\n") + "0000")
			out.WriteString(packetLine(id + " HEAD\x00side-band-64k shallow ofs-delta symref=HEAD:refs/heads/main\n"))
			for i := range refs {
				out.WriteString(packetLine(fmt.Sprintf("%s refs/changes/%07d\n", id, i)))
			}
			out.WriteString(packetLine(id+" refs/heads/main\n") + "0000")
			return
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		out.WriteString("0000" + "0008NAK\n")
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 65000)
			out.WriteString(packetLine("\x01" + string(rest[:n])))
			rest = rest[n:]
		}
		out.WriteString("0000")
	}
}

// memoryGroup makes a control group with a limit in bytes, and returns the file that takes processes in and what tells how
// many it has killed. Where this user may make none, the file is "".
func memoryGroup(t *testing.T, limit int) (join string, killed func() int) {
	t.Helper()
	for root, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		dir := filepath.Join(root, fmt.Sprintf("plumbline-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
		if os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0o600) != nil {
			continue
		}
		return filepath.Join(dir, "cgroup.procs"), func() (n int) {
			for _, name := range []string{"memory.oom_control", "memory.events"} {
				text, _ := os.ReadFile(filepath.Join(dir, name))
				if m := regexp.MustCompile(`oom_kill (\d+)`).FindSubmatch(text); m != nil {
					n, _ = strconv.Atoi(string(m[1]))
				}
			}
			return n
		}
	}
	return "", func() int { return 0 }
}

// TestHostileServer follows a repository on a server that turns hostile, or just large, in a control group of 128 MiB where
// there are any: what is refused has a reason, nothing live changes, the memory stays bounded, and what the server sends once
// it is well again is applied.
func TestHostileServer(t *testing.T) {
	git := needGit(t)
	if testing.Short() {
		t.Skip("memory is measured, which the race detector needs ten times as much of: not with -short")
	}
	s := newSite(t, "")
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	var front atomic.Pointer[http.HandlerFunc]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hostile := front.Load(); hostile != nil {
			(*hostile)(w, r)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	join, killed := memoryGroup(t, 128<<20)
	if join != "" {
		s.through = []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, join}
	}
	r := startRemote(s, "{url: "+server.URL+"/repo, name: team, interval: 1s, timeout: 10s}")
	pid := s.cmd.Process.Pid
	rest := resident(t, pid)

	zeros := make([]byte, 250<<20)
	web := []byte(pipelineFile("web", "evil"))
	good := func(p *pack) []byte { return p.commit(treeEntry("100644", "web.json", p.add(packBlob, web))) }
	const read = "the source was read"
	for n, tt := range []struct {
		row, name string
		make      func(p *pack) (commit []byte)
		refs      int
		why       string
		least     int // 1 for with LONG_TESTS only
	}{
		{"G16", "a file of 100 MB", func(p *pack) []byte {
			return p.commit(treeEntry("100644", "web.json", p.add(packBlob, zeros[:100<<20])))
		}, 0, `the file has 104857600 bytes, and at most 1048576 are read`, 0},
		{"G16", "10,000 files of 1 MB", func(p *pack) []byte {
			var tree []byte
			for i := range long(1000, 10_000) {
				data := append(zeros[:1<<20-8:1<<20-8], fmt.Sprintf("%08d", i)...)
				tree = append(tree, treeEntry("100644", fmt.Sprintf("f%05d.json", i), p.add(packBlob, data))...)
			}
			return p.commit(tree)
		}, 0, `PL-S05`, 1},
		{"G8", "100,000 files", func(p *pack) []byte {
			blob := p.add(packBlob, web)
			var tree []byte
			for i := range 100_000 {
				tree = append(tree, treeEntry("100644", fmt.Sprintf("f%06d.json", i), blob)...)
			}
			return p.commit(tree)
		}, 0, `PL-S05`, 1},
		{"G8", "1,000,000 references", good, 1_000_000, read, 0},
		{"G18", "40 deltas that make 250 MB each of 15 MB", func(p *pack) []byte {
			base := zeros[:15<<20]
			id := p.add(packBlob, base)
			for i := range 40 {
				p.add(packRefDelta, deltaOf(len(base), len(zeros)-i), id...)
			}
			return good(p)
		}, 0, read, 1},
		{"G18", "a chain of 2,000 deltas of 1 MB", func(p *pack) []byte {
			data := zeros[:1<<20]
			id := p.add(packBlob, data)
			for range 2000 {
				p.add(packRefDelta, deltaOf(len(data), len(data)+1), id...)
				data = zeros[:len(data)+1]
				id = objectID(packBlob, data)
			}
			return good(p)
		}, 0, read, 1},
		{"G18", "a delta that makes more than it says", func(p *pack) []byte {
			id := p.add(packBlob, zeros[:1<<20])
			p.add(packRefDelta, append(binary.AppendUvarint(binary.AppendUvarint(nil, 1<<20), 1), deltaOf(1<<20, 200<<20)[7:]...), id...)
			return good(p)
		}, 0, `cannot be applied`, 1},
		{"G18", "an object that inflates to more than it says", func(p *pack) []byte {
			p.header(packBlob, 10)
			z := zlib.NewWriter(&p.body)
			z.Write(zeros)
			z.Close()
			return good(p)
		}, 0, `cannot be used`, 0},
		{"G18", "an object of no bytes that says it has many", func(p *pack) []byte {
			p.header(packBlob, 200<<20)
			z := zlib.NewWriter(&p.body)
			z.Close()
			return good(p)
		}, 0, `cannot be used`, 1},
		{"G18", "an object that says it is larger than anything", func(p *pack) []byte {
			p.header(packBlob, 1<<60)
			z := zlib.NewWriter(&p.body)
			z.Close()
			return good(p)
		}, 0, `.`, 1},
		{"G13", "nothing but links and submodules", func(p *pack) []byte {
			id := p.add(packBlob, []byte("/etc/passwd"))
			return p.commit(append(treeEntry("120000", "web.json", id), treeEntry("160000", "x", id)...))
		}, 0, `PL-S01`, 0},
		{"G14", "names that lead elsewhere", func(p *pack) []byte {
			id := p.add(packBlob, web)
			return p.commit(append(append(treeEntry("100644", "../web.json", id), treeEntry("40000", ".git", id)...), treeEntry("100644", "/etc/web.json", id)...))
		}, 0, `PL-S03`, 1},
	} {
		if tt.least > long(0, 1) {
			continue
		}
		p := &pack{}
		commit := tt.make(p)
		hostile := serveHostile(commit, tt.refs, p.bytes())
		resident(t, pid)
		s.aws.ResetCalls()
		logged := len(s.log.String())
		front.Store(&hostile)
		s.eventually(tt.name+" makes it say "+tt.why, func() bool { return regexp.MustCompile(tt.why).MatchString(s.log.String()[logged:]) })
		s.eventually("drift is still looked at", s.called("ListPipelines", 2))
		for _, call := range s.aws.Calls() {
			if regexp.MustCompile("^(Create|Update|Delete|Tag|Untag)").MatchString(call.Operation) {
				t.Errorf("%s: %s of %s", tt.name, call.Operation, call.Pipeline)
			}
		}
		peak := resident(t, pid)
		figure(t, tt.row, "%s: most memory %.0f MiB (%.0f at rest), writes = 0", tt.name, peak, rest)
		if most := 160.0; peak > most {
			t.Errorf("%s: %.0f MiB were resident, at most %.0f may be", tt.name, peak, most)
		}
		front.Store(nil)
		s.aws.ResetCalls()
		r.project = project(n)
		s.commit([]string{"web"}, r.project)
		s.eventually("the next good commit is live", s.isLive("web", r.project))
		s.eventually("its record is written", s.called("TagResource", 1))
	}
	if s.cmd.Process.Pid != pid || s.kill(syscall.SIGTERM) != exitDone {
		t.Errorf("the daemon did not end as it should:\n%s", s.log.String())
	}
	if join == "" {
		t.Log("no control group could be made here, so there was no limit of memory")
	} else {
		figure(t, "P3", "killed for want of memory in 128 MiB, with all that is tried for G8, G13, G14, G16 and G18 = %d", killed())
	}
}

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
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
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

// commit adds a commit of one folder with entries, such as "100644 web.json", and returns its id.
func (p *pack) commit(tree []byte) []byte {
	id := p.add(packTree, tree)
	return p.add(packCommit, fmt.Appendf(nil, "tree %x\nauthor x <x> 1700000000 +0000\ncommitter x <x> 1700000000 +0000\n\nm\n", id))
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

// resident returns how much memory a process has had at most, in MiB, and begins anew.
func resident(t *testing.T, pid int) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if m == nil {
		t.Skip("this kernel does not say how much memory a process has had")
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0o600) // where it may not be, what was stays counted
	return float64(kib) / 1024
}

// TestHostileServer follows a repository on a server that turns hostile: what it sends is refused with a reason, nothing live
// changes, the memory stays bounded, and what it sends once it is well again is applied.
func TestHostileServer(t *testing.T) {
	git := needGit(t)
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
	r := startRemote(s, "{url: "+server.URL+"/repo, name: team, interval: 1s, timeout: 5s}")
	pid := s.cmd.Process.Pid
	base := resident(t, pid)
	t.Logf("at rest %.0f MiB", base)

	zeros := make([]byte, 250<<20)
	web := []byte(pipelineFile("web", "evil"))
	for _, tt := range []struct {
		row, name string
		make      func() (commit []byte, refs int, content []byte)
		why       string
	}{
		{"G16", "a file of 100 MB", func() ([]byte, int, []byte) {
			p := &pack{}
			commit := p.commit(treeEntry("100644", "web.json", p.add(packBlob, zeros[:100<<20])))
			return commit, 0, p.bytes()
		}, `at most 1048576 are read`},
		{"G16", "1,000 files of 1 MB", func() ([]byte, int, []byte) {
			p := &pack{}
			var tree []byte
			for i := range 1000 {
				data := zeros[:1<<20-8]
				data = append(data[:len(data):len(data)], fmt.Sprintf("%08d", i)...)
				tree = append(tree, treeEntry("100644", fmt.Sprintf("f%04d.json", i), p.add(packBlob, data))...)
			}
			return p.commit(tree), 0, p.bytes()
		}, `PL-S05`},
		{"G8", "100,000 files", func() ([]byte, int, []byte) {
			p := &pack{}
			blob := p.add(packBlob, web)
			var tree []byte
			for i := range 100_000 {
				tree = append(tree, treeEntry("100644", fmt.Sprintf("f%06d.json", i), blob)...)
			}
			return p.commit(tree), 0, p.bytes()
		}, `PL-S05`},
		{"G8", "1,000,000 references", func() ([]byte, int, []byte) {
			p := &pack{}
			return p.commit(treeEntry("100644", "web.json", p.add(packBlob, web))), 1_000_000, p.bytes()
		}, `.`},
		{"G18", "a delta that makes 250 MB of 16 KB, 40 times", func() ([]byte, int, []byte) {
			p := &pack{}
			base := zeros[:15<<20]
			id := p.add(packBlob, base)
			for i := range 40 {
				p.add(packRefDelta, deltaOf(len(base), len(zeros)-i), id...)
			}
			return p.commit(treeEntry("100644", "web.json", p.add(packBlob, web))), 0, p.bytes()
		}, `.`},
		{"G18", "a chain of 2,000 deltas", func() ([]byte, int, []byte) {
			p := &pack{}
			data := zeros[:1<<20]
			id := p.add(packBlob, data)
			for range 2000 {
				p.add(packRefDelta, deltaOf(len(data), len(data)+1), id...)
				data = zeros[:len(data)+1]
				id = objectID(packBlob, data)
			}
			return p.commit(treeEntry("100644", "web.json", p.add(packBlob, web))), 0, p.bytes()
		}, `.`},
	} {
		commit, refs, content := tt.make()
		logged := len(s.log.String())
		began := time.Now()
		hostile := serveHostile(commit, refs, content)
		front.Store(&hostile)
		time.Sleep(3 * time.Second)
		for time.Since(began) < 60*time.Second {
			if _, body := s.get(r.admin + "/metrics"); strings.Contains(body, `plumbline_source_up{source="team"} 0`) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Logf("%s: %s: %.0f MiB, %.1f s, pack %d KB\n%s", tt.row, tt.name, resident(t, pid), time.Since(began).Seconds(), len(content)>>10, s.log.String()[logged:])
		front.Store(nil)
		time.Sleep(2 * time.Second)
		t.Logf("after: %.0f MiB", resident(t, pid))
	}
	s.kill(syscall.SIGTERM)
}

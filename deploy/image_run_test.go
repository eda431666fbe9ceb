//go:build linux

package deploy_test

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plumbline/plumbline/emulator"
)

// nobody is the user of the image.
const nobody = 65532

// image is the configuration of an image, as far as a test looks at it.
type image struct {
	Config struct {
		User, WorkingDir, StopSignal string
		Entrypoint, Cmd, Env         []string
		Labels                       map[string]string
		Volumes, ExposedPorts        map[string]struct{}
		Healthcheck                  struct{ Test []string }
	}
}

// entry is one file of an archive.
type entry struct {
	tar.Header
	data []byte
}

// entries reads an archive.
func entries(t *testing.T, archive io.Reader) (all []entry) {
	t.Helper()
	for r := tar.NewReader(archive); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry{*head, data})
	}
}

// unpack lays the image of a docker-archive out in a folder and returns its configuration and the names of its files.
func unpack(t *testing.T, archive, root string) (c image, files []string) {
	t.Helper()
	whole, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	parts := map[string][]byte{}
	for _, e := range entries(t, whole) {
		parts[e.Name] = e.data
	}
	var manifest []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(parts["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("%s holds %d images: %v", archive, len(manifest), err)
	}
	if err := json.Unmarshal(parts[manifest[0].Config], &c); err != nil {
		t.Fatal(err)
	}
	for _, layer := range manifest[0].Layers {
		for _, e := range entries(t, bytes.NewReader(parts[layer])) {
			path := filepath.Join(root, e.Name)
			err := os.MkdirAll(filepath.Dir(path), 0o755)
			switch {
			case err != nil:
			case e.Typeflag == tar.TypeDir:
				err = os.MkdirAll(path, 0o755)
			case e.Typeflag == tar.TypeReg:
				files = append(files, e.Name)
				err = os.WriteFile(path, e.data, 0o600)
			default:
				t.Errorf("%s is neither a file nor a folder", e.Name)
			}
			if err == nil {
				err = errors.Join(os.Chown(path, e.Uid, e.Gid), os.Chmod(path, e.FileInfo().Mode()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(files)
	return c, files
}

// TestImage runs an image as a container engine would: its one binary, in a root that holds nothing else and cannot be
// written, as its own user. .ci/image builds the image and calls this.
func TestImage(t *testing.T) {
	archive := os.Getenv("IMAGE")
	if archive == "" || os.Getuid() != 0 {
		t.Skip("IMAGE names no docker-archive, or this is not root: .ci/image does both")
	}
	root := t.TempDir()
	c, files := unpack(t, archive, root)
	if want := []string{"etc/passwd", "etc/ssl/certs/ca-certificates.crt", "plumbline"}; !reflect.DeepEqual(files, want) {
		t.Errorf("the image holds %q, want %q", files, want)
	}
	inspect(t, c.Config.User == "65532:65532" && c.Config.WorkingDir == "/etc/plumbline" && c.Config.StopSignal == "SIGTERM", c)
	inspect(t, reflect.DeepEqual(append(c.Config.Entrypoint, c.Config.Cmd...), []string{"/plumbline", "run"}), c)
	inspect(t, len(c.Config.Healthcheck.Test) > 2 && c.Config.Healthcheck.Test[0] == "CMD", c)
	inspect(t, reflect.DeepEqual(c.Config.Volumes, map[string]struct{}{"/var/lib/plumbline": {}}) && len(c.Config.ExposedPorts) == 1, c)
	inspect(t, c.Config.Labels["org.opencontainers.image.version"] == "v1.2.3" && c.Config.Labels["org.opencontainers.image.revision"] == "0123456789abcdef", c)
	binary, err := elf.Open(filepath.Join(root, "plumbline"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	if slices.ContainsFunc(binary.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the binary is not static")
	}
	if state, err := os.Stat(filepath.Join(root, "var/lib/plumbline")); err != nil || state.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("the state folder is not the user's: %v %v", state, err)
	}

	aws := emulator.New(emulator.Options{})
	url := trusted(t, root, aws)
	for _, name := range []string{"web.json", "api.json"} {
		write(t, root, "etc/plumbline/pipelines/"+name, []byte(read(t, "compose/pipelines/"+name)))
	}
	write(t, root, "etc/plumbline/plumbline.yaml", bytes.ReplaceAll([]byte(read(t, "compose/plumbline.yaml")), []byte("http://127.0.0.1:4566"), []byte(url)))
	lock(t, root)
	contain(t, root, c, aws)
}

func inspect(t *testing.T, good bool, c image) {
	t.Helper()
	if !good {
		t.Errorf("the image says %+v", c.Config)
	}
}

func write(t *testing.T, root, name string, data []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

// trusted serves an emulator over https, of which the image knows by its file of certificates alone.
func trusted(t *testing.T, root string, aws *emulator.Server) string {
	t.Helper()
	server := httptest.NewTLSServer(aws)
	t.Cleanup(server.Close)
	bundle := []byte(read(t, filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")))
	certificates := 0
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			certificates++
		}
	}
	if certificates < 50 {
		t.Errorf("the image knows %d authorities", certificates)
	}
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	write(t, root, "etc/ssl/certs/ca-certificates.crt", append(bundle, own...))
	return server.URL
}

// lock makes a root read only, but for the volume of the image.
func lock(t *testing.T, root string) {
	t.Helper()
	state := filepath.Join(root, "var/lib/plumbline")
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{root, root, "", syscall.MS_BIND, ""},
		{"", root, "", syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY, ""},
		{"tmpfs", state, "tmpfs", 0, "uid=65532,gid=65532,mode=0700"},
	} {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			t.Fatalf("mounting %s: %v", m.target, err)
		}
		if m.flags&syscall.MS_REMOUNT == 0 {
			t.Cleanup(func() {
				if err := syscall.Unmount(m.target, 0); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := os.WriteFile(filepath.Join(root, "x"), nil, 0o600); !errors.Is(err, syscall.EROFS) {
		t.Errorf("the root can be written: %v", err)
	}
}

// contained returns a command in the root, with the user and the environment of the image.
func contained(t *testing.T, root string, c image, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Path, cmd.Err = args[0], nil // in the root, not here
	cmd.Dir = c.Config.WorkingDir
	cmd.Env = append(slices.Clone(c.Config.Env), "AWS_ACCESS_KEY_ID=123456789012", "AWS_SECRET_ACCESS_KEY=none", "TZ=Asia/Tokyo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// log is what a process has written so far.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// contain runs the daemon until all pipelines are made, asks for its health, and ends it.
func contain(t *testing.T, root string, c image, aws *emulator.Server) {
	t.Helper()
	if out, err := contained(t, root, c, "/plumbline", "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "plumbline v1.2.3 (0123456789abcdef) go1.") {
		t.Errorf("the version: %v: %s", err, out)
	}
	var said log
	daemon := contained(t, root, c, append(c.Config.Entrypoint, c.Config.Cmd...)...)
	daemon.Stdout, daemon.Stderr = &said, &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	created := func() (n int) {
		for _, call := range aws.Calls() {
			if call.Operation == "CreatePipeline" {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(30 * time.Second); created() < 4 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	if created() != 4 {
		t.Errorf("%d pipelines were made, want 2 in each of 2 regions", created())
	}
	health := c.Config.Healthcheck.Test[1:]
	if out, err := contained(t, root, c, health...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the health check: %v: %s", err, out)
	}
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	for _, want := range []string{"+09:00", "no change is in flight"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log has no %q", want)
		}
	}
	if out, err := contained(t, root, c, health...).CombinedOutput(); err == nil {
		t.Errorf("the health check of a daemon that has ended is good: %s", out)
	}
	t.Log(said.String())
}

package differ

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/plumbline/plumbline/pipeline"
)

var update = flag.Bool("update", false, "write what is into testdata/compare; read the difference before you believe it")

const region = "eu-west-1"

func decode(t interface{ Fatal(...any) }, text []byte) *pipeline.Node {
	n, err := pipeline.Decode(bytes.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCompare reads pairs of documents, cut down to what each is about, and what differs: as sentences for
// people and as edits for machines. Neither shows anything of a secret.
func TestCompare(t *testing.T) {
	files, err := filepath.Glob("testdata/compare/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) < 2 || archive.Files[0].Name != "desired" || archive.Files[1].Name != "live" {
				t.Fatal("a file has the sections desired, live, sentences and edits")
			}
			diff := Compare(decode(t, archive.Files[0].Data), decode(t, archive.Files[1].Data), region)
			archive.Files = append(archive.Files[:2], txtar.File{Name: "sentences", Data: sentences(diff)}, txtar.File{Name: "edits", Data: edits(t, diff)})
			got := txtar.Format(archive)
			if bytes.Contains(bytes.SplitN(got, []byte("-- sentences --"), 2)[1], []byte("hunter2")) {
				t.Errorf("a secret is shown:\n%s", got)
			}
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("not as wanted (-want +got):\n%s", diff)
			}
		})
	}
}

func sentences(diff Diff) []byte {
	var b bytes.Buffer
	for _, e := range diff.Edits {
		fmt.Fprintf(&b, "%s %s\n", e.Sign(), e.Sentence())
	}
	for _, e := range diff.Unknown {
		fmt.Fprintf(&b, "? %s\n", e.Sentence())
	}
	for _, path := range diff.Masked {
		fmt.Fprintf(&b, "* %s\n", path)
	}
	return b.Bytes()
}

func edits(t *testing.T, diff Diff) []byte {
	var b bytes.Buffer
	for _, e := range diff.Edits {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(text, '\n'))
	}
	return b.Bytes()
}

func TestTags(t *testing.T) {
	for _, test := range []struct {
		name                    string
		desired, previous, live map[string]string
		want                    string
	}{
		{"equal", map[string]string{"a": "1"}, map[string]string{"a": "1"}, map[string]string{"a": "1", "theirs": "x"}, ""},
		{"changed and new", map[string]string{"a": "2", "b": ""}, nil, map[string]string{"a": "1"}, `~ tag a "1" → "2", + tag b = ""`},
		{"dropped", map[string]string{}, map[string]string{"a": "1", "gone": "1"}, map[string]string{"a": "1", "theirs": "x"}, `- tag a (was "1")`},
		{"escaped", map[string]string{"a/b~c": "2"}, nil, map[string]string{"a/b~c": "1"}, `~ tag a/b~c "1" → "2"`},
	} {
		var got []string
		for _, e := range Tags(test.desired, test.previous, test.live) {
			got = append(got, e.Sign()+" "+e.Sentence())
		}
		if s := strings.Join(got, ", "); s != test.want {
			t.Errorf("%s: got %s, want %s", test.name, s, test.want)
		}
	}
}

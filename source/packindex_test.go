package source

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
)

// TestIndexAgrees indexes packs that git made, with deltas of deltas of both kinds, and compares every byte with git's own index.
func TestIndexAgrees(t *testing.T) {
	for _, args := range [][]string{{"--depth=50"}, {"--depth=4000", "--window=200"}, {"--depth=0"}, {"--no-delta-base-offset"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			s := newScratch(t)
			d := rand.New(rand.NewPCG(1, 2))
			content := strings.Repeat("some line of many\n", 300)
			for i := range 120 {
				at := d.IntN(len(content))
				content = content[:at] + fmt.Sprintf("change %d\n", i) + content[at:]
				commit(t, s, files{"a.json": content, fmt.Sprintf("b%d.json", i%7): content[at:]})
			}
			git(t, s.Path(), append([]string{"-c", "pack.indexVersion=2", "-c", "pack.writeReverseIndex=false", "-c", "repack.useDeltaBaseOffset=" + fmt.Sprint(args[0] != "--no-delta-base-offset"), "repack", "-adfq"},
				strings.Fields(strings.ReplaceAll(strings.Join(args, " "), "--no-delta-base-offset", ""))...)...)
			packs, err := filepath.Glob(filepath.Join(s.Path(), "objects", "pack", "*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatal(packs, err)
			}
			f, err := os.Open(packs[0])
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, index, err := indexPack(f, defaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := idxfile.NewEncoder(&got).Encode(index); err != nil {
				t.Fatal(err)
			}
			if want := contentOf(t, strings.TrimSuffix(packs[0], "pack")+"idx"); got.String() != want {
				t.Errorf("the index of %d bytes is not git's, which has %d", got.Len(), len(want))
			}
		})
	}
}

func TestApplyDelta(t *testing.T) {
	base := []byte("0123456789")
	for name, test := range map[string]struct{ delta, want string }{
		"copy and insert":       {"\x0a\x05\x91\x02\x03\x02ab", "234ab"},
		"copy of nothing given": {"\x0a\x05\x80", ""},
		"base of another size":  {"\x09\x01\x01a", ""},
		"no sizes":              {"", ""},
		"half a size":           {"\x0a\x80", ""},
		"beyond the base":       {"\x0a\x05\x91\x08\x05", ""},
		"far beyond the base":   {"\x0a\x05\x9f\xff\xff\xff\xff\x05", ""},
		"too much":              {"\x0a\x01\x02ab", ""},
		"too little":            {"\x0a\x05\x02ab", ""},
		"insert cut":            {"\x0a\x05\x05ab", ""},
		"copy cut":              {"\x0a\x05\x91\x02", ""},
		"reserved":              {"\x0a\x01\x00a", ""},
		"empty":                 {"\x0a\x00", "empty"},
	} {
		var got bytes.Buffer
		err := applyDelta(&got, base, []byte(test.delta))
		if (test.want == "") != errors.Is(err, errDelta) || err == nil && test.want != "empty" && got.String() != test.want {
			t.Errorf("%s: %q, %v", name, got.String(), err)
		}
	}
}

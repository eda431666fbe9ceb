package journal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCounts(t *testing.T) {
	dir := t.TempDir()
	c := NewCounts(dir)
	if got, err := c.Load("111122223333", "eu-west-1"); got != nil || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
	want := map[string]CountedPipeline{"web": {
		Created: 1, Looked: true, Base: 2, Horizon: 3, Seen: 4, LastSuccess: 5, Failures: 6,
		Runs: []CountedRun{{ID: "a", Status: "Failed", Started: 7, Updated: 8, Attempt: 2, Counted: 3, Told: true, Sure: true}},
	}, "new": {New: true}}
	for range 2 {
		if err := c.Save("111122223333", "eu-west-1", want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Load("111122223333", "eu-west-1")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
	if got, err := c.Load("111122223333", "eu-west-2"); got != nil || err != nil {
		t.Errorf("of another region: %v, %v", got, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) { // a disk that lost the end, and one that lost a bit
		bad := append([]byte(nil), whole...)
		bad[cut] ^= 1
		for _, damaged := range [][]byte{whole[:cut], bad} {
			if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := c.Load("111122223333", "eu-west-1"); got != nil || err == nil {
				t.Fatalf("damaged at %d: %v", cut, got)
			}
		}
	}
	if err := c.Save("111122223333", "../../elsewhere", want); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 2 {
		t.Errorf("a strange region is saved elsewhere: %v", files)
	}
}

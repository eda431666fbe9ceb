package web_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"
)

// TestAssets compares what others made with what they published. assets/README.md says how to bring in another version.
func TestAssets(t *testing.T) {
	for file, want := range map[string]string{
		"assets/htmx.min.js":  "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
		"testdata/axe.min.js": "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
	} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the digest %x", file, sum)
		}
	}
}

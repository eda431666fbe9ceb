package pipeline

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/go-json-experiment/json/jsontext"
)

// Digest returns the identity of a desired declaration: the first 32 hexadecimal digits of the SHA-256 of its
// RFC 8785 form. It depends on nothing but the tree as parsed, so neither a release of ours nor a change of
// policy moves it: what was in sync before an upgrade is in sync after it.
func Digest(declaration *Node) string {
	v := jsontext.Value(declaration.JSON())
	// Canonicalize fails only on text that is not JSON, or has duplicate names. Such a document is an error
	// and its digest is never used; the text as it stands still makes a stable one.
	_ = v.Canonicalize()
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:16])
}

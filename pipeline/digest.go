package pipeline

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Digest returns the identity of a desired declaration: the first 32 hexadecimal digits of the SHA-256 of its
// RFC 8785 form. It depends on nothing but the tree as parsed, so neither a release of ours nor a change of
// policy moves it: what was in sync before an upgrade is in sync after it.
func Digest(declaration *Node) string {
	sum := sha256.Sum256(declaration.appendCanonical(make([]byte, 0, 4096)))
	return hex.EncodeToString(sum[:16])
}

// appendCanonical appends the RFC 8785 form. A document with duplicate names has none; it is an error, and its
// digest is never used.
func (n *Node) appendCanonical(dst []byte) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.Kind {
	case Object:
		var few [16]Member // more than most objects have
		members := n.Members
		if !slices.IsSortedFunc(members, compareNames) {
			members = append(few[:0], members...)
			slices.SortStableFunc(members, compareNames)
		}
		dst = append(dst, '{')
		for i, m := range members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendQuoted(dst, m.Name), ':')
			dst = m.Value.appendCanonical(dst)
		}
		return append(dst, '}')
	case Array:
		dst = append(dst, '[')
		for i, item := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = item.appendCanonical(dst)
		}
		return append(dst, ']')
	case Number:
		return append(dst, canonicalNumber(n.Text)...)
	}
	return n.AppendJSON(dst)
}

// canonicalNumber writes a number as ECMAScript does.
func canonicalNumber(text string) string {
	if isDigits(text) && len(text) <= 15 && (text[0] != '0' || len(text) == 1) {
		return text
	}
	v := jsontext.Value(text)
	_ = v.Canonicalize() // it is a number: nothing else gets into a tree
	return string(v)
}

// compareNames orders members by the UTF-16 code units of their names. That is the order of the bytes, but for
// letters beyond the basic plane, which come before U+E000.
func compareNames(a, b Member) int {
	for i := range min(len(a.Name), len(b.Name)) {
		if a.Name[i] == b.Name[i] {
			continue
		}
		if a.Name[i] < 0xee || b.Name[i] < 0xee {
			break
		}
		ra, _ := utf8.DecodeRuneInString(a.Name[i:])
		rb, _ := utf8.DecodeRuneInString(b.Name[i:])
		return cmp.Or(cmp.Compare(unit(ra), unit(rb)), cmp.Compare(ra, rb))
	}
	return strings.Compare(a.Name, b.Name)
}

// unit places a letter among the UTF-16 code units.
func unit(r rune) rune {
	if r > 0xffff {
		return 0xd800 + r>>10 // about its high surrogate, and in any case below U+E000
	}
	return r
}

package pipeline

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// within returns the place in the file of the byte at an index of a string's text, so that a finding can point into
// a long configuration value. Where the text is not what the file says, because a variable was replaced in it, the
// place is that of the whole string.
func (f *findings) within(n *Node, index int) place {
	raw := f.file.data[min(n.Offset, len(f.file.data)):]
	if n.Kind != String || len(raw) == 0 || raw[0] != '"' {
		return n.place()
	}
	decoded, at := 0, 1 // bytes of the text before raw[at]
	if f.last.node == n && f.last.decoded <= index {
		decoded, at = f.last.decoded, f.last.at // findings come in order, so a long text is read once for all
	}
	var quoted, unquoted [16]byte // of one escape sequence
	for at < len(raw) && raw[at] != '"' && decoded < index {
		size, text := 1, raw[at:at+1]
		if raw[at] == '\\' {
			size = min(escapeLength(raw[at:]), len(raw)-at)
			var err error
			if text, err = jsontext.AppendUnquote(unquoted[:0], append(append(append(quoted[:0], '"'), raw[at:at+size]...), '"')); err != nil {
				return n.place()
			}
		}
		if !strings.HasPrefix(n.Text[decoded:], string(text)) {
			return n.place()
		}
		decoded += len(text)
		at += size
	}
	f.last = position{n, decoded, at}
	return place{n.Offset + at, n}
}

// position is how far within has read a string.
type position struct {
	node        *Node
	decoded, at int
}

// escapeLength returns the length of the escape sequence that s begins with; a pair of surrogates is one.
func escapeLength(s []byte) int {
	if len(s) < 2 || s[1] != 'u' {
		return 2
	}
	if len(s) >= 12 && (s[2] == 'd' || s[2] == 'D') && (s[3] == '8' || s[3] == '9' || s[3]|0x20 == 'a' || s[3]|0x20 == 'b') && s[6] == '\\' && s[7] == 'u' {
		return 12
	}
	return 6
}

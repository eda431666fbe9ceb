package pipeline

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// within returns the place in the file of the byte at an index of a string's text, so that a finding can point into
// a long configuration value.
func (*findings) within(n *Node, index int) place { return place{n.Offset, n, 1 + index} }

// locator turns places into offsets in the file. It reads a long string once for all places in it, if they come in order.
type locator struct {
	data []byte

	node        *Node // the string that was read last
	decoded, at int   // how far: bytes of its text, and of what stands for it in the file
	lost        bool  // beyond that the text is not what the file says
}

// offset returns the offset of a place. Where the text is not what the file says, because a variable was replaced in
// it, that is where the whole string starts.
func (l *locator) offset(p place) int {
	if p.inside == 0 {
		return p.offset
	}
	n, index := p.value, p.inside-1
	raw := l.data[min(n.Offset, len(l.data)):]
	if n.Kind != String || len(raw) == 0 || raw[0] != '"' {
		return n.Offset
	}
	if l.node != n || l.decoded > index {
		l.node, l.decoded, l.at, l.lost = n, 0, 1, false
	}
	var quoted, unquoted [16]byte // of one escape sequence
	for !l.lost && l.at < len(raw) && raw[l.at] != '"' && l.decoded < index {
		size, text := 1, raw[l.at:l.at+1]
		if raw[l.at] == '\\' {
			size = min(escapeLength(raw[l.at:]), len(raw)-l.at)
			var err error
			text, err = jsontext.AppendUnquote(unquoted[:0], append(append(append(quoted[:0], '"'), raw[l.at:l.at+size]...), '"'))
			l.lost = err != nil
		}
		if l.lost = l.lost || !strings.HasPrefix(n.Text[l.decoded:], string(text)); !l.lost {
			l.decoded += len(text)
			l.at += size
		}
	}
	if l.lost {
		return n.Offset
	}
	return n.Offset + l.at
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

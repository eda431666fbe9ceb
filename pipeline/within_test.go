package pipeline

import (
	"strings"
	"testing"
)

func TestWithin(t *testing.T) {
	const data = `{"a": "x\"é\u00e9\ud83d\ude00y${var.v}z"}`
	f := &File{data: []byte(data)}
	found := &findings{file: f}
	l := locator{data: f.data}
	written := &Node{Kind: String, Offset: 6, Text: "x\"éé😀y${var.v}z"}
	replaced := &Node{Kind: String, Offset: 6, Text: "x\"éé😀yVALUEz"}
	tests := []struct {
		node *Node
		find string // in the text
		want string // what stands there in the file
	}{
		{written, "x", `x\"`},
		{written, `"é`, `\"é`},
		{written, "éé", `é\u`},
		{written, "é😀", `\u00e9`},
		{written, "😀", `\ud83d`},
		{written, "y$", `y${`},
		{written, "z", `z"}`},
		{replaced, "y", `y${`},
		{replaced, "z", `"x`}, // behind what was replaced: the whole string
	}
	for _, test := range tests {
		at := l.offset(found.within(test.node, strings.Index(test.node.Text, test.find)))
		if !strings.HasPrefix(data[at:], test.want) {
			t.Errorf("%q of %q: at %q, not %q", test.find, test.node.Text, data[at:], test.want)
		}
	}
}

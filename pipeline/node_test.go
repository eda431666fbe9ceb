package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestDecodeList: what a listing holds is the same whether its items come one by one or together.
func TestDecodeList(t *testing.T) {
	large := "[" + strings.Repeat(`{"a":[1,{"b":"c"}]},`, 200) + "0]"
	for _, text := range []string{
		`{"list":[{"a":1,"b":[1,2,{"c":"\n"}]},"x",3,null,true,[],{}],"more":{"list":[1]}}`, `{"more":1,"list":[` + large + `,` + large + `,{"z":"last"}]}`,
		`{"list":[]}`, `{"list":{"list":[1]}}`, `{"other":[1]}`, `{}`, `[]`, `[{"list":[1]}]`, `"list"`, `{"list":[1`, `{"list":[1]}}`, `{"list":[1],"list":[2]}`, `{"list":[1,]}`, `{"list":[{"a":1,"a":2}]}`,
		`{"list":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
	} {
		whole, wantErr := Decode([]byte(text))
		items := []*Node{}
		rest, err := DecodeList([]byte(text), "list", func(n *Node) error {
			items = append(items, n.Clone())
			return nil
		})
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("%.60s: error %v, want %v", text, err, wantErr)
		}
		if err != nil {
			continue
		}
		if got := rest.Get("list"); got != nil && got.Kind == Array {
			got.Items = items
		}
		if !rest.Equal(whole) {
			t.Errorf("%.60s: got %.200s", text, rest)
		}
	}
	refused, calls := errors.New("refused"), 0
	_, err := DecodeList([]byte(`{"list":[1,2,3]}`), "list", func(*Node) error { calls++; return refused })
	if !errors.Is(err, refused) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if _, err := DecodeList([]byte(`{"list":[1,2,3]`), "list", func(*Node) error { return refused }); err == nil || errors.Is(err, refused) {
		t.Errorf("what is no JSON was refused for an item: %v", err)
	}
}

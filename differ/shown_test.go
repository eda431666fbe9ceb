package differ

import (
	"strings"
	"testing"

	"github.com/plumbline/plumbline/pipeline"
)

// TestShown hides what is secret, and what may be: of a type that nobody knows here, every setting.
func TestShown(t *testing.T) {
	n, err := pipeline.Decode([]byte(`{"name":"p","stages":[{"name":"s","actions":[
		{"name":"a","actionTypeId":{"category":"Source","owner":"ThirdParty","provider":"GitHub","version":"1"},"configuration":{"OAuthToken":"hunter2","Repo":"site"}},
		{"name":"b","actionTypeId":{"category":"Test","owner":"Custom","provider":"Lab","version":"1"},"configuration":{"Password":"hunter2"}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	shown := Shown(n, "eu-west-1").String()
	if strings.Contains(shown, "hunter2") || !strings.Contains(shown, `"Repo":"site"`) || !strings.Contains(shown, `"Password":"****"`) {
		t.Error(shown)
	}
	if !strings.Contains(n.String(), "hunter2") {
		t.Error("the declaration itself was changed")
	}
}

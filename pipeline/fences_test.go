package pipeline

import "testing"

func TestWildcard(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false}, {"", "", true}, {"*", "", true}, {"*", "a/b:c", true},
		{"a*", "a", true}, {"*c", "abc", true}, {"a*c", "abcbc", true}, {"a*c", "abcb", false}, {"?", "", false}, {"a?c", "abc", true},
		{"arn:aws:iam::*:role/p/*", "arn:aws:iam::1:role/p/a/b", true}, {"arn:aws:iam::*:role/p/*", "arn:aws:iam::1:role/q/p/", false},
		{"**a**", "bab", true}, {"*a*b*c*", "xaxbxc", true}, {"*a*b*c*", "xaxcxb", false},
	}
	for _, test := range tests {
		if wildcard(test.pattern, test.text) != test.want {
			t.Errorf("wildcard(%q, %q) is not %v", test.pattern, test.text, test.want)
		}
	}
}

// A role outside the fence is found however it is written.
func TestRolesInConfigurations(t *testing.T) {
	const outside = "arn:aws:iam::123456789012:role/admin"
	for name, value := range map[string]string{
		"alone":           `"` + outside + `"`,
		"in a text":       `"use ` + outside + `, please"`,
		"in JSON":         `"{\"Role\": \"` + outside + `\"}"`,
		"escaped":         `"arn:aws:iam::123456789012:role\u002fadmin"`,
		"escaped in JSON": `"{\"Role\": \"arn:aws:iam::123456789012:role\\u002fadmin\"}"`,
		"a name in JSON":  `"{\"arn:aws:iam::123456789012:role\\/admin\": 1}"`,
		"of the run":      `"arn:aws:iam::123456789012:role/#{variables.role}"`,
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"stages": [{"actions": [{"configuration": {"Any": ` + value + `}}]}]}`
			_, problems := check("f.json", []byte(text), Target{Allow: &Fences{Roles: []string{"*:role/pipelines/*"}}})
			for _, p := range problems {
				if p.Rule == "PL-F01" {
					return
				}
			}
			t.Error("it is not found")
		})
	}
}

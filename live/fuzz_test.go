package live

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/pipeline"
)

// FuzzScrub puts a secret into any text, as AWS and the SDK quote them, and wants it to be gone from what may be shown.
func FuzzScrub(f *testing.F) {
	for _, seed := range []struct{ before, after, secret string }{
		{"Value at 'pipeline' failed: ", " is not valid", "ann0nymous-s3cret"},
		{"", "", "\u202ekanari\"vogel\\"},
		{"https://", "@example.com/a", "user:pa55word"},
		{strings.Repeat("x", maxText-4), "tail", "secret-at-the-end"},
		{"Authorization: Bearer ", "&x=1", "a b"},
		{"*", "**", "***"},
		{"\xff\u00ad", "\n", "abc\tdef"},
	} {
		f.Add(seed.before, seed.after, seed.secret)
	}
	f.Fuzz(func(t *testing.T, before, after, secret string) {
		quoted := pipeline.NewString(secret).String()
		for _, text := range []string{before + secret + after, before + quoted + after} {
			if got := clean(text); len(got) > maxText || !utf8.ValidString(got) ||
				strings.ContainsFunc(got, func(c rune) bool { return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) }) {
				t.Errorf("cannot be printed: %q", got)
			}
		}
		for _, token := range []string{"AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefABCDEF", "glpat-0123456789abcdefABCD"} {
			if got := clean(strings.ToValidUTF8(before, "") + " " + token + " " + after); strings.Contains(got, token) {
				t.Errorf("a token is shown: %q", got)
			}
		}
		if len(secret) < 6 || secret == pipeline.Mask || !utf8.ValidString(secret) || strings.Contains(masked, secret) {
			return
		}
		body := pipeline.NewObject(pipeline.Member{Name: "OAuthToken", Value: pipeline.NewString(secret)})
		pairs := secretsOf(body)
		if len(pairs) == 0 {
			t.Fatal("the request holds no secret")
		}
		inner := quoted[1 : len(quoted)-1]
		got := strings.NewReplacer(pairs...).Replace("<" + secret + "|" + inner + ">")
		if strings.Contains(got, secret) || strings.Contains(got, inner) {
			t.Errorf("the secret %q is shown: %q", secret, got)
		}
		if !slices.Contains(pairs, secret) {
			t.Errorf("%q is not among %q", secret, pairs)
		}
	})
}

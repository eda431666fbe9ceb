package live

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/plumbline/plumbline/pipeline"
)

// maxText is how many bytes of an error's text are kept. Validation messages repeat whole documents.
const maxText = 1000

const masked = "***"

// secretShapes are texts that are secret wherever they stand.
var secretShapes = regexp.MustCompile(strings.Join([]string{
	`\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b`,
	`\bgh[a-z]_[A-Za-z0-9]{16,}`,
	`\bgithub_pat_\w{16,}`,
	`\bglpat-[\w-]{16,}`,
	`\bxox[a-z]-[\w-]{10,}`,
}, "|"))

// secretValues are texts that are secret because of the name before them; the name is kept.
var secretValues = regexp.MustCompile(`(?i)((?:x-amz-security-token|x-amz-signature|x-amz-credential|signature|credential|` +
	`oauthtoken|secrettoken|password|secretaccesskey|sessiontoken|authorization)["']?\s*[=:]\s*["']?)[^\s"'&,;]+`)

// userInfo is a user and password within a URL.
var userInfo = regexp.MustCompile(`://[^\s/@"']+@`)

// clean makes text that came from outside fit to print: no secrets, no control characters, not too long.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\r' || c == '\t':
			return ' '
		case unicode.IsControl(c) || unicode.Is(unicode.Cf, c):
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = userInfo.ReplaceAllString(s, "://"+masked+"@")
	s = secretShapes.ReplaceAllString(s, masked)
	s = secretValues.ReplaceAllString(s, "${1}"+masked)
	return shorten(s, maxText)
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const tail = "…"
	s = s[:limit-len(tail)]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s + tail
}

var secretName = regexp.MustCompile(`(?i)token|secret|password|credential|apikey`)

// secretsOf returns the values of a request that AWS must not repeat to the log. Its validation messages
// quote the value that they complain about. Those of configuration keys that the service hides are covered however
// short they are, each also as JSON writes it. Longer ones come first, so that one that begins with another is
// covered as a whole.
func secretsOf(body *pipeline.Node) []string {
	var values []string
	body.Walk(func(n *pipeline.Node) {
		for _, m := range n.Members {
			v := m.Value
			if v == nil || v.Kind != pipeline.String || v.Text == "" || v.Text == pipeline.Mask || m.Name == "SecretId" {
				continue
			}
			if slices.Contains(secretKeys, m.Name) || len(v.Text) >= 6 && secretName.MatchString(m.Name) {
				quoted := v.String()
				values = append(values, v.Text, quoted[1:len(quoted)-1])
			}
		}
	})
	slices.SortFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, value := range values {
		pairs = append(pairs, value, masked)
	}
	return pairs
}

var secretKeys = pipeline.SecretKeys()

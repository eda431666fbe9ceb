package pipeline

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Closest returns the candidate that is most likely meant by a word, or "" if none is close: same letters in
// another case, or few letters wrong for the word's length.
func Closest(word string, candidates []string) string {
	best, bestDistance := "", 1+utf8.RuneCountInString(word)/3
	for _, c := range candidates {
		if strings.EqualFold(c, word) {
			return c
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c), bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the Damerau–Levenshtein distance (adjacent letters swapped count once), or most where it is
// not smaller than that.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], most)
}

// didYouMean returns a hint that names the closest candidate, or all of them.
func didYouMean(word string, candidates []string) string {
	if c := Closest(word, candidates); c != "" {
		return fmt.Sprintf("did you mean %q?", c)
	}
	if len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	return "known here: " + strings.Join(candidates, ", ")
}

func hintName(string) string {
	return "use letters, digits and . @ - _ only"
}

// hintArtifactName proposes a name made of the letters that are allowed.
func hintArtifactName(name string) string {
	mended := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name), "_")
	hint := "artifact names take letters, digits, _ and - only, no dot and no space"
	if mended != "" {
		hint += fmt.Sprintf("; %q would do, and so must say every action that reads it", mended)
	}
	return hint
}

// hintRoleARN says which part of a role's ARN does not fit.
func hintRoleARN(arn string) string {
	const form = "arn:aws:iam::<12-digit account>:role/<name>"
	parts := strings.SplitN(arn, ":", 6)
	switch {
	case len(parts) == 1 && strings.HasSuffix(arn, ".Arn"):
		return "this is how CloudFormation names an attribute, which only CloudFormation replaces; write " + form
	case parts[0] != "arn" || len(parts) < 6:
		return "the role is named by its whole ARN: " + form
	case parts[2] != "iam":
		return fmt.Sprintf("this is an ARN of %s; a role's is %s", parts[2], form)
	case parts[3] != "":
		return "a role has no region in its ARN: " + form
	case !isDigits(parts[4]):
		return fmt.Sprintf("%q is no account number; it takes 12 digits: %s", parts[4], form)
	case len(parts[4]) != 12:
		return fmt.Sprintf("the account number %s has %d digits; it takes 12", parts[4], len(parts[4]))
	case !strings.HasPrefix(parts[5], "role/"):
		return fmt.Sprintf("this names %q; the service needs a role: %s", parts[5], form)
	}
	return "expected " + form
}

func hintBucket(bucket string) string {
	if strings.HasPrefix(bucket, "s3://") || strings.Contains(bucket, "/") {
		return "only the bucket's name, without s3:// and without a folder"
	}
	return "bucket names take letters, digits, - and . only"
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

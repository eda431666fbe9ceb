package sync

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const someDigest = "00112233445566778899aabbccddeeff"

// TestRecordStrings: records are in tags of live pipelines everywhere, so their form never changes.
func TestRecordStrings(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, r := range map[string]record{
		"1.v1." + someDigest + ".0123456789ab.1767323045":   {1, someDigest, "0123456789ab", at},
		"1.v4096." + someDigest + ".0123456789ab.0":         {4096, someDigest, "0123456789ab", time.Time{}},
		"1.v7." + someDigest + ".none.0":                    {7, someDigest, noCommit, time.Time{}},
		"1.v9223372036854775807." + someDigest + ".none.17": {1<<63 - 1, someDigest, noCommit, time.Unix(17, 0).UTC()},
	} {
		if got := r.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, ok := parseRecord(want); !ok || got != r {
			t.Errorf("%s is read as %+v, %t", want, got, ok)
		}
	}
	good := "1.v1." + someDigest + ".0123456789ab.1767323045"
	for _, bad := range []string{
		"", "1", "none", good + ".", good + ".x", "2" + good[1:], "1" + good, strings.Replace(good, "v1", "1", 1), strings.Replace(good, "v1", "v0", 1),
		strings.Replace(good, "v1", "v01", 1), strings.Replace(good, "v1", "v-1", 1), strings.Replace(good, "v1", "v+1", 1), strings.Replace(good, "v1", "v9223372036854775808", 1),
		strings.ToUpper(good), strings.Replace(good, "00112233", "0011223", 1), strings.Replace(good, "0011", "xxxx", 1), strings.Replace(good, "0123456789ab", "0123456", 1),
		strings.Replace(good, "0123456789ab", "", 1), strings.Replace(good, ".1767323045", ".-1", 1), strings.Replace(good, ".1767323045", ".01", 1), " " + good, good + "\n",
	} {
		if r, ok := parseRecord(bad); ok {
			t.Errorf("%q is read as %+v", bad, r)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`1\.v[0-9]{1,3}\.[0-9a-fA-F]{30,33}\.([0-9a-f]{11,13}|none)\.[0-9]{1,12}`).Draw(t, "record")
		if r, ok := parseRecord(s); ok && r.String() != s {
			t.Fatalf("%s is read, and written as %s", s, r)
		}
	})
}

// TestSourceTag: the name of a file in a tag fits the letters and the length of tags, and tells files apart.
func TestSourceTag(t *testing.T) {
	if got, want := sourceTag("acme/pipelines", "prod/web é.json"), "acme/pipelines:prod/web=20=C3=A9.json"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[string]string{}
	rapid.Check(t, func(t *rapid.T) {
		source, path := rapid.String().Draw(t, "source"), rapid.StringN(0, 400, 400).Draw(t, "path")
		tag := sourceTag(source, path)
		if len(tag) > 256 || strings.Trim(tag, "+-._/@=:abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			t.Fatalf("no tag can hold %q", tag)
		}
		if other, ok := seen[tag]; ok && other != source+"\x00"+path {
			t.Fatalf("%q stands for two files", tag)
		}
		seen[tag] = source + "\x00" + path
	})
}

package sync

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/plumbline/plumbline/pipeline"
)

// The tags that we put on what we write.
const (
	TagManagedBy = pipeline.TagPrefix + "managed-by" // the instance's name
	TagSource    = pipeline.TagPrefix + "source"     // the source and the path of the file in it
	TagApplied   = pipeline.TagPrefix + "applied"    // a record
)

// record says at which live version and which desired digest the two were last equal.
type record struct {
	Version int64
	Digest  string    // see pipeline.Digest
	Commit  string    // the first 12 digits; noCommit for a folder
	Time    time.Time // when that commit was made, to the second; zero for a folder
}

// noCommit stands in records of folders, which have no commits.
const noCommit = "none"

// String returns the value of the tag: 1.v<version>.<digest>.<commit>.<unix time>.
func (r record) String() string {
	var seconds int64
	if !r.Time.IsZero() {
		seconds = r.Time.Unix()
	}
	return fmt.Sprintf("1.v%d.%s.%s.%d", r.Version, r.Digest, r.Commit, seconds)
}

// parseRecord reads the value of the tag. One that was edited by hand, or has a format of another version, is
// no record.
func parseRecord(s string) (record, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 5 || parts[0] != "1" || !strings.HasPrefix(parts[1], "v") {
		return record{}, false
	}
	version, err := strconv.ParseInt(parts[1][1:], 10, 64)
	if err != nil || version < 1 {
		return record{}, false
	}
	if digest, err := hex.DecodeString(parts[2]); err != nil || len(digest) != 16 {
		return record{}, false
	}
	if commit, err := hex.DecodeString(parts[3]); parts[3] != noCommit && (err != nil || len(commit) != 6) {
		return record{}, false
	}
	seconds, err := strconv.ParseInt(parts[4], 10, 64)
	if err != nil || seconds < 0 {
		return record{}, false
	}
	r := record{Version: version, Digest: parts[2], Commit: parts[3]}
	if seconds > 0 {
		r.Time = time.Unix(seconds, 0).UTC()
	}
	if r.String() != s { // leading zeros, capitals: not written by us
		return record{}, false
	}
	return r, true
}

// sourceTag names a file of a source within the letters and the length that tags allow. It is for people, and
// for finding the pipeline of a file that can no longer be read.
func sourceTag(source, path string) string {
	tag := escapeTag(source) + ":" + escapeTag(path)
	if len(tag) <= 200 {
		return tag
	}
	sum := sha256.Sum256([]byte(tag))
	return tag[:180] + "=." + hex.EncodeToString(sum[:8])
}

func escapeTag(s string) string {
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("+-._/@", c) >= 0
	}
	n := 0
	for n < len(s) && plain(s[n]) {
		n++
	}
	if n == len(s) {
		return s // as nearly all are
	}
	var b strings.Builder
	b.WriteString(s[:n])
	for _, c := range []byte(s[n:]) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// sourceOf returns the source that tags name, as they write it.
func sourceOf(tags map[string]string) string {
	source, _, _ := strings.Cut(tags[TagSource], ":")
	return source
}

// Ownership says whose a live pipeline is, as far as its tags tell.
type Ownership string

const (
	Managed   Ownership = "managed"   // ours
	Unmanaged Ownership = "unmanaged" // nobody's that we know of
	Foreign   Ownership = "foreign"   // another tool's, another instance's, or of a source that we do not have
)

// Owner reads a pipeline's tags. who names the owner of a foreign one. Tags that are not known (nil) make a
// pipeline unmanaged, which is enough to list it and not enough to write to it.
func Owner(tags map[string]string, instance string, sources []string) (o Ownership, who string) {
	for key := range tags {
		if strings.HasPrefix(key, "aws:cloudformation:") {
			return Foreign, "CloudFormation stack " + tags["aws:cloudformation:stack-name"]
		}
	}
	by, marked := tags[TagManagedBy]
	if !marked {
		return Unmanaged, ""
	}
	if by != instance {
		return Foreign, "plumbline instance " + by
	}
	source := sourceOf(tags)
	for _, s := range sources {
		if escapeTag(s) == source {
			return Managed, ""
		}
	}
	return Foreign, "plumbline source " + source
}

package sync

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzTags reads any tags: a record is one that we would write again as it is, and what we write AWS takes.
func FuzzTags(f *testing.F) {
	for _, seed := range []struct{ record, source, path string }{
		{"1.v3.0123456789abcdef0123456789abcdef.0123456789ab.1772366400", "github.com/acme/pipelines", "web.json"},
		{"1.v3.0123456789abcdef0123456789abcdef.none.0", "folder", "a/b c:ü.json"},
		{"1.v03.0123456789ABCDEF0123456789abcdef.none.00", "a:b", strings.Repeat("é", 300)},
		{"2.v1....", "", ""}, {"1.v9223372036854775808.x.y.z", "=", "=41"}, {"1.v1.0123456789abcdef0123456789abcdef.none.9223372036854775807", "\xff", "\x00"},
	} {
		f.Add(seed.record, seed.source, seed.path)
	}
	allowed := regexp.MustCompile(`^[A-Za-z0-9+\-._/@=:]{0,256}$`)
	f.Fuzz(func(t *testing.T, text, source, path string) {
		if r, ok := parseRecord(text); ok && (r.String() != text || r.Version < 1 || !allowed.MatchString(text)) {
			t.Errorf("%q is read as %+v", text, r)
		}
		tag := sourceTag(source, path)
		if !allowed.MatchString(tag) {
			t.Errorf("AWS does not take the tag %q", tag)
		}
		tags := map[string]string{TagManagedBy: "us", TagSource: tag}
		if who, _ := Owner(tags, "us", []string{source}); len(escapeTag(source)) < 180 && who != Managed {
			t.Errorf("our own tag %q makes a pipeline %s", tag, who)
		}
		if who, _ := Owner(tags, "them", []string{source}); who != Foreign {
			t.Errorf("a pipeline of another instance is %s", who)
		}
	})
}

// FuzzPlanFile reads any plan file: it is refused, or it can be held against what is there now.
func FuzzPlanFile(f *testing.F) {
	for _, seed := range []string{
		"", "null", `{"format":1}`, `{"format":2,"targets":[{}]}`, `{"format":1,"targets":[{"name":"a","planId":"x","changes":[{"pipeline":"p","verb":"update","version":-1}]}],"more":1}`,
		`{"format":1,"instance":"i","made":"2026-03-01T12:00:00Z","targets":[{"name":"a","account":"1","region":"r","planId":"x","changes":[{"pipeline":"p","verb":"update","version":3,"edits":"e"},{"pipeline":"p","verb":"delete"}]},{"name":"a"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPlanFile(data)
		if (p == nil) == (err == nil) {
			t.Fatalf("both or neither: %v, %v", p, err)
		}
		if err != nil {
			return
		}
		_ = p.IDs()
		for _, reports := range [][]*Report{nil, {{Target: p.Targets[0].Name}}, {{Target: p.Targets[0].Name, PlanID: p.Targets[0].PlanID, Account: p.Targets[0].Account, Region: p.Targets[0].Region}}} {
			_ = p.Moved(reports)
		}
	})
}

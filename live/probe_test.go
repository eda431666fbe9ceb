package live

import (
	"testing"
)

// A probe names a pipeline and sets or removes nothing, once, and tells by its error what is allowed.
func TestProbes(t *testing.T) {
	for _, tt := range []struct {
		code string
		want Class
	}{
		{"ResourceNotFoundException", NotFound}, {"AccessDeniedException", Denied}, {"ThrottlingException", Throttled},
	} {
		w := newWire(t).on("TagResource", refuse(tt.code, "no")).on("UntagResource", refuse(tt.code, "no"))
		writer := NewWriter(w.reader())
		if got := ClassOf(writer.ProbeTag(t.Context(), "nobody")); got != tt.want {
			t.Errorf("%s: ProbeTag is %s, want %s", tt.code, got, tt.want)
		}
		if got := ClassOf(writer.ProbeUntag(t.Context(), "nobody")); got != tt.want {
			t.Errorf("%s: ProbeUntag is %s, want %s", tt.code, got, tt.want)
		}
		for operation, list := range map[string]string{"TagResource": "tags", "UntagResource": "tagKeys"} {
			if got := w.bodies[operation]; len(got) != 1 || got[0] != `{"resourceArn":"arn:aws:codepipeline:eu-west-1:111122223333:nobody","`+list+`":[]}` {
				t.Errorf("%s sent %q", operation, got)
			}
		}
	}
}

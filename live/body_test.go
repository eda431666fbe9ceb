package live

import (
	"bytes"
	"io"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestClosedBody looks at a request's body after the SDK has closed it, as net/http does when a reply comes early: it has nothing
// more to send, and that is no error.
func TestClosedBody(t *testing.T) {
	req, err := smithyhttp.NewStackRequest().(*smithyhttp.Request).SetStream(requestBody{bytes.NewReader([]byte("{}"))})
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 2
	body := req.Build(t.Context()).Body
	if sent, err := io.ReadAll(body); string(sent) != "{}" || err != nil {
		t.Fatalf("%q, %v", sent, err)
	}
	if err := body.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, body); n != 0 || err != nil {
		t.Errorf("%d bytes more, %v", n, err)
	}
}

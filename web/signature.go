package web

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reasons why a request does not show that its sender knows the secret. They are for the log, never for the
// sender.
var (
	errUnsigned  = errors.New("it has no signature: set the secret at the sender")
	errWeak      = errors.New("it is signed with SHA-1 only, which is not accepted")
	errMalformed = errors.New("its signature is empty or not of the form that its header calls for: is the secret set at the sender?")
	errSeveral   = errors.New("it has several signatures that contradict each other")
	errStale     = errors.New("it was signed more than five minutes ago or ahead of now; are the clocks right?")
	errKey       = errors.New("its signature needs a secret that begins with whsec_, and that of this source does not")
	errMismatch  = errors.New("its signature does not match: is the secret the same here and at the sender?")
)

// digest is an HMAC-SHA-256.
type digest [sha256.Size]byte

// proof is what a request offers to show that its sender knows the secret, in one of three forms.
type proof struct {
	sum digest // of the body; the form if the other two are empty

	// A Standard Webhook signs a prefix together with the body, and offers several digests while its sender
	// changes keys.
	prefix string
	sums   []digest

	token string // the secret itself
}

// headers carry the HMAC of the body in hex, after a prefix. A sender may use several: Forgejo and Gitea sign in
// GitHub's name too.
var headers = []struct{ name, prefix string }{
	{"X-Hub-Signature-256", "sha256="},   // GitHub
	{"X-Hub-Signature", "sha256="},       // Bitbucket; with sha1= GitHub and Gitea of old
	{"X-Forgejo-Signature", ""},          // Forgejo
	{"X-Gitea-Signature", ""},            // Gitea, Forgejo
	{"X-Plumbline-Signature", "sha256="}, // anybody
}

const (
	tokenHeader    = "X-Gitlab-Token"
	standardHeader = "Webhook-Signature"
)

// offered returns the proof that a request's headers offer. Nothing here is secret or costs more than the headers
// are long; the request is refused for anything that no sender would send.
func offered(h http.Header, now time.Time) (proof, error) {
	sum, signed, err := bodySum(h)
	standard, token := h[standardHeader], h[tokenHeader]
	switch {
	case signed && (len(standard) > 0 || len(token) > 0):
		return proof{}, errSeveral
	case signed:
		return proof{sum: sum}, err
	case len(standard) > 0: // GitLab sends its token too if it has one, which is then another secret than ours
		return standardProof(h, now)
	case len(token) > 1:
		return proof{}, errSeveral
	case len(token) == 1 && token[0] != "":
		return proof{token: token[0]}, nil
	case err != nil:
		return proof{}, err
	}
	return proof{}, errUnsigned
}

// bodySum reads the headers that sign the body alone. All that are there must agree: with one secret there is one
// digest, and a wrong one is not made good by another. It reports whether there is any, be it malformed.
func bodySum(h http.Header) (sum digest, signed bool, err error) {
	for _, header := range headers {
		values := h[header.name]
		if len(values) == 0 {
			continue
		}
		if strings.HasPrefix(values[0], "sha1=") && header.name == "X-Hub-Signature" && len(values) == 1 {
			err = errWeak // unless a better one is there
			continue
		}
		given, ok := parseSum(values, header.prefix)
		switch {
		case !ok:
			return digest{}, true, errMalformed
		case signed && given != sum:
			return digest{}, true, errSeveral
		}
		sum, signed = given, true
	}
	if signed {
		err = nil
	}
	return sum, signed, err
}

func parseSum(values []string, prefix string) (sum digest, ok bool) {
	text, found := strings.CutPrefix(values[0], prefix)
	if len(values) != 1 || !found || len(text) != hex.EncodedLen(len(sum)) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(text))
	return sum, err == nil
}

// leeway is how far a signed time may be from ours.
const leeway = 5 * time.Minute

// standardProof reads the headers of a Standard Webhook (standardwebhooks.com). An id with a dot is refused: it
// could borrow the place of the time, and with it an old signature would seem to be of now.
func standardProof(h http.Header, now time.Time) (proof, error) {
	id, stamp, signatures := h["Webhook-Id"], h["Webhook-Timestamp"], h[standardHeader]
	if len(id) != 1 || len(stamp) != 1 || len(signatures) != 1 || id[0] == "" || len(id[0]) > 256 || strings.Contains(id[0], ".") {
		return proof{}, errMalformed
	}
	seconds, err := strconv.ParseInt(stamp[0], 10, 64)
	if err != nil {
		return proof{}, errMalformed
	}
	if seconds < now.Add(-leeway).Unix() || seconds > now.Add(leeway).Unix() {
		return proof{}, errStale
	}
	p := proof{prefix: id[0] + "." + stamp[0] + "."}
	for signature := range strings.FieldsSeq(signatures[0]) {
		version, text, _ := strings.Cut(signature, ",")
		if version != "v1" {
			continue // of another kind; the sender offers both
		}
		sum, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(sum) != len(digest{}) || len(p.sums) == 8 {
			return proof{}, errMalformed
		}
		p.sums = append(p.sums, digest(sum))
	}
	if len(p.sums) == 0 {
		return proof{}, errMalformed
	}
	return p, nil
}

// check reads the body to its end and returns nil if the sender knows the secret. Other errors than ours are
// those of reading the body.
func (p proof) check(secret []byte, body io.Reader) error {
	switch {
	case p.token != "":
		// Digests are compared, so that the time this takes does not tell how long the secret is. The body is
		// read although nothing depends on it, because senders take a connection closed early for a failure.
		given, want := sha256.Sum256([]byte(p.token)), sha256.Sum256(secret)
		if !hmac.Equal(given[:], want[:]) {
			return errMismatch
		}
		_, err := io.Copy(io.Discard, body)
		return err
	case len(p.sums) > 0:
		key, err := standardKey(secret)
		if err != nil {
			return err
		}
		return compare(hmac.New(sha256.New, key), io.MultiReader(strings.NewReader(p.prefix), body), p.sums)
	}
	return compare(hmac.New(sha256.New, secret), body, []digest{p.sum})
}

// standardKey returns the key that a secret of the form whsec_<base64> stands for.
func standardKey(secret []byte) ([]byte, error) {
	text, found := bytes.CutPrefix(secret, []byte("whsec_"))
	if !found {
		return nil, errKey
	}
	key, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(key) == 0 {
		return nil, errKey
	}
	return key, nil
}

// compare streams signed into mac: however long it is, it takes the same memory.
func compare(mac hash.Hash, signed io.Reader, sums []digest) error {
	if _, err := io.Copy(mac, signed); err != nil {
		return err
	}
	want := mac.Sum(nil)
	for _, sum := range sums {
		if hmac.Equal(sum[:], want) {
			return nil
		}
	}
	return errMismatch
}

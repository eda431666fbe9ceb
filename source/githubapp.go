package source

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// GitHubApp says which installation of a GitHub App to act as. It needs read access to contents.
type GitHubApp struct {
	AppID          int64
	InstallationID int64
	PrivateKeyFile string // RSA, in PEM form, as GitHub hands it out
	BaseURL        string // of the API; "" means https://api.github.com, GitHub Enterprise has https://HOST/api/v3
}

func (a *GitHubApp) check() error {
	if a.AppID <= 0 || a.InstallationID <= 0 || a.PrivateKeyFile == "" {
		return errors.New("auth.githubApp needs appID, installationID and privateKeyFile")
	}
	if a.BaseURL == "" {
		return nil
	}
	u, err := url.Parse(a.BaseURL)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return errors.New("auth.githubApp.baseURL is not of the form https://HOST/api/v3")
	}
	return nil
}

// appToken is an installation token that GitHub gave us. They live for an hour.
type appToken struct {
	mu      sync.Mutex
	value   string
	expires time.Time
}

// forget makes the next call ask for a new token, as this one was refused.
func (t *appToken) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.value = ""
}

// installationToken returns the token that we have, or a new one if that is about to expire.
func (c *call) installationToken(app *GitHubApp) (string, error) {
	t := &c.r.token
	t.mu.Lock()
	defer t.mu.Unlock()
	const early = 5 * time.Minute
	if t.value == "" || time.Until(t.expires) < early {
		var err error
		if t.value, t.expires, err = c.newAppToken(app); err != nil {
			return "", err
		}
	}
	c.hide(t.value)
	return t.value, nil
}

func (c *call) newAppToken(app *GitHubApp) (string, time.Time, error) {
	key, err := readSecret(app.PrivateKeyFile)
	if err != nil {
		return "", time.Time{}, c.r.fail(KindLocal, "the key of the GitHub App cannot be read: "+err.Error(), "")
	}
	jwt, err := appJWT(app.AppID, key, time.Now())
	if err != nil {
		return "", time.Time{}, c.r.fail(KindLocal, "the key of the GitHub App in "+app.PrivateKeyFile+" cannot be used: "+err.Error(), "")
	}
	c.hide(jwt)
	base := app.BaseURL
	if base == "" {
		base = "https://api.github.com"
	}
	where := fmt.Sprintf("%s/app/installations/%d/access_tokens", strings.TrimSuffix(base, "/"), app.InstallationID)
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, where, nil)
	if err != nil {
		return "", time.Time{}, err
	}
	req.Header.Set("Authorization", "Bearer "+jwt)
	req.Header.Set("Accept", "application/vnd.github+json")
	return c.exchange(req)
}

// exchange sends the request for a token, and reads the answer.
func (c *call) exchange(req *http.Request) (string, time.Time, error) {
	const where = "asking GitHub for a token of the app: "
	resp, err := c.net.RoundTrip(req) // no redirects here
	if err != nil {
		return "", time.Time{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSecret))
	if err != nil {
		return "", time.Time{}, err
	}
	if resp.StatusCode != http.StatusCreated {
		e := c.r.refused(resp, tame(string(body), c.secrets()))
		e.What = where + e.What
		if e.Kind == KindAuth || e.Kind == KindNotFound {
			e.Kind, e.Hint = KindAuth, "check auth.githubApp: the ids of app and installation, its key, and this machine's clock"
		}
		return "", time.Time{}, e
	}
	var reply struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&reply); err != nil || reply.Token == "" {
		return "", time.Time{}, c.r.fail(KindProtocol, where+"the answer holds none", "check auth.githubApp.baseURL")
	}
	return reply.Token, reply.Expires, nil
}

// appJWT signs the claim to be the app, for some minutes. GitHub takes RS256 only.
func appJWT(appID int64, key []byte, now time.Time) (string, error) {
	private, err := rsaKey(key)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"iat":%d,"exp":%d,"iss":"%d"}`,
		now.Add(-time.Minute).Unix(), // for a clock that is ahead
		now.Add(8*time.Minute).Unix(), appID)
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	return signed + "." + encode(signature), err
}

func rsaKey(data []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is not in PEM form")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok { // the error is about what is in the file
		return nil, errors.New("it is not an RSA private key")
	}
	return private, nil
}

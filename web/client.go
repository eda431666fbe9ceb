package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client asks a running plumbline through its private listener.
type Client struct {
	URL  string       // of the listener, such as http://127.0.0.1:8080
	HTTP *http.Client // nil for http.DefaultClient
}

// maxStatus bounds what a client reads: whatever listens at that address, it cannot fill our memory.
const maxStatus = 256 << 20

// maxReason bounds, in bytes, what of an answer goes into an error.
const maxReason = 1 << 10

// Status returns what the daemon knows now. It fails if nobody listens, or if who listens is no plumbline.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	body, err := c.ask(ctx, http.MethodGet, "/api/v1/status", http.StatusOK)
	if err != nil {
		return nil, fmt.Errorf("asking for the status: %w", err)
	}
	defer body.Close()
	var s Status
	if err := json.NewDecoder(io.LimitReader(body, maxStatus)).Decode(&s); err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return &s, nil
}

// Health returns nil if a daemon listens and its loop moves, also while AWS or git is away, and otherwise what it answers, or
// why it cannot be asked.
func (c *Client) Health(ctx context.Context) error {
	body, err := c.ask(ctx, http.MethodGet, "/healthz", http.StatusOK)
	if err != nil {
		return fmt.Errorf("asking for the health: %w", err)
	}
	return body.Close()
}

// ask returns the body of an answer that has the wanted status.
func (c *Client) ask(ctx context.Context, method, path string, want int) (io.ReadCloser, error) {
	where, err := url.JoinPath(c.URL, path)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, where, nil)
	if err != nil {
		return nil, err
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusServiceUnavailable {
		defer response.Body.Close()
		reason, err := io.ReadAll(io.LimitReader(response.Body, maxReason))
		return nil, errors.Join(fmt.Errorf("%s answers %s: %q", request.URL.Redacted(), response.Status, strings.TrimSpace(string(reason))), err)
	}
	if response.StatusCode != want {
		response.Body.Close()
		return nil, fmt.Errorf("%s answers %s: is that where plumbline listens (web.listen)?", request.URL.Redacted(), response.Status)
	}
	return response.Body, nil
}

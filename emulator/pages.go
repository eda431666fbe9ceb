package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// paginate cuts the page that a request asks for out of items, whose ids ascend. A token holds the id of the last item
// served, so that items which come and go between two pages shift nothing.
func paginate[T any](s *Server, c *call, tokenKey, sizeKey string, size int, items []T, id func(T) string) (page []T, next string, err error) {
	if n, ok := c.input[sizeKey].(int64); ok {
		size = int(n)
	}
	from := 0
	if token := text(c.input, tokenKey); token != "" {
		last, ok := s.openToken(c, token)
		if !ok {
			return nil, "", refuse("InvalidNextTokenException", "The next token was specified in an invalid format. Make sure that the next token you provided is the token returned by a previous call.")
		}
		for from < len(items) && id(items[from]) <= last {
			from++
		}
	}
	page = items[from:min(len(items), from+size)]
	if from+size < len(items) {
		next = s.sealToken(c, id(page[len(page)-1]))
	}
	return page, next, nil
}

// A token is good for the operation, account, region and pipeline it was issued for, and nobody else can make one.
func (s *Server) sealToken(c *call, last string) string {
	return base64.URLEncoding.EncodeToString([]byte(s.seal(c, last) + last))
}

func (s *Server) openToken(c *call, token string) (last string, ok bool) {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) < sha256.Size {
		return "", false
	}
	last = string(b[sha256.Size:])
	return last, hmac.Equal(b[:sha256.Size], []byte(s.seal(c, last)))
}

func (s *Server) seal(c *call, last string) string {
	return s.sealOf(c.record.Operation, c.record.Account, c.record.Region, c.record.Pipeline, last)
}

// sealOf is a digest that only this server can make.
func (s *Server) sealOf(parts ...string) string {
	m := hmac.New(sha256.New, s.tokenKey[:])
	m.Write([]byte(strings.Join(parts, "\x00")))
	return string(m.Sum(nil))
}

func withToken(out map[string]any, key, token string) map[string]any {
	if token != "" {
		out[key] = token
	}
	return out
}

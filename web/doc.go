// Package web is what a daemon answers over HTTP. It has two handlers, for two listeners:
//
//	Admin     health, metrics, status and refresh: for the operator's own network
//	Webhooks  POST /webhooks/<source name> and nothing else: may face the internet
//
// They are apart because a port is the one fence that no mistake in a path can open: whoever may send webhooks
// can ask for nothing else. [Serve] serves either, within limits that hold against slow and against many clients.
//
// Nothing here decides anything. Admin only reads what the loop of package sync has published, and a webhook is
// only a hint that a source may have moved: its body is hashed and forgotten, so nothing that a sender writes
// there can do more than make a source be looked at, and no more often than [WebhooksConfig.Gap] allows.
//
// [Status] is the status API's document, for those who write it and for those who read it; [Client] reads it.
package web

import "net/http"

// guard sets the headers of every answer. Nothing that is served may be kept by a cache, guessed to be of
// another type, run a script, or be shown inside somebody else's page.
func guard(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

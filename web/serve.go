package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

// ServeConfig bounds what clients can take. Every zero is a default that suits webhooks and the private listener;
// a negative one is no bound, for handlers that run long.
type ServeConfig struct {
	HeaderTimeout time.Duration // to send the headers of a request; zero is 10 s
	ReadTimeout   time.Duration // to send a request as a whole; zero is 30 s
	WriteTimeout  time.Duration // from the end of the headers to the end of the answer; zero is 1 m
	IdleTimeout   time.Duration // to wait for the next request on a connection; zero is 2 m
	Grace         time.Duration // for requests under way when serving ends; zero is 5 s

	MaxHeaderBytes int // of all headers of a request, give or take 4 KiB; zero is 16 KiB, negative 1 MiB
	MaxConns       int // connections at once, further ones wait; zero is 256

	Log *zap.Logger // told at debug of clients that misbehave; nil for none
}

// Serve serves until ctx ends, then lets requests under way finish for the time of Grace and cuts off the rest. It
// returns nil after that, and an error only if the listener fails before. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, cfg ServeConfig) error {
	server, err := newServer(handler, cfg)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if most := cmp.Or(cfg.MaxConns, 256); most > 0 {
		listener = &limited{Listener: listener, slots: make(chan struct{}, most)}
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		server.Close()
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	last := context.WithoutCancel(ctx)
	if grace := cmp.Or(cfg.Grace, 5*time.Second); grace > 0 {
		var cancel context.CancelFunc
		last, cancel = context.WithTimeout(last, grace)
		defer cancel()
	}
	if err := server.Shutdown(last); err != nil {
		server.Close() // who has not finished by now is cut off
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err) // just before ctx ended
	}
	return nil
}

func newServer(handler http.Handler, cfg ServeConfig) (*http.Server, error) {
	log := cfg.Log
	if log == nil {
		log = zap.NewNop()
	}
	// The standard library complains of every broken connection. That is the clients' doing, and they can do it
	// a thousand times a second.
	complaints, err := zap.NewStdLogAt(log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("preparing the log: %w", err)
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: cmp.Or(cfg.HeaderTimeout, 10*time.Second),
		ReadTimeout:       cmp.Or(cfg.ReadTimeout, 30*time.Second),
		WriteTimeout:      cmp.Or(cfg.WriteTimeout, time.Minute),
		IdleTimeout:       cmp.Or(cfg.IdleTimeout, 2*time.Minute),
		MaxHeaderBytes:    cmp.Or(cfg.MaxHeaderBytes, 16<<10),
		ErrorLog:          complaints,

		DisableGeneralOptionsHandler: true, // OPTIONS * is for the handler to refuse like any other
	}
	return server, nil
}

// limited accepts no connection while too many are open. Those that wait do so in the kernel, where they take no
// descriptor, until others are closed or time out.
type limited struct {
	net.Listener
	slots chan struct{}
}

// Accept waits for a slot and then for a connection. Closing the listener ends the second wait only; that suffices,
// because whoever stops a server closes its connections too, and each gives a slot back.
func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &slotted{Conn: c, release: sync.OnceFunc(func() { <-l.slots })}, nil
}

// slotted is a connection that gives its slot back when it is closed.
type slotted struct {
	net.Conn
	release func()
}

// Close closes the connection, the first time it is called.
func (c *slotted) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// CloseWrite is what net/http uses, where a connection has it, to let a client that is still sending read the
// answer before the connection is gone.
func (c *slotted) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

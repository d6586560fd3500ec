package webhooks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// Server serves a handler over TLS as a manager's Runnable, and stops without losing a request. controller-runtime's webhook server
// closes its listener at the first signal, while the API server still sends requests to it.
type Server struct {
	// Listener is the listener. Start closes it at the end.
	Listener       net.Listener
	Handler        http.Handler
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Callers restricts the clients; nil allows all.
	Callers *Callers
	// DrainDelay is how long the server accepts requests after the stop signal: the time until its endpoint is removed.
	DrainDelay time.Duration
	Log        logr.Logger

	draining atomic.Bool
	running  sync.WaitGroup
}

// NeedLeaderElection is false: every replica serves.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until the context ends, continues for DrainDelay while Ready fails, and then waits for the reviews in flight.
func (s *Server) Start(ctx context.Context) error {
	s.running.Add(1)
	defer s.running.Done()
	// Behind a Service the API server uses HTTP/1.1, so HTTP/2, whose streams can be flooded, is off. It would also start a
	// goroutine for each review, whose stack must grow each time.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	server := &http.Server{
		Protocols:         &protocols,
		Handler:           s.Handler,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.GetCertificate},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      35 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	if s.Callers != nil {
		if err := s.Callers.Require(server.TLSConfig); err != nil {
			return errors.Join(err, s.Listener.Close())
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(s.Listener, "", "") }()
	s.Log.Info("serving reviews", "address", s.Listener.Addr().String())

	select {
	case err := <-failed:
		return fmt.Errorf("serving reviews: %w", err)
	case <-ctx.Done():
	}
	s.Log.Info("draining", "delay", s.DrainDelay.String())
	s.draining.Store(true)
	// From now on, every answer asks the API server to connect to another replica.
	server.SetKeepAlivesEnabled(false)
	select {
	case err := <-failed:
		return fmt.Errorf("serving reviews: %w", err)
	case <-time.After(s.DrainDelay):
	}
	const longest = 15 * time.Second
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
	defer cancel()
	if err := server.Shutdown(last); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("waiting for the last reviews: %w", err)
	}
	return nil
}

// Wait returns after Start has returned. A manager that loses its lease does not wait for its Runnables, which would cut off the
// reviews in flight.
func (s *Server) Wait() { s.running.Wait() }

// Ready is a readiness check: the server is not stopping.
func (s *Server) Ready(*http.Request) error {
	if s.draining.Load() {
		return errors.New("draining")
	}
	return nil
}

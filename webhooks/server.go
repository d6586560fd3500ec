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

// Server serves a handler over TLS as a manager's Runnable, and stops without losing a request: controller-runtime's own
// webhook server closes its listener at the first signal, while the API server still sends requests to it.
type Server struct {
	// Listener is where to listen; it is closed when the server stops.
	Listener       net.Listener
	Handler        http.Handler
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Callers are who may connect; anybody where nil.
	Callers *Callers
	// DrainDelay is how long requests are still taken after the stop signal: the time an endpoint needs to be withdrawn.
	DrainDelay time.Duration
	Log        logr.Logger

	draining atomic.Bool
	running  sync.WaitGroup
}

// NeedLeaderElection is false: every replica serves.
func (*Server) NeedLeaderElection() bool { return false }

// Start serves until the context ends, goes on for DrainDelay while Ready says no, and then waits for the reviews under way.
func (s *Server) Start(ctx context.Context) error {
	s.running.Add(1)
	defer s.running.Done()
	// Behind a Service the API server speaks HTTP/1.1 alone, so nobody needs HTTP/2, whose streams are there to be flooded.
	// It would start a goroutine for each review, too, whose stack decoding makes grow anew each time.
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
	// Every answer from now on asks the API server to connect again, to another replica.
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

// Wait returns when Start has: a manager that loses its lease does not wait for what it started, and the reviews under way
// would be cut off.
func (s *Server) Wait() { s.running.Wait() }

// Ready is a readiness check: the server is not about to stop.
func (s *Server) Ready(*http.Request) error {
	if s.draining.Load() {
		return errors.New("draining")
	}
	return nil
}

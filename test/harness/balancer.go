package harness

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Balancer stands for a Service: one loopback address with the ready replicas behind it. Connections go to the replicas in turn,
// and skip one that refuses them, as after its endpoint was removed.
type Balancer struct {
	// URL is the webhook's URL.
	URL string

	listener net.Listener
	mu       sync.Mutex
	replicas []*Installation
	ready    map[*Installation]bool
	next     atomic.Uint64
}

// NewBalancer listens until ctx ends. It has no replicas yet.
func NewBalancer(ctx context.Context) (*Balancer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Balancer{URL: "https://" + listener.Addr().String(), listener: listener, ready: map[*Installation]bool{}}
	context.AfterFunc(ctx, func() { listener.Close() })
	go b.accept()
	go b.probe(ctx)
	return b, nil
}

// Add adds a replica, ready or not, running or not.
func (b *Balancer) Add(in *Installation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = append(b.replicas, in)
	b.ready[in] = true
}

// Remove removes a replica.
func (b *Balancer) Remove(in *Installation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = slices.DeleteFunc(b.replicas, func(other *Installation) bool { return other == in })
}

// probe checks the readiness of every replica, like a kubelet but more often.
func (b *Balancer) probe(ctx context.Context) {
	for {
		for _, in := range b.Replicas() {
			short, cancel := context.WithTimeout(ctx, time.Second)
			_, err := Get(short, in.Health+"/readyz")
			cancel()
			b.mu.Lock()
			b.ready[in] = err == nil
			b.mu.Unlock()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Replicas returns the replicas.
func (b *Balancer) Replicas() []*Installation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.replicas)
}

// turn returns the ready replicas in the order to try them.
func (b *Balancer) turn() []*Installation {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready []*Installation
	for _, in := range b.replicas {
		if b.ready[in] {
			ready = append(ready, in)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	first := int(b.next.Add(1)) % len(ready)
	return append(ready[first:], ready[:first]...)
}

func (b *Balancer) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.forward(conn.(*net.TCPConn))
	}
}

func (b *Balancer) forward(client *net.TCPConn) {
	defer client.Close()
	for _, in := range b.turn() {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(in.Webhook, "https://"), time.Second)
		if err != nil {
			continue
		}
		replica := conn.(*net.TCPConn)
		defer replica.Close()
		done := make(chan struct{}, 2)
		pipe := func(to, from *net.TCPConn) {
			_, _ = io.Copy(to, from)
			_ = to.CloseWrite()
			done <- struct{}{}
		}
		go pipe(replica, client)
		go pipe(client, replica)
		<-done
		<-done
		return
	}
	// No replica is ready: reset the connection, like a Service without endpoints.
	_ = client.SetLinger(0)
}

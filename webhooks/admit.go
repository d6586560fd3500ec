package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// maxUnderWay bounds the reviews that are judged at the same time, in bytes of their bodies. What is decoded takes several
// times as much, and all of it has to fit into the memory limit of a Pod.
const maxUnderWay = 4 * maxBody

// leastWeight is what the smallest review counts as, in bytes: it bounds the number of reviews, and of the reads that they
// ask of the API server.
const leastWeight = 256 << 10

// gate lets in as many reviews as there is room for, and turns the others away while the API server still waits: a
// webhook that answers nobody in time takes the cluster with it.
type gate struct{ room *semaphore.Weighted }

func newGate() gate { return gate{semaphore.NewWeighted(maxUnderWay)} }

// enter waits until there is room for a review with a body of that many bytes, for as long as ctx lasts. The caller has to
// call leave in the end. The error is for the API server, whose failure policy then decides.
func (g gate) enter(ctx context.Context, size int) (leave func(), err error) {
	weight := max(int64(size), leastWeight)
	if err := g.room.Acquire(ctx, weight); err != nil {
		shedTotal.Inc()
		if errors.Is(err, context.Canceled) {
			return nil, refused{http.StatusServiceUnavailable, fmt.Errorf("the API server closed the connection: %w", err)}
		}
		return nil, refused{http.StatusTooManyRequests, errors.New("there are more reviews than Mooring can judge in time. Fix: add replicas")}
	}
	reviewsUnderWay.Inc()
	return func() {
		reviewsUnderWay.Dec()
		g.room.Release(weight)
	}, nil
}

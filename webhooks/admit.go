package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/sync/semaphore"
)

// maxUnderWay limits the total body size of the reviews being judged, in bytes. A decoded review takes several times its body, and
// all of them must fit in the Pod's memory limit.
const maxUnderWay = 4 * maxBody

// leastWeight is the minimum weight of a review, in bytes. It limits the number of reviews, and so the reads from the API server.
const leastWeight = 256 << 10

// gate admits as many reviews as there is room for, and rejects the others before the API server's timeout. A webhook that times
// out on everything takes the cluster down with it.
type gate struct{ room *semaphore.Weighted }

func newGate() gate { return gate{semaphore.NewWeighted(maxUnderWay)} }

// enter waits until there is room for a review of this size, or ctx ends. The caller must call leave. The API server's failure
// policy handles the error.
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

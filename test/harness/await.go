package harness

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Patience is the time limit of all waits, long enough for a busy machine.
const Patience = 90 * time.Second

// Await polls until there is no error, and returns the last error after Patience.
func Await(ctx context.Context, condition func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, Patience, true, func(ctx context.Context) (bool, error) {
		err := condition(ctx)
		if err == nil || ctx.Err() == nil {
			// The error of an interrupted request says less than the one before.
			last = err
		}
		return err == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

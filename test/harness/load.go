package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// Load sends the API server requests whose correct answer is known, at a steady rate, and counts the answers. All are dry runs.
type Load struct {
	client kubernetes.Interface
	asks   []ask

	mu     sync.Mutex
	tally  Tally
	last   time.Time // when a request that guard had to let through was let through
	stop   context.CancelFunc
	ending sync.WaitGroup
}

// Tally counts the answers of a load.
type Tally struct {
	Requests int
	// WronglyRefused are correct requests that were refused, by Mooring or because it could not be reached.
	WronglyRefused int
	// CutOff are those of them whose connection broke during the review.
	CutOff int
	// WronglyAdmitted are wrong requests that passed guard.
	WronglyAdmitted int
	// Unjudged are wrong requests that lint did not judge: without an answer, its failure policy allows them.
	Unjudged int
	// Unanswered are requests without an answer from the API server.
	Unanswered int
	// LongestGap is the longest time in which no correct request passed guard.
	LongestGap time.Duration
	// Surprises are the answers behind WronglyRefused, WronglyAdmitted and Unanswered, with their counts.
	Surprises map[string]int
}

// ask is a kind of request.
type ask struct {
	name         string
	right, guard bool
	do           func(context.Context, kubernetes.Interface) error
}

var dryRun = []string{metav1.DryRunAll}

func deleting() metav1.DeleteOptions { return metav1.DeleteOptions{DryRun: dryRun} }

func scaling(replicas int32) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, c kubernetes.Interface) error {
		scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: "load", Name: "db"}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
		_, err := c.AppsV1().StatefulSets("load").UpdateScale(ctx, "db", scale, metav1.UpdateOptions{DryRun: dryRun})
		return err
	}
}

func creating(change func(*appsv1.StatefulSet)) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, c kubernetes.Interface) error {
		set := &appsv1.StatefulSet{}
		if err := yaml.Unmarshal([]byte(StatefulSet("load", "replicas: 3")), set); err != nil {
			return err
		}
		set.Name = "other"
		change(set)
		_, err := c.AppsV1().StatefulSets("load").Create(ctx, set, metav1.CreateOptions{DryRun: dryRun})
		return err
	}
}

var asks = []ask{
	{"scale 3 to 2", true, true, scaling(2)},
	{"scale 3 to 0", false, true, scaling(0)},
	{"create", true, false, creating(func(*appsv1.StatefulSet) {})},
	{"delete a claim in use", false, true, func(ctx context.Context, c kubernetes.Interface) error {
		return c.CoreV1().PersistentVolumeClaims("load").Delete(ctx, "data-db-0", deleting())
	}},
	{"scale 3 to 2", true, true, scaling(2)},
	{"create without time to stop", false, false, creating(func(set *appsv1.StatefulSet) {
		set.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64)
	})},
	{"delete a protected Service", false, true, func(ctx context.Context, c kubernetes.Interface) error {
		return c.CoreV1().Services("load").Delete(ctx, "kept", deleting())
	}},
}

// StartLoad starts perSecond requests a second, from as many goroutines as necessary. The Database must exist.
func StartLoad(kubeconfig string, perSecond int) (*Load, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Timeout, config.WarningHandler = -1, 15*time.Second, rest.NoWarnings{}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{client: client, asks: asks, stop: stop, last: time.Now(), tally: Tally{Surprises: map[string]int{}}}
	l.ending.Add(1)
	go func() {
		defer l.ending.Done()
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		// Do not pile up requests on a server that hangs.
		slots := make(chan struct{}, 32)
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			select {
			case <-ctx.Done():
				return
			case slots <- struct{}{}:
			}
			ask := l.asks[i%len(l.asks)]
			l.ending.Go(func() {
				// Wait for the answer, even after the end.
				l.count(ask, ask.do(context.WithoutCancel(ctx), l.client))
				<-slots
			})
		}
	}()
	return l, nil
}

// Stop ends the load and returns the counts.
func (l *Load) Stop() Tally {
	l.stop()
	l.ending.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.LongestGap = max(l.tally.LongestGap, time.Since(l.last))
	return l.tally
}

func (l *Load) count(a ask, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.Requests++
	surprise := func(what string) { l.tally.Surprises[fmt.Sprintf("%s: %s: %v", what, a.name, err)]++ }
	switch outcome := classify(err); {
	case outcome == unanswered:
		l.tally.Unanswered++
		surprise("unanswered")
	case outcome == refused && a.right:
		l.tally.WronglyRefused++
		if strings.HasSuffix(err.Error(), "EOF") || strings.Contains(err.Error(), "connection reset") {
			l.tally.CutOff++
		}
		surprise("wrongly refused")
	case outcome == admitted && !a.right && a.guard:
		l.tally.WronglyAdmitted++
		surprise("wrongly admitted")
	case outcome == admitted && !a.right:
		l.tally.Unjudged++
	case outcome == admitted && a.guard:
		now := time.Now()
		l.tally.LongestGap = max(l.tally.LongestGap, now.Sub(l.last))
		l.last = now
	}
}

type outcome int

const (
	admitted outcome = iota
	refused
	unanswered
)

func classify(err error) outcome {
	var status apierrors.APIStatus
	switch {
	case err == nil:
		return admitted
	case !errors.As(err, &status):
		return unanswered // nobody listens
	case strings.Contains(err.Error(), "mooring.dev"):
		return refused // it says which webhook refused, or could not be called
	default:
		return unanswered
	}
}

// String lists the surprises, the most frequent first.
func (t Tally) String() string {
	var lines strings.Builder
	fmt.Fprintf(&lines, "%d requests, %d wrongly refused, %d wrongly admitted, %d not judged by lint, %d unanswered, longest gap %s\n",
		t.Requests, t.WronglyRefused, t.WronglyAdmitted, t.Unjudged, t.Unanswered, t.LongestGap.Round(time.Millisecond))
	for _, s := range slices.SortedFunc(maps.Keys(t.Surprises), func(a, b string) int { return t.Surprises[b] - t.Surprises[a] }) {
		fmt.Fprintf(&lines, "  %d × %s\n", t.Surprises[s], s)
	}
	return lines.String()
}

package faults

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// statuses records the statuses of a client's responses.
type statuses struct {
	http.RoundTripper
	mu   sync.Mutex
	seen []int
}

func (s *statuses) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		s.mu.Lock()
		s.seen = append(s.seen, response.StatusCode)
		s.mu.Unlock()
	}
	return response, err
}

// TestAskedAgain scales down while etcd hangs for longer than guard can wait. The API server has the StatefulSet in memory, but
// guard cannot tell whether its Pods are ready. The client is asked to retry, does so by itself, and succeeds.
func TestAskedAgain(t *testing.T) {
	startShared(t)
	config, err := clientcmd.BuildConfigFromFlags("", shared.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	answers := &statuses{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		answers.RoundTripper = next
		return answers
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	scale := func(replicas int32) error {
		to := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: "load", Name: "db"}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
		_, err := client.AppsV1().StatefulSets("load").UpdateScale(t.Context(), "db", to, metav1.UpdateOptions{})
		return err
	}
	etcd := shared.Component("etcd")
	if err := etcd.Pause(); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(6*time.Second, func() {
		if err := etcd.Resume(); err != nil {
			t.Error(err)
		}
	})
	if err := scale(2); err != nil {
		t.Errorf("a scale-down that is right is refused: %v", err)
	}
	t.Logf("the answers: %v", answers.seen)
	if !slices.Contains(answers.seen, http.StatusServiceUnavailable) {
		t.Error("the client was not asked to try again")
	}
	apiServerReady(t)
	if err := scale(3); err != nil {
		t.Fatal(err)
	}
	if _, err := shared.Run(t.Context(), shared.Kubeconfig, "", "-n", "load", "rollout", "status", "statefulset/db", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
}

package certs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func TestFiles(t *testing.T) {
	mgr, err := manager.New(&rest.Config{Host: "https://127.0.0.1:1"}, manager.Options{
		Metrics: metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := Files(mgr, dir); err == nil {
		t.Fatal("an empty directory must be an error")
	}

	o := testOptions(t, clock.RealClock{})
	put := func(issued time.Time) *chain {
		c := must[*chain](t)(newChain(o, issued))
		data := must[map[string][]byte](t)(c.data())
		for _, name := range []string{"tls.crt", "tls.key"} {
			if err := os.WriteFile(filepath.Join(dir, name), data[name], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return c
	}
	put(time.Now().Add(-100 * day))
	source, err := Files(mgr, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := source.Ready(nil); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate is ready: %v", err)
	}

	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- mgr.Start(ctx) }()
	fresh := put(time.Now())
	deadline := time.Now().Add(20 * time.Second)
	for source.Ready(nil) != nil && time.Now().Before(deadline) {
		// The files may be older than the watch, and the watcher polls only every ten seconds.
		if err := os.Chmod(filepath.Join(dir, "tls.crt"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := source.Ready(nil); err != nil {
		t.Error(err)
	}
	served, err := source.GetCertificate(nil)
	if err != nil || !served.Leaf.Equal(fresh.leaf.Leaf) {
		t.Errorf("the new files are not served: %v", err)
	}
	want := float64(fresh.leaf.Leaf.NotAfter.Unix())
	for testutil.ToFloat64(expiry.WithLabelValues("leaf")) != want && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if got := testutil.ToFloat64(expiry.WithLabelValues("leaf")); got != want {
		t.Errorf("the metric says %f, want %f", got, want)
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

package certs

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestExpiryWarning(t *testing.T) {
	fake := clocktesting.NewFakeClock(start)
	o := testOptions(t, fake)
	s := &stored{Options: o}
	recorder := events.NewFakeRecorder(100)
	w := &ExpiryWarning{Source: s, Recorder: recorder, Regarding: &corev1.Service{}, Log: logr.Discard(), Clock: fake}
	for name, c := range map[string]struct {
		after time.Duration
		says  string
	}{
		"new":                             {0, ""},
		"due for renewal":                 {70 * day, ""},
		"a sixth of its lifetime is left": {76 * day, "expires at 2001-05-04T04:05:06Z"},
		"expired":                         {91 * day, "expired at 2001-05-04T04:05:06Z"},
	} {
		t.Run(name, func(t *testing.T) {
			s.serving.Store(must[*chain](t)(newChain(o, start)))
			got := w.warning(start.Add(c.after))
			if (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
				t.Errorf("got %q, want %q", got, c.says)
			}
		})
	}

	fake.SetTime(start.Add(80 * day))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Start(ctx) }()
	for range 2*60 + 1 {
		for !fake.HasWaiters() {
			time.Sleep(time.Microsecond)
		}
		fake.Step(time.Minute)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := len(recorder.Events); n != 3 {
		t.Errorf("%d Events in two hours, want one at once and one each hour", n)
	}
	if event := <-recorder.Events; !strings.Contains(event, "Warning CertificateExpires The webhook's serving certificate expires at") {
		t.Errorf("the Event is %q", event)
	}
}

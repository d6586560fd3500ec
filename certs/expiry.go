package certs

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
)

// ExpiryWarning warns, as a manager's Runnable, of a serving certificate that is not renewed: with an Event and a log line every
// hour, in the last sixth of its validity. Renewal normally happens in the last third.
type ExpiryWarning struct {
	Source   Source
	Recorder events.EventRecorder
	// Regarding is the object of the Events.
	Regarding runtime.Object
	Log       logr.Logger
	// Clock defaults to the real clock.
	Clock clock.Clock
}

// NeedLeaderElection is false: each replica knows only its own certificate.
func (*ExpiryWarning) NeedLeaderElection() bool { return false }

// Start checks every minute until the context ends.
func (w *ExpiryWarning) Start(ctx context.Context) error {
	if w.Clock == nil {
		w.Clock = clock.RealClock{}
	}
	var last time.Time
	for {
		now := w.Clock.Now()
		if warning := w.warning(now); warning != "" && now.Sub(last) >= time.Hour {
			last = now
			w.Recorder.Eventf(w.Regarding, nil, corev1.EventTypeWarning, "CertificateExpires", "Serve", "%s", warning)
			w.Log.Info("the serving certificate is not renewed", "warning", warning)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.Clock.After(time.Minute):
		}
	}
}

// warning returns when the certificate expires if that is soon, otherwise "".
func (w *ExpiryWarning) warning(now time.Time) string {
	certificate, err := w.Source.GetCertificate(nil)
	if err != nil {
		return "" // readiness says it
	}
	leaf := certificate.Leaf
	if !expiresSoon(leaf, now) {
		return ""
	}
	says := "expires"
	if now.After(leaf.NotAfter) {
		says = "expired"
	}
	return fmt.Sprintf("The webhook's serving certificate %s at %s and is not renewed. Without it the API server cannot call Mooring and refuses scale-downs and deletes. "+
		"Fix: look at the leader's log and, if cert-manager issues it, run kubectl describe certificate", says, leaf.NotAfter.Format(time.RFC3339))
}

// expiresSoon reports whether the last sixth of a certificate's validity has begun.
func expiresSoon(leaf *x509.Certificate, now time.Time) bool {
	return leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/6
}

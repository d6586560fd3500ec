package webhooks

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
)

// TestShedding fills the gate with pending reviews. The next review must be rejected before its timeout, and admitted once there is
// room.
func TestShedding(t *testing.T) {
	review, err := os.ReadFile("testdata/scale-down.review.json")
	if err != nil {
		t.Fatal(err)
	}
	release, judging := make(chan struct{}), make(chan struct{}, 1000)
	slow := func(context.Context, *admissionv1.AdmissionRequest) (*admissionv1.AdmissionResponse, error) {
		judging <- struct{}{}
		<-release
		return allowed(), nil
	}
	handler := webhook{"validate", logr.Discard(), newGate(), always, slow}
	send := func(timeout string) int {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodPost, ValidatePath+"?timeout="+timeout, bytes.NewReader(review))
		request.Header.Set("Content-Type", "application/json")
		handler.ServeHTTP(recorder, request)
		return recorder.Code
	}
	var held sync.WaitGroup
	for range maxUnderWay / leastWeight {
		held.Go(func() {
			if code := send("30s"); code != http.StatusOK {
				t.Errorf("a review that was let in is answered with %d", code)
			}
		})
		<-judging
	}
	if code := send("100ms"); code != http.StatusTooManyRequests {
		t.Errorf("with the gate full, the answer is %d", code)
	}
	close(release)
	held.Wait()
	if code := send("30s"); code != http.StatusOK {
		t.Errorf("with the gate empty, the answer is %d", code)
	}
}

// TestGateTakesTheLargest checks that the gate admits the largest review that can be read.
func TestGateTakesTheLargest(t *testing.T) {
	leave, err := newGate().enter(t.Context(), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	leave()
}

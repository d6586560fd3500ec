package webhooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// send posts a body to a webhook and returns the status and the answer.
func send(handler http.Handler, path string, body []byte) (int, string) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	handler.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

// TestHostileReviews sends invalid reviews, and extreme valid ones. An invalid review must get an HTTP error, a valid one a verdict, and none
// may cause a panic.
func TestHostileReviews(t *testing.T) {
	scale, err := os.ReadFile("testdata/scale-down.review.json")
	if err != nil {
		t.Fatal(err)
	}
	weaken, err := os.ReadFile("testdata/statefulset-scale-down.review.json")
	if err != nil {
		t.Fatal(err)
	}
	// with inserts text before a review's object, as another member with the same or another name.
	with := func(review []byte, text string) []byte {
		at := bytes.Index(review, []byte(`"object": {`))
		if at < 0 {
			t.Fatal("the review has no object where it is expected")
		}
		at += len(`"object": {`)
		return []byte(string(review[:at]) + text + string(review[at:]))
	}
	annotation := func(key, value string) []byte {
		at := bytes.LastIndex(weaken, []byte(`"metadata": {`))
		return []byte(string(weaken[:at]) + `"metadata": {"annotations": {"` + key + `": "` + value + `"},` + string(weaken[at+len(`"metadata": {`):]))
	}
	for name, c := range map[string]struct {
		body   []byte
		status int
		denied bool
	}{
		"the recorded review":                   {scale, 200, true},
		"100,000 nested arrays":                 {[]byte(strings.Repeat("[", 100_000)), 400, false},
		"100,000 nested objects":                {with(weaken, `"x":`+strings.Repeat(`{"x":`, 100_000)+"1"+strings.Repeat("}", 100_000)+","), 400, false},
		"1.5 MB of an unknown field":            {with(weaken, `"x": "`+strings.Repeat("x", 3<<19)+`",`), 200, true},
		"256 KiB of rules to bypass":            {annotation("mooring.dev/bypass", strings.Repeat("scale-down,", 256<<10/11)), 200, true},
		"256 KiB of reasons":                    {annotation("mooring.dev/bypass-reason", strings.Repeat("x", 256<<10)), 200, true},
		"invalid UTF-8 in a string":             {with(scale, `"x": "`+"\xff\xfe"+`",`), 200, true},
		"invalid UTF-8 outside a string":        {append([]byte("\xff\xfe"), scale...), 400, false},
		"a NUL":                                 {append([]byte{0}, scale...), 400, false},
		"a second review after the first":       {append(bytes.Clone(scale), scale...), 400, false},
		"a spec before the real one":            {with(scale, `"spec": {"replicas": 5},`), 200, true},
		"an uppercase spec before the real one": {with(scale, `"SPEC": {"replicas": 5},`), 200, true},
		"a number out of range":                 {with(scale, `"x": 1e999999999,`), 200, true},
		"half a review":                         {scale[:len(scale)/2], 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			panics := testutil.ToFloat64(panicsTotal.WithLabelValues("validate"))
			status, answer := send(testReviewer(t, databaseClusters(t)).Handler(logr.Discard()), ValidatePath, c.body)
			if status != c.status {
				t.Errorf("the status is %d, want %d: %.200s", status, c.status, answer)
			}
			if denied := strings.Contains(answer, `"allowed":false`); denied != c.denied {
				t.Errorf("denied: %t, want %t: %.200s", denied, c.denied, answer)
			}
			if testutil.ToFloat64(panicsTotal.WithLabelValues("validate")) != panics {
				t.Error("a rule panicked")
			}
		})
	}
}

// FuzzAnnotations sets Mooring's annotations to any text. No text may let a user without the right through, and all must be judged.
func FuzzAnnotations(f *testing.F) {
	f.Add("scale-down", "moved", "2001-01-01T00:00:00Z", "update-strategy")
	f.Add("scale-down,*", "", "never", "*")
	f.Add(",,,", "\xff", "9999-99-99T99:99:99Z", ",")
	review, err := os.ReadFile("testdata/statefulset-scale-down.review.json")
	if err != nil {
		f.Fatal(err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(review, &decoded); err != nil {
		f.Fatal(err)
	}
	handler := testReviewer(f, databaseClusters(f)).Handler(logr.Discard())
	f.Fuzz(func(t *testing.T, bypass, reason, until, keep string) {
		request := decoded["request"].(map[string]any)
		for _, object := range []string{"object", "oldObject"} {
			request[object].(map[string]any)["metadata"].(map[string]any)["annotations"] = map[string]any{
				"mooring.dev/bypass": bypass, "mooring.dev/bypass-reason": reason, "mooring.dev/bypass-until": until, "mooring.dev/keep": keep,
				"kubectl.kubernetes.io/last-applied-configuration": fmt.Sprintf(`{"spec":%s}`, keep),
			}
		}
		body, err := json.Marshal(decoded)
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := send(handler, ValidatePath, body); status != http.StatusOK || !strings.Contains(answer, `"allowed":false`) {
			t.Fatalf("the answer is %d %s", status, answer)
		}
		if status, answer := send(handler, MutatePath, body); status != http.StatusOK {
			t.Fatalf("the answer is %d %s", status, answer)
		}
	})
}

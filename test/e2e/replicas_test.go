package e2e

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/test/harness"
)

// TestReplicas checks that a second replica adopts the first one's certificate, and that a stopping one serves until its endpoint
// is removed.
func TestReplicas(t *testing.T) {
	second, err := cluster.Replica(t.Context(), "--drain-delay=3s")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := certificateOf(t, cluster), certificateOf(t, second); a != b {
		t.Error("the replicas serve different certificates")
	}
	if err := second.Terminate(); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		body, err := harness.Get(t.Context(), second.Health+"/readyz?verbose")
		if err != nil && strings.Contains(body, "[-]server failed") {
			return nil
		}
		return errors.New("the replica does not say that it drains")
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := client.Post(second.Webhook+"/validate", "application/json", bytes.NewReader(nil))
	if err != nil {
		t.Fatalf("a request that arrives late is not served: %v", err)
	}
	response.Body.Close()
	if !response.Close {
		t.Error("the answer does not ask the API server to connect again")
	}
	if err := second.Wait(); err != nil {
		t.Errorf("the server ended with %v", err)
	}
	if _, err := harness.Get(t.Context(), cluster.Health+"/readyz"); err != nil {
		t.Errorf("the other replica is not ready any more: %v", err)
	}
}

func certificateOf(t *testing.T, in *harness.Installation) [32]byte {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(in.Webhook, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return sha256.Sum256(conn.ConnectionState().PeerCertificates[0].Raw)
}

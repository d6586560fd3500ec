package policies_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mooring-dev/mooring/policies"
)

// TestRolloutReadsPods checks that a rollout is judged by the Pods, unless the status in the request shows that all are ready.
func TestRolloutReadsPods(t *testing.T) {
	const settled = "replicas: 3, readyReplicas: 3, updatedReplicas: 3, observedGeneration: 2"
	for status, reads := range map[string]bool{
		settled: false,
		"":      true,
		strings.Replace(settled, "readyReplicas: 3", "readyReplicas: 2", 1):           true,
		strings.Replace(settled, "updatedReplicas: 3", "updatedReplicas: 2", 1):       true,
		strings.Replace(settled, "replicas: 3", "replicas: 4", 1):                     true,
		strings.Replace(settled, "observedGeneration: 2", "observedGeneration: 1", 1): true,
	} {
		t.Run(status, func(t *testing.T) {
			ch := change(t, "{kind: StatefulSet, metadata: {generation: 2}, status: {"+status+"}}",
				"{kind: StatefulSet, metadata: {generation: 2}, spec: {template: {spec: {terminationGracePeriodSeconds: 60}}}, status: {"+status+"}}")
			set := only(t, policy(t, "a", "rules: {unsafeRollout: {action: Deny}}"))
			if _, err := set.Judge(ch, broken{Snapshot: policies.Snapshot{Complete: true}, errs: map[string]error{"pods": errors.New("Pods cannot be read")}}); (err != nil) != reads {
				t.Errorf("it read Pods, and got %v", err)
			}
		})
	}
}

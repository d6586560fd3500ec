package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestWayOutAndBack follows docs/operating/emergency.md: no replica answers, the webhook configuration is deleted, and urgent
// requests pass. Then the chart is installed again and guard works as before. No other test may run meanwhile.
func TestWayOutAndBack(t *testing.T) {
	const group = "emergency.example.com"
	s := newShell(t)
	s.define(defined(group, "Vault", scalable))
	s.mustWith(ownedSet(s.owner(group, "Vault", "db", "{replicas: 3}", ""), "replicas: 3", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}"), "apply", "-f", "-")
	s.settled(3)
	s.bound()
	owners := [][]string{
		{"delete", "vault", "db", "--dry-run=server"},
		{"delete", "crd", "vaults." + group, "--dry-run=server"},
		{"scale", "vaults." + group, "db", "--replicas=1", "--dry-run=server"},
		{"patch", "vault", "db", "--type=merge", "-p", `{"spec":{"replicas":1}}`, "--dry-run=server"},
	}
	for _, args := range owners {
		s.eventuallyRefused("denied the request: owner-", args...)
	}
	scale := []string{"scale", "statefulset", "db", "--replicas=1", "--dry-run=server"}
	s.refused([]string{"scale-down/quorum"}, scale...)

	cluster.Kill()
	for _, taken := range [][]string{
		scale,
		{"delete", "statefulset", "db", "--dry-run=server"},
		{"delete", "persistentvolumeclaim", "data-db-0", "--dry-run=server"},
		{"delete", "namespace", s.namespace, "--dry-run=server"},
	} {
		if out, err := s.try("", taken...); err == nil || !strings.Contains(out, "failed calling webhook") {
			t.Errorf("guard lets this pass while no replica answers: %s: %v\n%s", strings.Join(taken, " "), err, out)
		}
	}
	// Baseline refuses none of these.
	s.must("delete", "service", "db", "--dry-run=server")
	s.must("delete", "pod", "db-2", "--grace-period=0", "--force", "--dry-run=server")
	s.must("rollout", "restart", "statefulset", "db")
	for _, args := range owners {
		if out, err := s.try("", args...); err == nil || !strings.Contains(out, `failed calling webhook "owners.mooring.dev"`) {
			t.Errorf("this passes while no replica answers: %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	// Non-destructive requests pass, also for these custom resources.
	s.must("patch", "vault", "db", "--type=merge", "-p", `{"spec":{"version":"2"}}`)
	s.must("patch", "vault", "db", "--subresource=status", "--type=merge", "-p", `{"status":{"replicas":3}}`)
	s.must("delete", "validatingwebhookconfiguration", "mooring", "mooring-owners")
	for _, args := range append(owners, scale) {
		s.must(args...)
	}

	// A replica is not ready without the configuration, whose caBundle must trust it.
	if err := cluster.Reinstall(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Guarded(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.refused([]string{"scale-down/quorum"}, scale...)
	for _, args := range owners {
		s.eventuallyRefused("denied the request: owner-", args...)
	}
}

// TestAuditWarnEnforce takes the three steps to a profile for a namespace in use.
func TestAuditWarnEnforce(t *testing.T) {
	t.Parallel()
	s := newShell(t, "mooring.dev/mode=audit")
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	if out := s.must("scale", "statefulset", "db", "--replicas=1"); strings.Contains(out, "Warning") {
		t.Errorf("audit warns:\n%s", out)
	}
	await(t, func() error {
		n, err := cluster.Metric(t.Context(), `mooring_would_deny_total{action="Audit",check="quorum",namespace="`+s.namespace+`",policy="baseline",rule="scale-down"}`)
		if err == nil && n != 1 {
			err = fmt.Errorf("the metric is %v", n)
		}
		return err
	})
	await(t, func() error {
		if out := s.must("get", "events", "--field-selector=reason=WouldDeny"); !strings.Contains(out, "scale-down/quorum") {
			return fmt.Errorf("no Event says what would have been denied:\n%s", out)
		}
		return nil
	})
	s.must("scale", "statefulset", "db", "--replicas=3")
	s.settled(3)
	s.must("label", "--overwrite", "namespace", s.namespace, "mooring.dev/mode=warn")
	scale := []string{"scale", "statefulset", "db", "--replicas=1", "--dry-run=server"}
	if out := s.must(scale...); !strings.Contains(out, "Warning: scale-down/quorum") {
		t.Errorf("no warning:\n%s", out)
	}
	s.must("label", "namespace", s.namespace, "mooring.dev/mode-")
	s.refused([]string{"scale-down/quorum"}, scale...)
}

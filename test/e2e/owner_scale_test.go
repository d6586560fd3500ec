package e2e

import (
	"strings"
	"testing"
)

const scalable = "subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}"

// TestOwnerScale checks that a custom resource's scale-down is judged before its operator acts, by every way of asking, and that nothing
// else about the custom resource is.
func TestOwnerScale(t *testing.T) {
	const group = "scale.example.com"
	s := newShell(t)
	s.define(defined(group, "Fleet", scalable))
	ref := s.owner(group, "Fleet", "db", "{replicas: 3}", "")
	s.mustWith(ownedSet(ref, "replicas: 3", claimsGo), "apply", "-f", "-")
	s.settled(3)
	s.bound()
	s.eventuallyRefused("owner-delete/data", "delete", "fleet", "db", "--dry-run=server")

	patch := func(spec string) []string {
		return []string{"patch", "fleet", "db", "--type=merge", "-p", `{"spec":` + spec + `}`}
	}
	one := append(patch(`{"replicas":1}`), "--dry-run=server")
	scale := []string{"scale", "fleet", "db", "--replicas=1"}
	message := "owner-scale/quorum: Fleet db goes from 3 to 1. Scaling StatefulSet db from 3 to 1 removes db-1 and db-2 and leaves 1 of 3 members ready"
	for _, args := range [][]string{one, append(scale, "--dry-run=server")} {
		if out := s.must(args...); !strings.Contains(out, "Warning: "+message) {
			t.Errorf("baseline says of kubectl %s:\n%s", strings.Join(args, " "), out)
		}
	}
	s.must("patch", "statefulset", "db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}}`)
	s.refused([]string{"owner-scale/data", "data-db-1 and data-db-2"}, one...)
	s.refused([]string{"owner-scale/data", "data-db-1 and data-db-2"}, scale...)
	s.must("patch", "statefulset", "db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Retain"}}}`)

	s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted")
	s.refused([]string{message, `kubectl -n ` + s.namespace + ` patch fleet.scale.example.com db --type=merge -p '{"spec":{"replicas":2}}'`}, one...)
	s.refused([]string{message}, scale...)
	if out := s.must(append(scale, "--dry-run=server", "--as=system:serviceaccount:kube-system:horizontal-pod-autoscaler", "--as-group=system:masters")...); !strings.Contains(out, "Warning: owner-scale/quorum") {
		t.Errorf("an autoscaler is told:\n%s", out)
	}
	s.must("create", "serviceaccount", "operator")
	s.must("create", "role", "operator", "--verb=*", "--resource=fleets."+group+",fleets."+group+"/status,fleets."+group+"/scale")
	s.must("create", "rolebinding", "operator", "--role=operator", "--serviceaccount="+s.namespace+":operator")
	s.eventually(append(one, "--as=system:serviceaccount:"+s.namespace+":operator"), "Warning: owner-scale/quorum")

	// What does not lower the number never reaches Mooring.
	before := s.calls(`name="owners.mooring.dev"`)
	for _, spec := range []string{`{"version":"2"}`, `{"replicas":4}`, `{"replicas":null}`, `{"replicas":3}`} {
		s.must(patch(spec)...)
	}
	s.must("label", "fleet", "db", "tier=gold")
	s.must("patch", "fleet", "db", "--subresource=status", "--type=merge", "-p", `{"status":{"replicas":3},"spec":{"replicas":1}}`)
	s.must("scale", "fleet", "db", "--replicas=5")
	if n := s.calls(`name="owners.mooring.dev"`) - before; n != 0 {
		t.Errorf("the API server asked %v times about updates that scale nothing down", n)
	}
	s.must(patch(`{"replicas":3}`)...)

	// Mooring may not read the custom resource, and a Scale has none of its annotations: the remedy is to patch it.
	s.must("annotate", "fleet", "db", "mooring.dev/bypass=owner-scale", "mooring.dev/bypass-reason=it shrinks")
	s.refused([]string{"owner-scale/quorum"}, scale...)
	if out := s.must(patch(`{"replicas":1}`)...); !strings.Contains(out, "bypassed: it shrinks") {
		t.Errorf("the bypass is not mentioned:\n%s", out)
	}
}

// TestOwnerScaleByPolicy checks that a policy names the field of an operator that Mooring does not know, and that one which no operator
// can have is refused.
func TestOwnerScaleByPolicy(t *testing.T) {
	const group = "named.example.com"
	s := newShell(t)
	s.define(defined(group, "Ring"))
	ref := s.owner(group, "Ring", "db", "{pool: {member-count: 3}}", "")
	s.mustWith(ownedSet(ref, "replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted")
	patch := func(spec string) []string {
		return []string{"patch", "ring", "db", "--type=merge", "-p", `{"spec":` + spec + `}`}
	}
	policy := `{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: NAMESPACE}, spec: {match: {namespaceSelector: {matchLabels: {none: "true"}}}, ` +
		`owners: [{group: GROUP, kind: Ring, replicasPath: "PATH"}]}}`
	named := func(group, path string) string {
		return strings.NewReplacer("GROUP", group, "PATH", path).Replace(policy)
	}
	for of, says := range map[string]string{
		named("apps", "spec.replicas"):       "spec.owners[0].group",
		named(group, "spec.pools[0].size"):   "spec.owners[0].replicasPath",
		named(group, "status.replicas"):      "spec.owners[0].replicasPath",
		named("batch.k8s.io", "spec.number"): "is no group of custom resources",
	} {
		if out, err := s.try(of, "apply", "-f", "-"); err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v, want %q:\n%s", of, err, says, out)
		}
	}
	s.mustWith(named(group, "spec.pool.member-count"), "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "statefulpolicy", s.namespace) })
	s.eventuallyRefused("owner-scale/quorum: Ring db goes from 3 to 1.", append(patch(`{"pool":{"member-count":1}}`), "--dry-run=server")...)

	// Whatever the field and those around it hold, an update passes that lowers no number.
	before := s.calls(`name="owners.mooring.dev"`)
	for _, spec := range []string{
		`{"pool":{"member-count":"many"}}`, `{"pool":{"member-count":1}}`, `{"pool":{"member-count":[3]}}`, `{"pool":{"member-count":{"a":3}}}`, `{"pool":{"member-count":null}}`,
		`{"pool":[3]}`, `{"pool":"none"}`, `{"pool":null}`, `[]`, `"none"`, `null`, `{"pool":{"member-count":3}}`, `{"pool":{"member-count":3.5}}`,
	} {
		s.must(patch(spec)...)
	}
	if n := s.calls(`name="owners.mooring.dev"`) - before; n != 0 {
		t.Errorf("the API server asked %v times about updates that lower no number", n)
	}
	s.refused([]string{"owner-scale/quorum"}, patch(`{"pool":{"member-count":1.0}}`)...)

	// In a list the items are compared by their names.
	s.must(patch(`{"pools":[{"name":"cold","size":0},{"name":"db","size":3}]}`)...)
	s.mustWith(named(group, "spec.pools[*].size"), "apply", "-f", "-")
	s.eventuallyRefused("owner-scale/quorum: Ring db (db) goes from 3 to 1.", append(patch(`{"pools":[{"name":"db","size":1},{"name":"cold","size":0}]}`), "--dry-run=server")...)
	const step = `[{"op":"replace","path":"/spec/pools/1/size","value":2}]`
	s.refused([]string{"patch ring." + group + " db --type=json -p '" + step + "'"}, patch(`{"pools":[{"name":"db","size":1}]}`)...)
	s.must("patch", "ring."+group, "db", "--type=json", "-p", step, "--dry-run=server")
	s.refused([]string{"owner-scale/to-zero: Ring db (db) goes from 3 to 0."}, patch(`{"pools":[]}`)...)
	for _, spec := range []string{
		`{"pools":[{"name":"db","size":3},{"name":"cold","size":0}]}`, `{"pools":[{"name":"db","size":"many"}]}`, `{"pools":[3]}`, `{"pools":[[3]]}`, `{"pools":"none"}`, `{"pools":null}`, `null`,
		`{"pools":[{"name":"db","size":3}]}`, `{"pools":[{"name":"renamed","size":3}]}`,
	} {
		s.must(patch(spec)...)
	}
}

package e2e

import (
	"strings"
	"testing"
)

const databases = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.db.example.com}
spec:
  group: db.example.com
  scope: Namespaced
  names: {kind: Database, plural: databases, singular: database}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// TestOperators checks who counts as an operator: the account that can update the status or the finalizers of the StatefulSet's
// existing owner. What such an owner left behind, anyone can remove.
func TestOperators(t *testing.T) {
	s := newShell(t)
	s.mustWith(databases, "apply", "-f", "-")
	s.must("wait", "crd/databases.db.example.com", "--for=condition=Established", "--timeout=60s")
	s.mustWith("{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db, namespace: NAMESPACE, finalizers: [db.example.com/claims]}}", "create", "-f", "-")
	uid := strings.TrimSpace(s.must("get", "database", "db", "-o", "jsonpath={.metadata.uid}"))
	owned := strings.Replace(statefulSet("replicas: 3"), "name: db, namespace",
		"ownerReferences: [{apiVersion: db.example.com/v1, kind: Database, name: db, uid: "+uid+", controller: true}], name: db, namespace", 1)
	s.mustWith(service+"---"+owned, "apply", "-f", "-")
	s.settled(3)
	for _, account := range []string{"operator", "older-operator", "deployer"} {
		s.must("create", "serviceaccount", account)
		s.must("create", "rolebinding", account, "--clusterrole=edit", "--serviceaccount="+s.namespace+":"+account)
	}
	for account, right := range map[string]string{"operator": "status", "older-operator": "finalizers"} {
		s.must("create", "role", account, "--verb=update", "--resource=databases.db.example.com/"+right)
		s.must("create", "rolebinding", account+"-operates", "--role="+account, "--serviceaccount="+s.namespace+":"+account)
	}
	as := func(account string) string { return "--as=system:serviceaccount:" + s.namespace + ":" + account }
	scale := []string{"scale", "statefulset", "db", "--replicas=1", "--dry-run=server"}

	s.refused([]string{"scale-down/quorum"}, scale...)
	s.refused([]string{"scale-down/quorum"}, append(scale, as("deployer"))...)
	for _, account := range []string{"operator", "older-operator"} {
		if out := s.must(append(scale, as(account))...); !strings.Contains(out, "Warning: scale-down/quorum") {
			t.Errorf("%s is told %q", account, out)
		}
	}
	s.mustWith(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-owners, labels: {mooring.dev/aggregate-to-owners: "true"}}
rules: [{apiGroups: [db.example.com], resources: [databases], verbs: [get]}]
`, "apply", "-f", "-")
	s.must("delete", "database", "db", "--wait=false")
	s.eventually(append(scale, as("deployer")), "is being deleted")
	s.must("patch", "database", "db", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
}

// TestBypassInOneNamespace checks that a RoleBinding grants a bypass in its namespace, and that a wrong annotation is answered with
// the right one.
func TestBypassInOneNamespace(t *testing.T) {
	s := newShell(t)
	s.mustWith(service+"---"+statefulSet("replicas: 3"), "apply", "-f", "-")
	s.settled(3)
	s.must("create", "rolebinding", "ada", "--clusterrole=edit", "--user=ada")
	scale := []string{"scale", "statefulset", "db", "--replicas=1", "--dry-run=server", "--as=ada"}
	s.must("annotate", "statefulset", "db", "mooring.dev/bypass=true", "mooring.dev/bypass-reason=moved")
	s.refused([]string{"Fix: mooring.dev/bypass=scale-down"}, scale...)
	s.must("annotate", "--overwrite", "statefulset", "db", "mooring.dev/bypass=scale-down")
	s.refused([]string{"kubectl create rolebinding -n " + s.namespace + " mooring-bypass --clusterrole=mooring-bypass --user=ada"}, scale...)
	s.must("create", "rolebinding", "mooring-bypass", "--clusterrole=mooring-bypass", "--user=ada")
	s.eventually(scale, "bypassed: moved")
}

// TestNamespaceLabels checks that a label with an invalid profile or mode is refused.
func TestNamespaceLabels(t *testing.T) {
	s := newShell(t)
	for label, says := range map[string]string{
		"mooring.dev/profile=strict": "the profiles are off, baseline and restricted",
		"mooring.dev/mode=autid":     "the modes are audit, warn and enforce",
	} {
		if out, err := s.try("", "label", "namespace", s.namespace, label); err == nil || !strings.Contains(out, says) {
			t.Errorf("%s: %v, the answer does not say %q:\n%s", label, err, says, out)
		}
	}
	s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted", "mooring.dev/mode=Audit")
}

// TestPolicyStatus checks what kubectl get shows of a policy.
func TestPolicyStatus(t *testing.T) {
	s := newShell(t)
	s.mustWith(`
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: NAMESPACE}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}, exclude: {namespaces: [nowhere]}}
  profile: restricted
  exceptions: [{rule: scale-down, checks: [to-zero], reason: it sleeps at night}]
  rules: {spread: {action: Deny}}
`, "apply", "-f", "-")
	t.Cleanup(func() { _, _ = s.try("", "delete", "statefulpolicy", s.namespace) })
	s.must("wait", "statefulpolicy/"+s.namespace, "--for=jsonpath={.status.conditions[0].reason}=Missing", "--timeout=60s")
	out := s.must("get", "spol", s.namespace, "-o", "wide")
	for _, want := range []string{"PROFILE", "restricted", `["scale-down/to-zero"]`, `["spread"]`, "False", "namespace nowhere does not exist"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	s.must("patch", "statefulpolicy", s.namespace, "--type=merge", "-p", `{"spec":{"match":{"exclude":null}}}`)
	s.must("wait", "statefulpolicy/"+s.namespace, "--for=condition=Ready", "--timeout=60s")
}

// TestBypassOfAGroup checks that a bypass on the leader counts for a zone that follows it, if a policy names the label.
func TestBypassOfAGroup(t *testing.T) {
	t.Parallel()
	s := newShell(t)
	grouped := func(name string) string {
		return strings.Replace(statefulSet("replicas: 3"), "{name: db, namespace: NAMESPACE}",
			"{name: "+name+", namespace: NAMESPACE, labels: {rollout-group: ingester}}", 1)
	}
	s.mustWith(service+"---"+grouped("db"), "apply", "-f", "-")
	s.settled(3)
	s.must("create", "rolebinding", "rollout-operator", "--clusterrole=edit", "--serviceaccount="+s.namespace+":rollout-operator")
	operator := "--as=system:serviceaccount:" + s.namespace + ":rollout-operator"
	scale := []string{operator, "scale", "statefulset", "db", "--replicas=1"}
	s.mustWith("{apiVersion: v1, kind: Service, metadata: {name: leader, namespace: NAMESPACE}, spec: {clusterIP: None, selector: {app: leader}}}", "create", "-f", "-")
	s.mustWith(strings.ReplaceAll(strings.ReplaceAll(grouped("leader"), "app: db", "app: leader"), "serviceName: db", "serviceName: leader"), "apply", "-f", "-")
	s.must("annotate", "statefulset", "leader", "mooring.dev/bypass=scale-down", "mooring.dev/bypass-reason=the zones shrink")
	s.refused([]string{"scale-down/quorum"}, scale...)
	s.mustWith("{apiVersion: mooring.dev/v1alpha1, kind: StatefulPolicy, metadata: {name: NAMESPACE}, spec: {bypassGroupLabel: rollout-group, match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}}}", "apply", "-f", "-")
	t.Cleanup(func() { s.must("delete", "statefulpolicy", s.namespace) })
	s.must("wait", "statefulpolicy", s.namespace, "--for=condition=Ready", "--timeout=60s")
	s.refused([]string{"scale-down/quorum", "lacks the verb bypass"}, scale...)
	s.must("create", "rolebinding", "rollout-operator-bypass", "--clusterrole=mooring-bypass", "--serviceaccount="+s.namespace+":rollout-operator")
	s.eventually(append(scale, "--dry-run=server"), "bypassed on StatefulSet leader: the zones shrink")
	s.must(scale...)
}

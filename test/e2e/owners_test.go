package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/test/harness"
)

// defined is a CustomResourceDefinition of namespaced custom resources that take anything, with these lines for its version.
func defined(group, kind string, lines ...string) string {
	name := strings.ToLower(kind)
	return fmt.Sprintf(`---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[2]ss.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {kind: %[3]s, plural: %[2]ss, singular: %[2]s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    %[4]s
`, group, name, kind, strings.Join(lines, "\n    "))
}

// define applies the definitions and waits until the API server serves them.
func (s shell) define(definitions ...string) {
	s.Helper()
	all := strings.Join(definitions, "")
	s.mustWith(all, "apply", "-f", "-")
	s.mustWith(all, "wait", "-f", "-", "--for=condition=Established", "--timeout=60s")
}

// owner makes a custom resource and returns the reference of what it owns.
func (s shell) owner(group, kind, name, spec, owners string) string {
	s.Helper()
	s.mustWith(fmt.Sprintf("{apiVersion: %s/v1, kind: %s, metadata: {name: %s, namespace: NAMESPACE, ownerReferences: [%s]}, spec: %s}", group, kind, name, owners, spec), "create", "-f", "-")
	uid := strings.TrimSpace(s.must("get", strings.ToLower(kind)+"s."+group, name, "-o", "jsonpath={.metadata.uid}"))
	return fmt.Sprintf("{apiVersion: %s/v1, kind: %s, name: %s, uid: %s, controller: true, blockOwnerDeletion: true}", group, kind, name, uid)
}

// ownedSet is the StatefulSet db with an owner.
func ownedSet(owner string, lines ...string) string {
	return service + "---" + strings.Replace(statefulSet(lines...), "name: db, namespace", "ownerReferences: ["+owner+"], name: db, namespace", 1)
}

const claimsGo = "persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}"

// bound waits until this many claims are bound.
func (s shell) bound() {
	s.Helper()
	s.must("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
}

// eventuallyRefused runs kubectl until it is refused and says this: a new owner is known a moment after it has something to lose.
func (s shell) eventuallyRefused(want string, args ...string) time.Duration {
	s.Helper()
	began := time.Now()
	var out string
	for time.Since(began) < harness.Patience {
		var err error
		if out, err = s.try("", args...); err != nil && strings.Contains(out, want) {
			return time.Since(began)
		}
	}
	s.Fatalf("kubectl %s was never refused with %q:\n%s", strings.Join(args, " "), want, out)
	return 0
}

// TestOwnerDelete checks that a custom resource which owns data, and its CustomResourceDefinition, are not deleted by accident, and who may.
func TestOwnerDelete(t *testing.T) {
	const group = "owner.example.com"
	s := newShell(t)
	s.define(defined(group, "Store", "subresources: {status: {}}"))
	ref := s.owner(group, "Store", "db", "{}", "")
	s.mustWith(ownedSet(ref, "replicas: 3", claimsGo), "apply", "-f", "-")
	s.settled(3)
	s.bound()
	remove := []string{"delete", "store", "db", "--dry-run=server"}
	s.eventuallyRefused("owner-delete/data: Deleting Store db deletes StatefulSet db and 3 claims (data-db-0, data-db-1 and data-db-2; 3Gi)", remove...)
	s.refused([]string{"owner-delete/data", "in namespace " + s.namespace}, "delete", "crd", "stores."+group, "--dry-run=server")
	s.refused([]string{"owner-delete/data"}, append(remove, "--cascade=foreground")...)
	s.refused([]string{"owner-delete/data"}, "delete", "--raw=/apis/"+group+"/v1/namespaces/"+s.namespace+"/stores?dryRun=All")
	// Nothing that it owns goes.
	if out := s.must(append(remove, "--cascade=orphan")...); strings.Contains(out, "Warning") {
		t.Errorf("a delete that orphans is warned of:\n%s", out)
	}

	for _, account := range []string{"operator", "deployer", "tool"} {
		s.must("create", "serviceaccount", account)
	}
	s.must("create", "role", "edit", "--verb=*", "--resource=stores."+group)
	s.must("create", "rolebinding", "edit", "--role=edit", "--serviceaccount="+s.namespace+":operator", "--serviceaccount="+s.namespace+":deployer")
	s.must("create", "role", "operator", "--verb=update", "--resource=stores."+group+"/status")
	s.must("create", "rolebinding", "operator", "--role=operator", "--serviceaccount="+s.namespace+":operator")
	s.must("create", "clusterrolebinding", s.namespace, "--clusterrole=cluster-admin", "--serviceaccount="+s.namespace+":tool")
	t.Cleanup(func() { s.must("delete", "clusterrolebinding", s.namespace) })
	as := func(account string) []string {
		return append(remove, "--as=system:serviceaccount:"+s.namespace+":"+account)
	}
	if out := s.must(as("operator")...); !strings.Contains(out, "Warning: owner-delete/data") {
		t.Errorf("its operator is told %q", out)
	}
	s.refused([]string{"owner-delete/data"}, as("deployer")...)
	s.refused([]string{"owner-delete/data"}, as("tool")...)

	// Once the claims stay, only members would be lost.
	s.must("patch", "statefulset", "db", "-p", `{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}`)
	s.eventually([]string{"get", "pvc", "data-db-2", "-o", "go-template={{if .metadata.ownerReferences}}owned{{else}}free{{end}}"}, "free")
	if out := s.must(remove...); !strings.Contains(out, "Warning: owner-delete/members") || !strings.Contains(out, "stops 3 ready Pods") {
		t.Errorf("who stops three members is told %q", out)
	}
	s.must("label", "namespace", s.namespace, "mooring.dev/profile=restricted")
	s.refused([]string{"owner-delete/members"}, remove...)
	s.must("annotate", "store", "db", "mooring.dev/bypass=owner-delete", "mooring.dev/bypass-reason=it moves")
	if out := s.must("delete", "store", "db"); !strings.Contains(out, "bypassed: it moves") {
		t.Errorf("the bypass is not mentioned:\n%s", out)
	}
	s.must("wait", "statefulset/db", "--for=delete", "--timeout=60s")
}

// TestOwnersOfOwners checks that Mooring follows owners that it may read, and that claims which a custom resource owns itself go with it.
func TestOwnersOfOwners(t *testing.T) {
	const group = "above.example.com"
	s := newShell(t)
	s.define(defined(group, "Cluster"), defined(group, "Datacenter"), defined(group, "Fleet"))
	cluster := s.owner(group, "Cluster", "db", "{}", "")
	datacenter := s.owner(group, "Datacenter", "db", "{}", cluster)
	s.mustWith(ownedSet(datacenter, "replicas: 1"), "apply", "-f", "-")
	s.settled(1)
	s.bound()
	s.adopt("pvc", "data-db-0", datacenter)
	s.eventuallyRefused("owner-delete/data: Deleting Datacenter db deletes StatefulSet db and 1 claim (data-db-0; 1Gi)", "delete", "datacenter", "db", "--dry-run=server")
	if out := s.must("delete", "clusters."+group, "db", "--dry-run=server"); strings.Contains(out, "Warning") {
		t.Errorf("an owner above one that cannot be read is judged:\n%s", out)
	}
	s.mustWith(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: e2e-above, labels: {mooring.dev/aggregate-to-owners: "true"}}
rules: [{apiGroups: [above.example.com], resources: [datacenters], verbs: [get]}]
`, "apply", "-f", "-")
	// What may be read now is looked at when the next owner comes.
	other := strings.Replace(statefulSet("replicas: 0"), "name: db, namespace", "ownerReferences: ["+s.owner(group, "Datacenter", "other", "{}", "")+"], name: other, namespace", 1)
	s.mustWith(other, "apply", "-f", "-")
	s.eventuallyRefused("owner-delete/data: Deleting Cluster db deletes ", "delete", "clusters."+group, "db", "--dry-run=server")

	// Two owners of one kind.
	region := s.owner(group, "Datacenter", "region", "{}", "")
	s.adopt("datacenter", "db", cluster, strings.ReplaceAll(region, "controller: true, ", ""))
	if out := s.must("delete", "datacenter", "region", "--dry-run=server"); strings.Contains(out, "Warning") {
		t.Errorf("one owner of two is judged as all:\n%s", out)
	}
	s.adopt("datacenter", "db", region)
	// Mooring remembers for a minute who owns a custom resource.
	s.eventuallyRefused("owner-delete/data: Deleting Datacenter region deletes ", "delete", "datacenter", "region", "--dry-run=server")

	// Nothing but a look tells of an owner that comes later, of a kind that owned nothing before.
	s.adopt("datacenter", "region", s.owner(group, "Fleet", "all", "{}", ""))
	s.eventuallyRefused("owner-delete/data: Deleting Fleet all deletes ", "delete", "fleet", "all", "--dry-run=server")
}

// adopt gives an object these owners in place of those that it has.
func (s shell) adopt(kind, name string, owners ...string) {
	s.Helper()
	patch, err := yaml.YAMLToJSON([]byte("metadata: {ownerReferences: [" + strings.Join(owners, ", ") + "]}"))
	if err != nil {
		s.Fatal(err)
	}
	s.must("patch", kind, name, "--type=merge", "-p", string(patch))
}

// TestDefinitionsTakeAllAlong holds what owner-delete rests on: a CustomResourceDefinition takes its custom resources along, and these
// what they own, even where the delete is to orphan.
func TestDefinitionsTakeAllAlong(t *testing.T) {
	const group = "orphan.example.com"
	s := newShell(t, "mooring.dev/profile=off")
	s.define(defined(group, "Store"))
	s.mustWith(ownedSet(s.owner(group, "Store", "db", "{}", ""), "replicas: 1"), "apply", "-f", "-")
	s.settled(1)
	// The garbage collector looks for new kinds every half minute.
	s.mustWith("{apiVersion: v1, kind: ConfigMap, metadata: {name: canary, namespace: NAMESPACE, ownerReferences: ["+s.owner(group, "Store", "canary", "{}", "")+"]}}", "create", "-f", "-")
	s.must("delete", "store", "canary")
	s.must("wait", "configmap/canary", "--for=delete", "--timeout=90s")
	s.must("delete", "crd", "stores."+group, "--cascade=orphan")
	s.must("wait", "statefulset/db", "--for=delete", "--timeout=60s")
}

// TestOnlyOwnersAreAsked makes and deletes 1,000 custom resources of 47 kinds that own nothing, beside three kinds that own data: the API
// server asks about none of them.
func TestOnlyOwnersAreAsked(t *testing.T) {
	const group, kinds, owning, resources = "many.example.com", 50, 3, 1000
	s := newShell(t)
	var definitions []string
	for i := range kinds {
		definitions = append(definitions, defined(group, fmt.Sprintf("Kind%d", i)))
	}
	s.define(definitions...)
	for i := range owning {
		kind := fmt.Sprintf("Kind%d", i)
		name := fmt.Sprintf("db%d", i)
		set := strings.Replace(ownedSet(s.owner(group, kind, name, "{}", ""), "replicas: 0"), "], name: db, namespace", "], name: "+name+", namespace", 1)
		began := time.Now()
		s.mustWith(set, "apply", "-f", "-")
		s.mustWith(fmt.Sprintf("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-%s-0, namespace: NAMESPACE, ownerReferences: [%s]}, "+
			"spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}", name, strings.ReplaceAll(s.owner(group, kind, name+"-claims", "{}", ""), "controller: true, ", "")), "apply", "-f", "-")
		s.must("wait", "pvc/data-"+name+"-0", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
		s.eventuallyRefused("owner-delete/data", "delete", strings.ToLower(kind), name+"-claims", "--dry-run=server")
		t.Logf("%s: deletes are judged %.1f s after its first StatefulSet was applied", kind, time.Since(began).Seconds())
	}
	client, err := dynamic.NewForConfig(restConfig(t, cluster.Kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	asked := func() float64 {
		t.Helper()
		return s.calls(`name="owners.mooring.dev"`)
	}
	before := asked()
	if before == 0 {
		t.Error("the API server has not asked about an owner yet")
	}
	for i := range resources {
		kind := owning + i%(kinds-owning)
		of := client.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: fmt.Sprintf("kind%ds", kind)}).Namespace(s.namespace)
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": group + "/v1", "kind": fmt.Sprintf("Kind%d", kind)}}
		o.SetName(fmt.Sprintf("r%d", i))
		if _, err := of.Create(t.Context(), o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := of.Delete(t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	s.must("delete", "crd", "kind49s."+group)
	if n := asked() - before; n != 0 {
		t.Errorf("the API server asked %v times about %d custom resources that own nothing", n, resources)
	}
}

// calls is how often the API server has called the webhooks whose metrics have these labels.
func (s shell) calls(labels string) float64 {
	s.Helper()
	var sum float64
	for line := range strings.Lines(s.must("get", "--raw=/metrics")) {
		if !strings.HasPrefix(line, "apiserver_admission_webhook_request_total{") || !strings.Contains(line, labels) {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' '):], &value); err != nil {
			s.Fatal(err)
		}
		sum += value
	}
	return sum
}

// TestOwnersGoWithMooring checks that the configuration belongs to Mooring's namespace, as the others do.
func TestOwnersGoWithMooring(t *testing.T) {
	out, err := cluster.Run(context.Background(), cluster.Kubeconfig, "", "wait", "validatingwebhookconfiguration/mooring-owners",
		"--for=jsonpath={.metadata.ownerReferences[0].kind}=Namespace", "--timeout=60s")
	if err != nil {
		t.Error(out)
	}
}

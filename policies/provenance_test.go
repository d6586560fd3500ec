package policies_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// managed returns the API server's managedFields entry for a manager.
func managed(manager string, apply bool, fields string) []metav1.ManagedFieldsEntry {
	entry := metav1.ManagedFieldsEntry{
		Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "apps/v1",
		FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
	}
	if apply {
		entry.Operation = metav1.ManagedFieldsOperationApply
	}
	return []metav1.ManagedFieldsEntry{entry}
}

// TestProvenance covers every way in which a client can write, or not write, a partition that equals the API server's default.
func TestProvenance(t *testing.T) {
	const (
		spokeManifest = `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`
		otherManifest = `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":1}}}}`
		nullManifest  = `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":null}}}}`
		spokeFields   = `{"f:spec":{"f:updateStrategy":{"f:rollingUpdate":{".":{},"f:partition":{}}}}}`
		otherFields   = `{"f:spec":{"f:replicas":{}}}`
		everyField    = `{"f:spec":{"f:selector":{},"f:updateStrategy":{"f:rollingUpdate":{".":{},"f:partition":{}}}}}`
	)
	for name, test := range map[string]struct {
		create bool
		// lastApplied and lastAppliedBefore are the values of that annotation after and before the request.
		lastApplied, lastAppliedBefore string
		annotations                    map[string]string
		managed                        [][]metav1.ManagedFieldsEntry
		meant                          bool
	}{
		"kubectl create": {
			create:  true,
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-create", false, everyField)},
		},
		"first kubectl apply that sets the field": {
			create: true, lastApplied: spokeManifest,
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-client-side-apply", false, everyField)},
			meant:   true,
		},
		"first kubectl apply that omits the field": {
			create: true, lastApplied: otherManifest,
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-client-side-apply", false, everyField)},
		},
		"first kubectl apply that sets null": {
			create: true, lastApplied: nullManifest,
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-client-side-apply", false, everyField)},
		},
		"first server-side apply that sets the field": {
			create: true, managed: [][]metav1.ManagedFieldsEntry{managed("flux", true, spokeFields)}, meant: true,
		},
		"first server-side apply that omits the field": {
			create: true, managed: [][]metav1.ManagedFieldsEntry{managed("flux", true, otherFields)},
		},

		"kubectl apply that sets the field": {
			lastApplied: spokeManifest, lastAppliedBefore: otherManifest, meant: true,
		},
		"kubectl apply that removes the field": {
			lastApplied: otherManifest, lastAppliedBefore: spokeManifest,
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-client-side-apply", false, spokeFields)},
		},
		"an apply that set the field in an earlier request": {
			lastApplied: spokeManifest, lastAppliedBefore: spokeManifest, meant: true,
		},
		"server-side apply that sets the field": {
			managed: [][]metav1.ManagedFieldsEntry{managed("flux", true, spokeFields)}, meant: true,
		},
		"server-side apply that omits the field": {
			managed: [][]metav1.ManagedFieldsEntry{managed("flux", true, otherFields), managed("kubectl-create", false, everyField)},
		},
		"another manager's server-side apply that sets the field": {
			managed: [][]metav1.ManagedFieldsEntry{managed("flux", true, spokeFields), managed("kubectl-scale", false, otherFields)},
			meant:   true,
		},

		"an edit that moved the value to the API's default": {
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-create", false, `{"f:spec":{"f:selector":{}}}`), managed("kubectl-patch", false, spokeFields)},
			meant:   true,
		},
		"an edit of something else": {
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-create", false, everyField), managed("kubectl-patch", false, otherFields)},
		},
		"a replaced manifest that omits the field": {
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-create", false, otherFields), managed("kubectl-replace", false, spokeFields)},
		},
		"a request after another's edit": {
			managed: [][]metav1.ManagedFieldsEntry{managed("terraform", false, otherFields), managed("kubectl-edit", false, spokeFields)},
			meant:   true,
		},
		"a request after an edit by the same manager": {
			managed: [][]metav1.ManagedFieldsEntry{managed("kubectl-edit", false, spokeFields)}, meant: true,
		},
		"the status of a controller": {
			managed: [][]metav1.ManagedFieldsEntry{{{
				Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "status",
				FieldsV1: metav1.NewFieldsV1(spokeFields),
			}}},
		},
		"entries that cannot be read": {
			lastApplied: `{"spec":`,
			managed:     [][]metav1.ManagedFieldsEntry{managed("flux", true, `{"f:spec":`), {{Manager: "x", Operation: "Apply"}}},
		},

		"keep names the rule": {
			create: true, annotations: map[string]string{policies.KeepAnnotation: "retention-policy, update-strategy"}, meant: true,
		},
		"keep names another rule": {
			create: true, annotations: map[string]string{policies.KeepAnnotation: "retention-policy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ch := change(t, "kind: StatefulSet", "kind: StatefulSet")
			if test.create {
				ch = change(t, "", "kind: StatefulSet")
			}
			annotate(ch.New, test.annotations)
			annotate(ch.New, lastApplied(test.lastApplied))
			annotate(ch.Old, lastApplied(test.lastAppliedBefore))
			var entries []metav1.ManagedFieldsEntry
			for _, e := range test.managed {
				entries = append(entries, e...)
			}
			ch.New.SetManagedFields(entries)

			set := only(t, policy(t, "a", "rules: {updateStrategy: {action: Deny, default: {partition: 3}}}"))
			filled, err := set.Default(ch, policies.Snapshot{Complete: true})
			if err != nil {
				t.Fatal(err)
			}
			if injected := len(filled.Fields) > 0; injected == test.meant {
				t.Errorf("meant is %t, and injected %v", test.meant, filled.Fields)
			}
		})
	}
}

func lastApplied(manifest string) map[string]string {
	if manifest == "" {
		return nil
	}
	return map[string]string{corev1.LastAppliedConfigAnnotation: manifest}
}

func annotate(o kinds.Object, with map[string]string) {
	if o == nil {
		return
	}
	all := o.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range with {
		all[k] = v
	}
	o.SetAnnotations(all)
}

// TestSameManifestSameObject applies a manifest repeatedly with clients that do not record what they send. Each time must have the
// result of the first.
func TestSameManifestSameObject(t *testing.T) {
	const every = `{"f:spec":{"f:selector":{},"f:persistentVolumeClaimRetentionPolicy":{"f:whenScaled":{}},"f:updateStrategy":{"f:rollingUpdate":{".":{},"f:partition":{}}}}}`
	set := only(t, policy(t, "a", "rules: {updateStrategy: {action: Deny, default: {partition: 3}}, retentionPolicy: {action: Deny, default: {whenScaled: Delete}}}"))
	for name, test := range map[string]struct {
		manifest, manager string
		// patches means that the client sends only what differs from its last manifest or from the cluster, and only fields that it
		// wrote.
		patches bool
	}{
		"Helm without server-side apply, with the API's defaults": {
			"{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 0}}, persistentVolumeClaimRetentionPolicy: {whenScaled: Retain}}}", "helm", false,
		},
		"Helm without server-side apply, without the fields":    {"kind: StatefulSet", "helm", true},
		"Helm without server-side apply, with other values":     {"{kind: StatefulSet, spec: {updateStrategy: {rollingUpdate: {partition: 1}}}}", "helm", false},
		"kubectl create and replace":                            {"kind: StatefulSet", "kubectl-replace", false},
		"an operator's client that sends the object every time": {"kind: StatefulSet", "manager", false},
	} {
		t.Run(name, func(t *testing.T) {
			var stored, first kinds.Object
			for i := range 4 {
				ch := change(t, "", test.manifest)
				if stored != nil {
					ch.Operation, ch.Old = "UPDATE", stored
					if test.patches {
						ch.New = stored.DeepCopyObject().(kinds.Object)
					}
				}
				ch.New.SetManagedFields(managed(test.manager, false, every))
				filled, err := set.Default(ch, policies.Snapshot{Complete: true})
				if err != nil {
					t.Fatal(err)
				}
				if stored = patched(t, ch.New, filled); first == nil {
					first = stored
				}
				if diff := cmp.Diff(first, stored); diff != "" {
					t.Fatalf("apply %d makes another object (-first +now):\n%s", i+1, diff)
				}
			}
		})
	}
}

// FuzzProvenance checks that what a client records about its intent can prevent a default, and nothing else.
func FuzzProvenance(f *testing.F) {
	f.Add(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`, `{"f:spec":{"f:updateStrategy":{}}}`, "", true)
	f.Add(`{"spec":null}`, `null`, "update-strategy", false)
	f.Add(`[]`, `{"f:spec":[{}],"f:spec":{"f:updateStrategy":1}}`, ",,", true)
	f.Add(strings.Repeat(`{"spec":`, 20000), strings.Repeat("[", 20000), "\x00", false)
	f.Fuzz(func(t *testing.T, lastApplied, fields, keep string, apply bool) {
		ch := change(t, "kind: StatefulSet", "kind: StatefulSet")
		ch.New.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: lastApplied, policies.KeepAnnotation: keep})
		ch.New.SetManagedFields(managed("kubectl", apply, fields))
		before := ch.New.DeepCopyObject()
		set := only(t, policy(t, "a", "rules: {updateStrategy: {action: Deny, default: {partition: 3}}}"))
		filled, err := set.Default(ch, policies.Snapshot{Complete: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, ch.New); diff != "" {
			t.Errorf("the request's object was changed:\n%s", diff)
		}
		if n := len(filled.Fields); n != len(filled.Patch) || n > 1 {
			t.Errorf("want the one default or none: %+v", filled)
		}
		if _, err := json.Marshal(filled.Patch); err != nil {
			t.Errorf("the patch cannot be written: %v", err)
		}
	})
}

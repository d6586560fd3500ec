package webhooks

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
)

// TestAdvanced checks that an Advanced StatefulSet is judged as a StatefulSet if both sides of the change convert to one.
func TestAdvanced(t *testing.T) {
	const set = "apiVersion: apps.kruise.io/v1beta1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\n"
	for name, test := range map[string]struct {
		old, new  string
		converted bool
		reserves  bool
	}{
		"an update": {
			set + "spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 1, paused: true, podUpdatePolicy: InPlaceOnly}}, lifecycle: {preDelete: {}}}",
			set + "spec: {replicas: 1}", true, false,
		},
		"a delete":                                {set + "spec: {replicas: 3, scaleStrategy: {maxUnavailable: 50%}}", "", true, false},
		"reserved ordinals":                       {set + "spec: {replicas: 3, reserveOrdinals: [1]}", set + "spec: {replicas: 2}", true, true},
		"an update that reserves ordinals":        {set + "spec: {replicas: 3}", set + `spec: {replicas: 2, reserveOrdinals: ["1-2"]}`, true, true},
		"an annotation does not reserve ordinals": {set + "spec: {replicas: 3}", strings.Replace(set, "name: db", "name: db, annotations: {mooring.dev/reserves-ordinals: \"true\"}", 1) + "spec: {replicas: 2}", true, false},
		"an empty list of reserved ordinals":      {set + "spec: {replicas: 3, reserveOrdinals: []}", set + "spec: {replicas: 2}", true, false},
		"a field of another type, before":         {set + "spec: {replicas: many}", set + "spec: {replicas: 2}", false, false},
		"a field of another type, after":          {set + "spec: {replicas: 3}", set + "spec: {replicas: [2]}", false, false},
		"kind StatefulSet of another API group":   {"apiVersion: db.example.com/v1\nkind: StatefulSet\nspec: {replicas: 3}", "", false, false},
		"another kind of OpenKruise":              {"apiVersion: apps.kruise.io/v1\nkind: CloneSet\nspec: {replicas: 3}", "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			ch := &policies.Change{Old: custom(t, test.old), New: custom(t, test.new)}
			advanced(ch)
			older, ok := ch.Old.(*appsv1.StatefulSet)
			reserves := kinds.ReservesOrdinals(ch.Old) || ch.New != nil && kinds.ReservesOrdinals(ch.New)
			if ok != test.converted || reserves != test.reserves {
				t.Fatalf("converted: %v, reserves ordinals: %v; want %v, %v", ok, reserves, test.converted, test.reserves)
			}
			if _, ok := ch.New.(*appsv1.StatefulSet); ch.New != nil && ok != test.converted {
				t.Error("one side is a StatefulSet, the other is not")
			}
			if ok && (*older.Spec.Replicas != 3 || older.GroupVersionKind().GroupKind() != kinds.Advanced.GroupKind()) {
				t.Errorf("it has become %v with %d replicas", older.GroupVersionKind(), *older.Spec.Replicas)
			}
		})
	}
}

func custom(t *testing.T, text string) kinds.Object {
	t.Helper()
	if text == "" {
		return nil
	}
	o := &kinds.Custom{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

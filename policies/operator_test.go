package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mooring-dev/mooring/policies"
)

// custom is the custom resource MySQL shop/db with this UID, Terminating or not.
func custom(uid string, going bool) metav1.PartialObjectMetadata {
	o := metav1.PartialObjectMetadata{}
	o.Name, o.Namespace, o.UID = "db", "shop", types.UID(uid)
	if going {
		o.DeletionTimestamp = &metav1.Time{Time: now}
	}
	return o
}

// ownedBy is a StatefulSet with that many replicas and, if controller is set, this controller.
func ownedBy(group, kind, uid string, controller bool, replicas int) string {
	owners := ""
	if uid != "" {
		owners = fmt.Sprintf("ownerReferences: [{apiVersion: %s, kind: %s, name: db, uid: %s, controller: %t}]", group, kind, uid, controller)
	}
	return fmt.Sprintf("{kind: StatefulSet, metadata: {%s}, spec: {replicas: %d}}", owners, replicas)
}

func TestOperators(t *testing.T) {
	const mysql, operator, person = "mysql.example.com/v1", "system:serviceaccount:mysql:operator", "ada"
	mine := func(replicas int) string { return ownedBy(mysql, "MySQL", "u", true, replicas) }
	for name, test := range map[string]struct {
		spec         string
		older, newer string
		user         string
		cluster      policies.Snapshot
		want         string
		note         string
	}{
		"its operator":                        {older: mine(3), newer: mine(0), user: operator, want: "Warn", note: "mysql:operator operates MySQL db"},
		"a person":                            {older: mine(3), newer: mine(0), user: person, want: "Deny"},
		"a person who may update the status":  {older: mine(3), newer: mine(0), user: "root", want: "Deny"},
		"no user":                             {older: mine(3), newer: mine(0), want: "Deny"},
		"a policy with operatorOwned Enforce": {spec: "operatorOwned: Enforce", older: mine(3), newer: mine(0), user: operator, want: "Deny"},
		"a policy in mode Audit":              {spec: "mode: Audit", older: mine(3), newer: mine(0), user: operator, want: "Audit"},
		"an account that may not update the status": {
			older: mine(3), newer: mine(0), user: operator, want: "Deny",
			cluster: policies.Snapshot{Complete: true, Owners: []metav1.PartialObjectMetadata{custom("u", false)}},
		},
		"an owner that does not exist": {
			older: mine(3), newer: mine(0), user: operator, want: "Deny",
			cluster: policies.Snapshot{Complete: true, Operates: []string{"MySQL"}},
		},
		"an owner of another UID": {
			older: mine(3), newer: mine(0), user: operator, want: "Deny",
			cluster: policies.Snapshot{Complete: true, Operates: []string{"MySQL"}, Owners: []metav1.PartialObjectMetadata{custom("other", false)}},
		},
		"its operator, when the owner cannot be read": {older: mine(3), newer: mine(0), user: operator, want: "Warn", note: "it is unknown", cluster: policies.Snapshot{Owners: nil, Operates: []string{"-"}}},
		"a person, when the owner cannot be read":     {older: mine(3), newer: mine(0), user: person, want: "Deny", cluster: policies.Snapshot{Operates: []string{"-"}}},
		"listed in the policy": {
			spec: "operators: [mysql/operator]", older: mine(3), newer: mine(0), user: operator, want: "Warn", note: "lists mysql:operator",
			cluster: policies.Snapshot{Complete: true, Owners: []metav1.PartialObjectMetadata{custom("u", false)}},
		},
		"listed, and the owner does not exist": {
			spec: "operators: [mysql/operator]", older: mine(3), newer: mine(0), user: operator, want: "Deny",
			cluster: policies.Snapshot{Complete: true, Operates: []string{"-"}},
		},
		"another is listed": {
			spec: "operators: [mysql/backup]", older: mine(3), newer: mine(0), user: operator, want: "Deny",
			cluster: policies.Snapshot{Complete: true, Owners: []metav1.PartialObjectMetadata{custom("u", false)}},
		},
		"an owner that the request adds":     {older: ownedBy("", "", "", false, 3), newer: mine(0), user: operator, want: "Deny"},
		"an owner that the request removes":  {older: mine(3), newer: ownedBy("", "", "", false, 0), user: operator, want: "Deny"},
		"an owner that is not a controller":  {older: ownedBy(mysql, "MySQL", "u", false, 3), newer: ownedBy(mysql, "MySQL", "u", false, 0), user: operator, want: "Deny"},
		"a built-in owner":                   {older: ownedBy("apps/v1", "MySQL", "u", true, 3), newer: ownedBy("apps/v1", "MySQL", "u", true, 0), user: operator, want: "Deny"},
		"an owner of the Kubernetes project": {older: ownedBy("gateway.networking.k8s.io/v1", "MySQL", "u", true, 3), newer: ownedBy("gateway.networking.k8s.io/v1", "MySQL", "u", true, 0), user: operator, want: "Deny"},
		"an owner under x-k8s.io":            {older: ownedBy("leaderworkerset.x-k8s.io/v1", "MySQL", "u", true, 3), newer: ownedBy("leaderworkerset.x-k8s.io/v1", "MySQL", "u", true, 0), user: operator, want: "Warn", note: "operates"},
		"an unreadable owner":                {older: ownedBy("a/b/c", "MySQL", "u", true, 3), newer: ownedBy("a/b/c", "MySQL", "u", true, 0), user: operator, want: "Deny"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.cluster.Owners == nil && test.cluster.Operates == nil {
				test.cluster = policies.Snapshot{Complete: true, Operates: []string{"MySQL"}, Owners: []metav1.PartialObjectMetadata{custom("u", false)}}
			}
			set := only(t, policy(t, "a", test.spec+"\nrules: {scaleDown: {action: Deny}}"))
			ch := change(t, test.older, test.newer)
			ch.User.Username = test.user
			verdict, err := set.Judge(ch, test.cluster)
			if err != nil || len(verdict.Findings) == 0 {
				t.Fatalf("want a finding: %v, %v", verdict, err)
			}
			f := verdict.Findings[0]
			if string(f.Action) != test.want || !strings.Contains(f.Note, test.note) {
				t.Errorf("the action is %s with the note %q, want %s and %q", f.Action, f.Note, test.want, test.note)
			}
		})
	}
}

// TestProtectedHoldsAgainstOperators checks that the protect label also holds against operators.
func TestProtectedHoldsAgainstOperators(t *testing.T) {
	set := only(t, policy(t, "a", "rules: {deleteProtection: {action: Deny}}"))
	ch := change(t, `{kind: StatefulSet, metadata: {labels: {mooring.dev/protect: "true"}, ownerReferences: [{apiVersion: mysql.example.com/v1, kind: MySQL, name: db, uid: u, controller: true}]}}`, "")
	ch.User.Username = "system:serviceaccount:mysql:operator"
	c := policies.Snapshot{Complete: true, Operates: []string{"MySQL"}, Owners: []metav1.PartialObjectMetadata{custom("u", false)}}
	if diff := cmp.Diff([]string{"delete-protection/protected:Deny@a"}, judge(t, set, ch, c)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestFinishing checks that anyone may scale down and empty what is already being deleted.
func TestFinishing(t *testing.T) {
	const going = "metadata: {deletionTimestamp: '2026-03-01T11:00:00Z', finalizers: [x/y]}"
	mine := func(replicas int) string { return ownedBy("mysql.example.com/v1", "MySQL", "u", true, replicas) }
	plain := func(replicas int) string { return ownedBy("", "", "", false, replicas) }
	for name, test := range map[string]struct {
		older, newer string
		around       []string
		owners       []metav1.PartialObjectMetadata
		want         string
	}{
		"nothing is being deleted": {older: plain(3), newer: plain(0), want: "Deny"},
		"the namespace is being deleted": {
			older: plain(3), newer: plain(0), around: []string{"{kind: Namespace, metadata: {name: shop, deletionTimestamp: '2026-03-01T11:00:00Z'}}"}, want: "Warn",
		},
		"the StatefulSet is being deleted":                {older: "{kind: StatefulSet, " + going + "}", newer: "{kind: StatefulSet, " + going + ", spec: {replicas: 0}}", want: "Warn"},
		"its owner is being deleted":                      {older: mine(3), newer: mine(0), owners: []metav1.PartialObjectMetadata{custom("u", true)}, want: "Warn"},
		"its owner is not being deleted":                  {older: mine(3), newer: mine(0), owners: []metav1.PartialObjectMetadata{custom("u", false)}, want: "Deny"},
		"its owner is gone":                               {older: mine(3), newer: mine(0), want: "Deny"},
		"an owner that the request adds is being deleted": {older: plain(3), newer: mine(0), owners: []metav1.PartialObjectMetadata{custom("u", true)}, want: "Deny"},
		"the claim of a StatefulSet whose owner is being deleted": {
			older: "{kind: PersistentVolumeClaim, metadata: {name: data-db-0}}", around: []string{mine(3)}, owners: []metav1.PartialObjectMetadata{custom("u", true)},
		},
		"the claim of a StatefulSet whose owner is not being deleted": {
			older: "{kind: PersistentVolumeClaim, metadata: {name: data-db-0}}", around: []string{mine(3)}, owners: []metav1.PartialObjectMetadata{custom("u", false)}, want: "Deny",
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := only(t, policy(t, "a", "rules: {scaleDown: {action: Deny}, deleteProtection: {action: Deny}}"))
			ch := change(t, test.older, test.newer)
			ch.User.Username = "ada"
			c := cluster(t, test.around...)
			c.Owners = test.owners
			verdict, err := set.Judge(ch, c)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if len(verdict.Findings) > 0 {
				got = string(verdict.Findings[0].Action)
			}
			if got != test.want {
				t.Errorf("the action is %q, want %q: %+v", got, test.want, verdict)
			}
		})
	}
}

package rules

import (
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// mayAll is a cluster in which the user can do everything and Mooring can read no owner.
type mayAll struct{ policies.Snapshot }

func (mayAll) MayOperate(string, metav1.OwnerReference) (bool, bool, error) { return true, true, nil }

// TestWhoIsToldOfAnOwnerThatNobodyCanRead checks that an operator, which knows its own resource, is not warned, and that a person
// with all rights is.
func TestWhoIsToldOfAnOwnerThatNobodyCanRead(t *testing.T) {
	set := kinds.StatefulSet.New().(*appsv1.StatefulSet)
	set.Name, set.Namespace = "db", "shop"
	set.OwnerReferences = []metav1.OwnerReference{{APIVersion: "db.example.com/v1", Kind: "Database", Name: "db", UID: "1"}}
	for user, want := range map[string]int{"kubernetes-admin": 1, "system:serviceaccount:ops:db-operator": 0} {
		t.Run(user, func(t *testing.T) {
			ch := policies.Change{Operation: admissionv1.Create, New: set, User: authenticationv1.UserInfo{Username: user}}
			found, err := newOwnersExist(ch, mayAll{}, v1alpha1.LostOwner{})
			if err != nil || len(found) != want {
				t.Errorf("found %v, error %v, want %d", found, err, want)
			}
		})
	}
}

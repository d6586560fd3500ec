package audit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
)

func metav1Selector(t *testing.T, text string) labels.Selector {
	t.Helper()
	s, err := labels.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sizeGi(n int64) *quantity.Quantity { return quantity.NewQuantity(n<<30, quantity.BinarySI) }

var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// member is a Pod of the StatefulSet one, ready or not for this long.
func member(name string, ready bool, since time.Duration) *corev1.Pod {
	status := map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}[ready]
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{"app": "one"}, CreationTimestamp: ago(100 * time.Hour)},
		Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: ago(since)}}},
	}
}

func claimOf(name, volume string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, CreationTimestamp: ago(1000 * time.Hour)},
		Spec:       corev1.PersistentVolumeClaimSpec{VolumeName: volume},
	}
}

func TestObservations(t *testing.T) {
	with := func(change func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
		s := set("a", "one")
		s.Spec.Replicas, s.Status.ReadyReplicas, s.CreationTimestamp = ptr.To[int32](2), 2, ago(100*time.Hour)
		change(s)
		return s
	}
	settled := with(func(*appsv1.StatefulSet) {})
	oneDown := with(func(s *appsv1.StatefulSet) { s.Status.ReadyReplicas = 1 })
	rolling := func(change func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
		return with(func(s *appsv1.StatefulSet) {
			s.Status.CurrentRevision, s.Status.UpdateRevision, s.Status.UpdatedReplicas = "a", "b", 1
			change(s)
		})
	}
	volume := func(name string, reclaim corev1.PersistentVolumeReclaimPolicy) *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeReclaimPolicy: reclaim}}
	}
	deletes := with(func(s *appsv1.StatefulSet) {
		s.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: "Delete"}
	})
	budget := func(desired, expected int32) *policyv1.PodDisruptionBudget {
		return &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "one"},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "one"}}},
			Status:     policyv1.PodDisruptionBudgetStatus{DesiredHealthy: desired, ExpectedPods: expected},
		}
	}
	using := member("web-0", true, time.Hour)
	using.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-old-0"}}}}
	owned := claimOf("data-old-0", "")
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "Cluster", Controller: ptr.To(true)}}

	for _, c := range []struct {
		name    string
		objects []client.Object
		want    []string
	}{
		{"no problems", []client.Object{settled, claimOf("data-one-0", "v"), budget(1, 2)}, nil},
		{"a claim of a deleted StatefulSet", []client.Object{settled, claimOf("data-old-0", "")}, []string{"orphaned-claim/unused data-old-0"}},
		{"the claim of an ordinal that a scale-down removed", []client.Object{settled, claimOf("data-one-7", "")}, nil},
		{"a claim without the name of a StatefulSet's claim", []client.Object{settled, claimOf("backup", ""), claimOf("backup-2", "")}, nil},
		{"a claim that a Pod uses", []client.Object{using, claimOf("data-old-0", "")}, nil},
		{"a claim that a custom resource owns", []client.Object{owned}, nil},
		{"claims and volumes are deleted", []client.Object{deletes, claimOf("data-one-0", "v"), volume("v", "Delete")}, []string{"claim-at-risk/reclaim one"}},
		{"claims are deleted, volumes are retained", []client.Object{deletes, claimOf("data-one-0", "v"), volume("v", "Retain")}, nil},
		{"volumes are deleted only with claims that are retained", []client.Object{settled, claimOf("data-one-0", "v"), volume("v", "Delete")}, nil},
		{"a member that is down", []client.Object{oneDown, member("one-0", true, time.Hour), member("one-1", false, time.Hour)}, []string{"member-down/not-ready one"}},
		{"a member that is still starting", []client.Object{oneDown, member("one-0", true, time.Hour), member("one-1", false, time.Minute)}, nil},
		{"a member without a Pod", []client.Object{oneDown, member("one-0", true, time.Hour)}, []string{"member-down/not-ready one"}},
		{"a rollout without progress", []client.Object{rolling(func(*appsv1.StatefulSet) {}), member("one-0", true, time.Hour), member("one-1", true, time.Hour)}, []string{"stuck-rollout/no-progress one"}},
		{"a rollout that waits for a Pod", []client.Object{
			rolling(func(s *appsv1.StatefulSet) { s.Status.ReadyReplicas = 1 }), member("one-0", true, time.Hour), member("one-1", false, time.Hour),
		}, []string{"stuck-rollout/no-progress one"}},
		{"a rollout that makes progress", []client.Object{rolling(func(*appsv1.StatefulSet) {}), member("one-0", true, time.Hour), member("one-1", true, time.Second)}, nil},
		{"a rollout that a partition holds back", []client.Object{
			rolling(func(s *appsv1.StatefulSet) {
				s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To[int32](1)}
			}), member("one-0", true, time.Hour), member("one-1", true, time.Hour),
		}, nil},
		{"a rollout with update strategy OnDelete", []client.Object{
			rolling(func(s *appsv1.StatefulSet) { s.Spec.UpdateStrategy.Type = appsv1.OnDeleteStatefulSetStrategyType }),
		}, nil},
		{"a budget that allows no disruption", []client.Object{settled, budget(2, 2)}, []string{"blocked-drain/budget one"}},
		{"a protect label with an invalid value", []client.Object{with(func(s *appsv1.StatefulSet) { s.Labels[policies.ProtectLabel] = "yes" })}, []string{"protect-label/value one"}},
		{"a mistyped number of replicas", []client.Object{with(func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To[int32](1 << 30) })}, []string{"member-down/not-ready one"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, &apiServer{objects: c.objects}, Options{Now: now, StuckAfter: 5 * time.Minute})
			var got []string
			for _, f := range r.Findings {
				if rule, _ := policies.Find(rules.All, f.Rule); len(rule.On[0].Operations) == 0 || f.Rule == "protect-label" {
					got = append(got, f.ID()+" "+f.Object.Name)
					if f.Message == "" || f.Remedy == "" {
						t.Errorf("no message or no remedy: %+v", f)
					}
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

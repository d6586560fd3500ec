package kinds

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func TestNormalise(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a StatefulSet that says nothing": {
			text: "spec: {}",
			want: `spec: {replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: OrderedReady, template: {spec: {terminationGracePeriodSeconds: 30}},
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0, maxUnavailable: 1}},
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}}`,
		},
		"zero is something": {
			text: "spec: {replicas: 0, revisionHistoryLimit: 0}",
			want: `spec: {replicas: 0, revisionHistoryLimit: 0, podManagementPolicy: OrderedReady, template: {spec: {terminationGracePeriodSeconds: 30}},
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0, maxUnavailable: 1}},
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}}`,
		},
		"a rolling update without its block stays without": {
			text: "spec: {updateStrategy: {type: RollingUpdate}}",
			want: `spec: {replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: OrderedReady, template: {spec: {terminationGracePeriodSeconds: 30}},
  updateStrategy: {type: RollingUpdate},
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}}`,
		},
		"OnDelete, and half a retention policy": {
			text: "spec: {updateStrategy: {type: OnDelete}, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}",
			want: `spec: {replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: OrderedReady, template: {spec: {terminationGracePeriodSeconds: 30}},
  updateStrategy: {type: OnDelete},
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}}`,
		},
		"half a rolling update": {
			text: "spec: {updateStrategy: {rollingUpdate: {maxUnavailable: 50%}}}",
			want: `spec: {replicas: 1, revisionHistoryLimit: 10, podManagementPolicy: OrderedReady, template: {spec: {terminationGracePeriodSeconds: 30}},
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0, maxUnavailable: 50%}},
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := StatefulSet.New(), StatefulSet.New()
			if err := yaml.UnmarshalStrict([]byte(test.text), got); err != nil {
				t.Fatal(err)
			}
			if err := yaml.UnmarshalStrict([]byte(test.want), want); err != nil {
				t.Fatal(err)
			}
			Normalise(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

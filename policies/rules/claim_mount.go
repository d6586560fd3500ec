package rules

import (
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

var claimMount = policies.Rule{
	ID:    "claim-mount",
	Title: "Members find their data where they left it",
	Doc: `A claim keeps data only while a container mounts it where the application writes. A new template in which no container
mounts the claim any more, or in which it is mounted at another path, is rolled out without a word: each member starts with an empty
directory, and what it writes is gone with the container. Whether the application looks in the new place only its owner can
know, so that this is a warning.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks: []policies.Check{
		{Name: "unmounted", Doc: "no container mounts the claim any more"},
		{Name: "moved", Doc: "the claim is mounted at another path"},
	},
	Logic: policies.Typed[v1alpha1.ClaimMount]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.ClaimMount { return &r.ClaimMount },
		Baseline:   &v1alpha1.ClaimMount{Enforcement: warn},
		Restricted: &v1alpha1.ClaimMount{Enforcement: warn},
		Change:     staysMounted,
	},
}

func staysMounted(ch policies.Change, _ policies.Cluster, _ v1alpha1.ClaimMount) ([]policies.Finding, error) {
	older, newer, ok := ch.StatefulSets()
	if !ok || ch.Scale {
		return nil, nil
	}
	var found []policies.Finding
	for i := range newer.Spec.VolumeClaimTemplates {
		name := newer.Spec.VolumeClaimTemplates[i].Name
		before, now := mountPaths(older, name), mountPaths(newer, name)
		lost := slices.IndexFunc(before, func(path string) bool { return !slices.Contains(now, path) })
		switch {
		case lost < 0:
		case len(now) == 0:
			found = append(found, policies.Finding{
				Check: "unmounted", Path: "spec.template.spec.containers",
				Message: fmt.Sprintf("No container mounts claim template %s any more, which was at %s: the members start with an empty %[2]s.", name, before[lost]),
				Remedy:  fmt.Sprintf("put it back into volumeMounts: {name: %s, mountPath: %s}", name, before[lost]),
			})
		default:
			found = append(found, policies.Finding{
				Check: "moved", Path: "spec.template.spec.containers",
				Message: fmt.Sprintf("Claim template %s is mounted at %s instead of %s: if the application still looks there, it starts with nothing.", name, now[0], before[lost]),
				Remedy:  "see that the application is told of the new path in the same change.",
			})
		}
	}
	return found, nil
}

// mountPaths are where containers mount the volume.
func mountPaths(set *appsv1.StatefulSet, volume string) []string {
	var paths []string
	for _, container := range slices.Concat(set.Spec.Template.Spec.InitContainers, set.Spec.Template.Spec.Containers) {
		for _, mount := range container.VolumeMounts {
			if mount.Name == volume && !slices.Contains(paths, mount.MountPath) {
				paths = append(paths, mount.MountPath)
			}
		}
		if slices.ContainsFunc(container.VolumeDevices, func(d corev1.VolumeDevice) bool { return d.Name == volume }) {
			paths = append(paths, "a device")
		}
	}
	return paths
}

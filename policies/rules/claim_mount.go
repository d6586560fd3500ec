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
	Title: "Claims stay mounted where the data is",
	Doc: `A claim keeps data only while a container mounts it where the application writes. If a new template does not
mount the claim, or mounts it at another path, Kubernetes rolls it out without a warning: each member starts with an empty
directory and loses what it writes when the container stops. The application may well use the new path, so this rule only
warns.`,
	Severity: policies.Medium,
	On:       []policies.Trigger{policies.On(kinds.StatefulSet, update)},
	Checks: []policies.Check{
		{Name: "unmounted", Doc: "no container mounts the claim after the update"},
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
				Message: fmt.Sprintf("No container mounts claim template %s, which was mounted at %s: the members start with an empty %[2]s.", name, before[lost]),
				Remedy:  fmt.Sprintf("add it to volumeMounts again: {name: %s, mountPath: %s}", name, before[lost]),
			})
		default:
			found = append(found, policies.Finding{
				Check: "moved", Path: "spec.template.spec.containers",
				Message: fmt.Sprintf("Claim template %s is mounted at %s instead of %s: if the application still uses the old path, it starts without data.", name, now[0], before[lost]),
				Remedy:  "configure the new path in the application in the same change.",
			})
		}
	}
	return found, nil
}

// mountPaths returns where containers mount the volume.
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

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

// Loss is what is missing afterwards.
type Loss struct {
	// Pods are members that were ready and are not any more, or never become ready. Majority means that a majority was ready before
	// and is not now.
	Pods     int
	Majority bool
	// Claims are deleted, about to be, or without their volume; Volumes are deleted with their data.
	Claims, Volumes int
	// Names are ready members without a DNS name from a headless Service.
	Names int
	// Unstopped are Pods with a successor that started before they were known to have stopped.
	Unstopped int
	// Small are claims that are smaller than their StatefulSet says.
	Small int
}

func (l Loss) String() string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{l.Claims, "claim"}, {l.Volumes, "volume"}, {l.Pods, "member"}, {l.Names, "DNS name"},
		{l.Unstopped, "member that may run twice"}, {l.Small, "member on a smaller claim than it says"},
	} {
		switch {
		case part.n == 1:
			parts = append(parts, "1 "+part.what)
		case part.n > 1:
			first, rest, _ := strings.Cut(part.what, " ")
			if first == "DNS" {
				first, rest = "DNS names", ""
			} else {
				first += "s"
			}
			parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d %s %s", part.n, first, rest)))
		}
	}
	if l.Majority {
		parts = append(parts, "the majority")
	}
	return cmp.Or(strings.Join(parts, ", "), "nothing")
}

// view is the visible state of a scene.
type view struct {
	set     *appsv1.StatefulSet
	ready   map[string]bool
	claims  map[string]corev1.PersistentVolumeClaim
	volumes map[string]corev1.PersistentVolume
	// named are the members that have a DNS name.
	named map[string]bool
}

// look looks at the scene, and at the volumes of an earlier view.
func (on *scene) look(ctx context.Context, earlier view) (view, error) {
	v := view{ready: map[string]bool{}, claims: map[string]corev1.PersistentVolumeClaim{}, volumes: map[string]corev1.PersistentVolume{}, named: map[string]bool{}}
	core := on.client.CoreV1()
	set, err := on.client.AppsV1().StatefulSets(on.namespace).Get(ctx, "db", metav1.GetOptions{})
	switch {
	case err == nil:
		v.set = set
	case !apierrors.IsNotFound(err):
		return v, err
	}
	pods, err := core.Pods(on.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=db"})
	if err != nil {
		return v, err
	}
	for i := range pods.Items {
		v.ready[pods.Items[i].Name] = isReady(&pods.Items[i])
	}
	claims, err := core.PersistentVolumeClaims(on.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return v, err
	}
	for _, claim := range claims.Items {
		v.claims[claim.Name] = claim
	}
	names := slices.Collect(maps.Keys(earlier.volumes))
	for _, claim := range v.claims {
		names = append(names, claim.Spec.VolumeName)
	}
	for _, name := range names {
		if _, seen := v.volumes[name]; seen || name == "" {
			continue
		}
		volume, err := core.PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
		switch {
		case err == nil:
			v.volumes[name] = *volume
		case !apierrors.IsNotFound(err):
			return v, err
		}
	}
	return v, on.lookUp(ctx, &v)
}

// lookUp finds the members' names where a DNS server does: in the EndpointSlices of their governing Service, if it is headless.
func (on *scene) lookUp(ctx context.Context, v *view) error {
	if v.set == nil {
		return nil
	}
	service, err := on.client.CoreV1().Services(on.namespace).Get(ctx, v.set.Spec.ServiceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && service.Spec.ClusterIP != corev1.ClusterIPNone {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := on.client.DiscoveryV1().EndpointSlices(on.namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service.Name})
	if err != nil {
		return err
	}
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			v.named[ptr.Deref(endpoint.Hostname, "")] = true
		}
	}
	return nil
}

// loss compares two views. For a new StatefulSet, everything that it asks for counts.
func loss(before, after view) Loss {
	var l Loss
	l.Pods, l.Majority = missing(before, after)
	for name, claim := range before.claims {
		if lostClaim(claim, after.claims[name]) {
			l.Claims++
		}
		volume, had := before.volumes[claim.Spec.VolumeName]
		if now, has := after.volumes[claim.Spec.VolumeName]; had && !(has && now.UID == volume.UID) {
			l.Volumes++
		}
	}
	if after.set != nil {
		for name, ready := range after.ready {
			if ready && !after.named[name] {
				l.Names++
			}
		}
		l.Small = tooSmall(after)
	}
	return l
}

func missing(before, after view) (int, bool) {
	wanted := before.set
	expected := count(before.ready)
	if before.set == nil {
		if wanted = after.set; wanted == nil {
			return 0, false
		}
		expected = int(ptr.Deref(wanted.Spec.Replicas, 1))
	}
	majority := int(ptr.Deref(wanted.Spec.Replicas, 1))/2 + 1
	left := 0
	for name, ready := range after.ready {
		if _, was := before.ready[name]; ready && (was || before.set == nil) {
			left++
		}
	}
	return max(0, expected-left), expected >= majority && left < majority
}

func count(ready map[string]bool) int {
	n := 0
	for _, is := range ready {
		if is {
			n++
		}
	}
	return n
}

// lostClaim reports whether the claim is gone, Terminating or without its volume, and was not before.
func lostClaim(was, is corev1.PersistentVolumeClaim) bool {
	return is.UID != was.UID || was.DeletionTimestamp == nil && is.DeletionTimestamp != nil || is.Status.Phase == corev1.ClaimLost
}

func tooSmall(v view) int {
	n := 0
	for _, template := range v.set.Spec.VolumeClaimTemplates {
		for name := range v.ready {
			claim, ok := v.claims[template.Name+"-"+name]
			if ok && claim.Spec.Resources.Requests.Storage().Cmp(*template.Spec.Resources.Requests.Storage()) < 0 {
				n++
			}
		}
	}
	return n
}

func isReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// deathWatch counts the members that were deleted without a grace period.
type deathWatch struct {
	watch.Interface
	sync.Mutex
	unstopped map[string]bool
}

func (on *scene) watchDeaths(ctx context.Context) (*deathWatch, error) {
	pods, err := on.client.CoreV1().Pods(on.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=db"})
	if err != nil {
		return nil, err
	}
	w, err := on.client.CoreV1().Pods(on.namespace).Watch(ctx, metav1.ListOptions{LabelSelector: "app=db", ResourceVersion: pods.ResourceVersion})
	if err != nil {
		return nil, err
	}
	d := &deathWatch{Interface: w, unstopped: map[string]bool{}}
	go d.run()
	return d, nil
}

func (d *deathWatch) run() {
	told := map[types.UID]bool{}
	for event := range d.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			continue
		}
		switch {
		case event.Type == watch.Modified && ptr.Deref(pod.DeletionGracePeriodSeconds, 0) > 0:
			told[pod.UID] = true
		case event.Type == watch.Deleted && !told[pod.UID] && pod.Spec.NodeName != "":
			d.Lock()
			d.unstopped[pod.Name] = true
			d.Unlock()
		}
	}
}

func (d *deathWatch) count() int {
	d.Lock()
	defer d.Unlock()
	return len(d.unstopped)
}

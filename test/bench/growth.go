package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

// The namespaces that grow together. Mooring judges one of them.
const (
	grown      = "growth"
	grownPlain = "growth-plain"
)

const (
	// replicas is the number of replicas of each StatefulSet.
	replicas = 3
	// leftBehind is the number of claims of deleted StatefulSets in each namespace.
	leftBehind = 100
	// turns is how often each request is measured in a round.
	turns = 20
)

var databases = schema.GroupVersionResource{Group: "bench.example.com", Version: "v1", Resource: "databases"}

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.bench.example.com}
spec:
  group: bench.example.com
  scope: Namespaced
  names: {kind: Database, plural: databases, singular: database}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

// guarded is a dry-run request that Mooring judges.
type guarded struct {
	name string
	// refused means that Mooring refuses it.
	refused bool
	// everywhere means that it is cluster-scoped, so it is always judged.
	everywhere bool
	do         func(c clients, namespace string, i int) error
}

type clients struct {
	kubernetes.Interface
	ctx     context.Context
	dynamic dynamic.Interface
	sets    int
}

var dry = []string{metav1.DryRunAll}

func deleting() metav1.DeleteOptions { return metav1.DeleteOptions{DryRun: dry} }

// kept and taken return the names of StatefulSets whose claims are kept, and deleted with them.
func (c clients) kept(i int) string  { return fmt.Sprintf("orders-%d", i*2%c.sets) }
func (c clients) taken(i int) string { return fmt.Sprintf("orders-%d", (i*2+1)%c.sets) }

var requests = []guarded{
	{name: "delete of a member's claim", refused: true, do: func(c clients, namespace string, i int) error {
		return c.CoreV1().PersistentVolumeClaims(namespace).Delete(c.ctx, "data-"+c.kept(i)+"-0", deleting())
	}},
	{name: "delete of a claim that is left", do: func(c clients, namespace string, i int) error {
		return c.CoreV1().PersistentVolumeClaims(namespace).Delete(c.ctx, fmt.Sprintf("data-gone-%d-0", i%leftBehind), deleting())
	}},
	{name: "delete of a StatefulSet, its claims kept", do: func(c clients, namespace string, i int) error {
		return c.AppsV1().StatefulSets(namespace).Delete(c.ctx, c.kept(i), deleting())
	}},
	{name: "delete of a StatefulSet with its claims", refused: true, do: func(c clients, namespace string, i int) error {
		return c.AppsV1().StatefulSets(namespace).Delete(c.ctx, c.taken(i), deleting())
	}},
	{name: "delete of a Service", do: func(c clients, namespace string, i int) error {
		return c.CoreV1().Services(namespace).Delete(c.ctx, c.kept(i), deleting())
	}},
	{name: "delete of a Pod", do: func(c clients, namespace string, i int) error {
		return c.CoreV1().Pods(namespace).Delete(c.ctx, c.kept(i)+"-0", deleting())
	}},
	{name: "delete of a Pod by force", do: func(c clients, namespace string, i int) error {
		return c.CoreV1().Pods(namespace).Delete(c.ctx, c.kept(i)+"-0", metav1.DeleteOptions{DryRun: dry, GracePeriodSeconds: ptr.To[int64](0)})
	}},
	{name: "delete of a volume", refused: true, everywhere: true, do: func(c clients, namespace string, i int) error {
		return c.CoreV1().PersistentVolumes().Delete(c.ctx, namespace+"-"+c.kept(i)+"-0", deleting())
	}},
	{name: "delete of the namespace", refused: true, do: func(c clients, namespace string, _ int) error {
		return c.CoreV1().Namespaces().Delete(c.ctx, namespace, deleting())
	}},
	{name: "delete of a custom resource", refused: true, do: func(c clients, namespace string, _ int) error {
		return c.dynamic.Resource(databases).Namespace(namespace).Delete(c.ctx, c.taken(0), deleting())
	}},
	{name: "scale-down", do: func(c clients, namespace string, i int) error {
		scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: c.kept(i)}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas - 1}}
		_, err := c.AppsV1().StatefulSets(namespace).UpdateScale(c.ctx, c.kept(i), scale, metav1.UpdateOptions{DryRun: dry})
		return err
	}},
	{name: "update of a template", do: func(c clients, namespace string, i int) error {
		patch := `{"spec":{"template":{"metadata":{"annotations":{"restarted":"now"}}}}}`
		_, err := c.AppsV1().StatefulSets(namespace).Patch(c.ctx, c.kept(i), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{DryRun: dry})
		return err
	}},
	{name: "create of a StatefulSet", do: func(c clients, namespace string, i int) error {
		set, err := databaseSet(namespace, i)
		if err != nil {
			return err
		}
		set.ObjectMeta = metav1.ObjectMeta{Name: fmt.Sprintf("new-%d", i), Labels: set.Labels}
		set.Status = appsv1.StatefulSetStatus{}
		_, err = c.AppsV1().StatefulSets(namespace).Create(c.ctx, set, metav1.CreateOptions{DryRun: dry})
		return err
	}},
}

// growth measures the cost of requests in a namespace with more and more StatefulSets, and what Mooring reads for them.
func (b *bench) growth(ctx context.Context) error {
	c, err := b.growthClients(ctx)
	if err != nil {
		return err
	}
	if _, err := b.Apply(ctx, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s}}\n---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s}}\n---\n%s", grown, grownPlain, definition)); err != nil {
		return err
	}
	if _, err := b.Run(ctx, b.Kubeconfig, "", "wait", "crd/databases.bench.example.com", "--for=condition=Established"); err != nil {
		return err
	}
	costs := make([]cost, len(requests))
	crowd := [][]string{{"StatefulSets", "100 deletes of claims at once, until the last is answered", "the slowest", "refused for want of time", "Mooring then resident"}}
	var late figures
	for _, size := range b.namespaceSizes {
		fmt.Fprintln(os.Stderr, "bench: a namespace of", size, "StatefulSets")
		// If a busy etcd delays the lease, the server stops, and nothing restarts it here.
		if err := b.Stop(); err != nil {
			return err
		}
		if err := b.grow(ctx, c, size); err != nil {
			return err
		}
		if err := b.Start(ctx); err != nil {
			return err
		}
		c.sets = size
		if err := await(ctx, "Mooring to judge custom resources", func() error { return requests[9].answered(requests[9].do(c, grown, 0)) }); err != nil {
			return err
		}
		if err := c.quiet(); err != nil {
			return err
		}
		for i, request := range requests {
			if err := b.measureGrowth(request, c, &costs[i]); err != nil {
				return fmt.Errorf("%d StatefulSets: %s: %w", size, request.name, err)
			}
		}
		row, refused, err := b.atOnce(c)
		if err != nil {
			return err
		}
		crowd, late = append(crowd, append([]string{fmt.Sprint(size)}, row...)), append(late, float64(refused))
	}
	b.reportGrowth(costs)
	b.aim("growth: claim deletes refused for want of time, of 100 at once", figures{slices.Max(late)}, atMost, 0, "%.0f")
	b.table("A hundred at once", "Deletes of claims that are left of deleted StatefulSets, as dry runs, from 100 clients at the same moment.", crowd)
	return nil
}

// cost is the cost of a request at each size.
type cost struct {
	judged, plain struct{ medians, tails figures }
	bytes, reads  figures
}

func (b *bench) reportGrowth(costs []cost) {
	sizes := func(first string) []string {
		row := []string{first}
		for _, size := range b.namespaceSizes {
			row = append(row, fmt.Sprint(size))
		}
		return append(row, "growth")
	}
	first, last := 0, len(b.namespaceSizes)-1
	times, read := [][]string{sizes("request")}, [][]string{sizes("request")}
	for i, request := range requests {
		c := costs[i]
		t, r := []string{request.name}, []string{request.name}
		for at := range b.namespaceSizes {
			plain := "—"
			if len(c.plain.medians) > 0 {
				plain = fmt.Sprintf("%.1f", c.plain.medians[at])
			}
			t = append(t, fmt.Sprintf("%.1f (%.1f), without %s", c.judged.medians[at], c.judged.tails[at], plain))
			r = append(r, fmt.Sprintf("%.1f in %.0f", c.bytes[at]/1000, c.reads[at]))
		}
		slower := c.judged.medians[last] / c.judged.medians[first]
		more := c.bytes[last] / max(1, c.bytes[first])
		times, read = append(times, append(t, fmt.Sprintf("%.2f", slower))), append(read, append(r, fmt.Sprintf("%.2f", more)))
		if request.name != "delete of the namespace" {
			span := fmt.Sprintf("from %d to %d StatefulSets", b.namespaceSizes[first], b.namespaceSizes[last])
			b.aim("growth: "+request.name+", median "+span, figures{slower}, atMost, 1.5, "%.2f")
			b.aim("growth: "+request.name+", bytes read "+span, figures{more}, atMost, 2, "%.2f")
		}
	}
	b.table("Milliseconds of a request", fmt.Sprintf("The median, with the 99th percentile in parentheses, of server-side dry runs in a namespace with so many StatefulSets of %d Pods and %d claims each; "+
		"and the median in a namespace like it that is not judged, in turns.", replicas, replicas), times)
	b.table("Kilobytes that Mooring reads for it", "What the API server answered to its reads, and how many there were, a request. It does not depend on how busy the machine is.", read)
}

func (b *bench) growthClients(ctx context.Context) (clients, error) {
	config, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		return clients{}, err
	}
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	typed, err1 := kubernetes.NewForConfig(config)
	untyped, err2 := dynamic.NewForConfig(config)
	return clients{Interface: typed, dynamic: untyped, ctx: ctx}, errors.Join(err1, err2)
}

// answered returns an error unless the request had the expected answer.
func (g guarded) answered(err error) error {
	switch {
	case g.refused && apierrors.IsForbidden(err), !g.refused && err == nil:
		return nil
	case err == nil:
		return errors.New("it is not refused")
	}
	return err
}

func (b *bench) measureGrowth(request guarded, c clients, into *cost) error {
	var judged, plain []time.Duration
	ask := func(namespace string, i int) (time.Duration, error) {
		began := time.Now()
		err := request.do(c, namespace, i)
		took := time.Since(began)
		if namespace == grown {
			err = request.answered(err)
		}
		return took, err
	}
	for i := range b.rounds * turns {
		took, err := ask(grown, i)
		if err != nil {
			return err
		}
		judged = append(judged, took)
		if request.everywhere {
			continue
		}
		if took, err = ask(grownPlain, i); err != nil {
			return err
		}
		plain = append(plain, took)
	}
	for _, of := range []struct {
		took []time.Duration
		into *struct{ medians, tails figures }
	}{{judged, &into.judged}, {plain, &into.plain}} {
		if len(of.took) > 0 {
			slices.Sort(of.took)
			of.into.medians, of.into.tails = append(of.into.medians, percentile(of.took, .5)), append(of.into.tails, percentile(of.took, .99))
		}
	}
	return b.countReads(request, c, into)
}

// countReads repeats the request, and counts the reads from the API server.
func (b *bench) countReads(request guarded, c clients, into *cost) error {
	const times = 5
	bytes, reads, err := c.answers()
	if err != nil {
		return err
	}
	for i := range times {
		if err := request.answered(request.do(c, grown, i)); err != nil {
			return err
		}
	}
	bytesAfter, readsAfter, err := c.answers()
	into.bytes, into.reads = append(into.bytes, (bytesAfter-bytes)/times), append(into.reads, (readsAfter-reads)/times)
	return err
}

// answers returns the bytes and the number of the API server's answers to reads of the kinds that Mooring reads. The benchmark
// reads none of them.
func (c clients) answers() (bytes, reads float64, err error) {
	body, err := c.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(c.ctx)
	if err != nil {
		return 0, 0, err
	}
	of := []string{"statefulsets", "pods", "persistentvolumeclaims", "persistentvolumes", "services", "poddisruptionbudgets", "nodes", "namespaces", databases.Resource}
	for line := range strings.Lines(string(body)) {
		sum, ok := strings.CutPrefix(line, "apiserver_response_sizes_")
		if !ok || !slices.ContainsFunc(of, func(r string) bool { return strings.Contains(line, `resource="`+r+`"`) }) ||
			!strings.Contains(line, `verb="GET"`) && !strings.Contains(line, `verb="LIST"`) {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(line, ' ')+1:], &value); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", line, err)
		}
		switch {
		case strings.HasPrefix(sum, "sum"):
			bytes += value
		case strings.HasPrefix(sum, "count"):
			reads += value
		}
	}
	return bytes, reads, nil
}

// quiet waits until Mooring's scanner has seen all changes.
func (c clients) quiet() error {
	return await(c.ctx, "Mooring to read no more", func() error {
		_, before, err := c.answers()
		if err != nil {
			return err
		}
		time.Sleep(3 * time.Second)
		_, after, err := c.answers()
		if err == nil && after != before {
			err = fmt.Errorf("it has read %.0f times", after-before)
		}
		return err
	})
}

// atOnce deletes the remaining claims, concurrently from all clients.
func (b *bench) atOnce(c clients) (row []string, refused int, err error) {
	request := requests[1]
	var mu sync.Mutex
	var slowest time.Duration
	var all sync.WaitGroup
	began := time.Now()
	for i := range leftBehind {
		all.Go(func() {
			began := time.Now()
			answer := request.answered(request.do(c, grown, i))
			mu.Lock()
			defer mu.Unlock()
			if slowest = max(slowest, time.Since(began)); answer != nil {
				refused, err = refused+1, answer
			}
		})
	}
	all.Wait()
	if err != nil && !apierrors.IsServiceUnavailable(err) && !apierrors.IsTimeout(err) && !apierrors.IsInternalError(err) {
		return nil, refused, err
	}
	mib, err := resident(b.PID())
	return []string{fmt.Sprintf("%.1f s", time.Since(began).Seconds()), fmt.Sprintf("%.1f s", slowest.Seconds()), fmt.Sprint(refused), fmt.Sprintf("%.0f MiB", mib)}, refused, err
}

// grow adds StatefulSets to the namespaces, with their Services, budgets, Pods, claims and volumes. It writes to etcd directly,
// because the API server would need half an hour. They do not change: no controller runs.
func (b *bench) grow(ctx context.Context, c clients, size int) error {
	var group errgroup.Group
	group.SetLimit(4)
	for _, namespace := range []string{grown, grownPlain} {
		if c.sets == 0 {
			database := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": databases.GroupVersion().String(), "kind": "Database", "metadata": map[string]any{"name": "orders-1"},
			}}
			made, err := c.dynamic.Resource(databases).Namespace(namespace).Create(ctx, database, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			owners[namespace] = made.GetUID()
			group.Go(func() error {
				var left []entry
				for i := range leftBehind {
					set, err := databaseSet(namespace, 0)
					if err != nil {
						return err
					}
					set.Name = fmt.Sprintf("gone-%d", i)
					claim, err := memberClaim(set, 0)
					if err != nil {
						return err
					}
					left = append(left, entry{"/registry/persistentvolumeclaims/", claim})
				}
				return b.put(ctx, left)
			})
		}
		const batch = 10
		for from := c.sets; from < size; from += batch {
			group.Go(func() error {
				var entries []entry
				for i := from; i < min(size, from+batch); i++ {
					more, err := databaseEntries(namespace, i)
					if err != nil {
						return err
					}
					entries = append(entries, more...)
				}
				return b.put(ctx, entries)
			})
		}
	}
	return group.Wait()
}

// owners are the UIDs of the custom resource in each namespace.
var owners = map[string]types.UID{}

// databaseSet returns the StatefulSet with this number. Odd ones belong to a custom resource and delete their claims.
func databaseSet(namespace string, i int) (*appsv1.StatefulSet, error) {
	set := &appsv1.StatefulSet{}
	if err := recordedObject("database-create", set); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("orders-%d", i)
	labels := map[string]string{"app.kubernetes.io/name": "orders", "app.kubernetes.io/instance": name}
	set.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(fmt.Sprintf("%s-set-%d", namespace, i)), Labels: labels, Generation: 1, CreationTimestamp: metav1.Now()}
	set.Spec.Replicas, set.Spec.ServiceName = ptr.To[int32](replicas), name
	set.Spec.Selector, set.Spec.Template.Labels = &metav1.LabelSelector{MatchLabels: labels}, labels
	set.Spec.VolumeClaimTemplates = set.Spec.VolumeClaimTemplates[:1]
	set.Spec.VolumeClaimTemplates[0].Name = "data"
	set.Status = appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: replicas, ReadyReplicas: replicas, AvailableReplicas: replicas, UpdatedReplicas: replicas, CurrentReplicas: replicas, CurrentRevision: "a", UpdateRevision: "a"}
	if i%2 == 1 {
		owner := types.UID(fmt.Sprintf("%s-database-%d", namespace, i))
		if i == 1 {
			owner = owners[namespace]
		}
		set.OwnerReferences = []metav1.OwnerReference{{APIVersion: databases.GroupVersion().String(), Kind: "Database", Name: name, UID: owner, Controller: ptr.To(true)}}
		set.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{WhenDeleted: "Delete", WhenScaled: "Retain"}
	}
	return set, nil
}

func memberClaim(set *appsv1.StatefulSet, n int) (*corev1.PersistentVolumeClaim, error) {
	claim := &corev1.PersistentVolumeClaim{}
	if err := recordedObject("claim-create", claim); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("data-%s-%d", set.Name, n)
	claim.Namespace, claim.Name, claim.UID, claim.Labels = set.Namespace, name, types.UID(set.Namespace+"-"+name), set.Labels
	claim.Spec.StorageClassName = set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName
	claim.Spec.VolumeName = fmt.Sprintf("%s-%s-%d", set.Namespace, set.Name, n)
	claim.Status.Phase = corev1.ClaimBound
	return claim, nil
}

// databaseEntries returns the StatefulSet with this number and the objects around it.
func databaseEntries(namespace string, i int) ([]entry, error) {
	set, err := databaseSet(namespace, i)
	if err != nil {
		return nil, err
	}
	about := metav1.ObjectMeta{Namespace: namespace, Name: set.Name, UID: types.UID(fmt.Sprintf("%s-service-%d", namespace, i)), Labels: set.Labels, CreationTimestamp: set.CreationTimestamp}
	service := &corev1.Service{ObjectMeta: about, Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, ClusterIPs: []string{corev1.ClusterIPNone}, Type: corev1.ServiceTypeClusterIP, Selector: set.Labels,
		IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack), SessionAffinity: corev1.ServiceAffinityNone,
		Ports: []corev1.ServicePort{{Name: "db", Port: 5432, TargetPort: intstr.FromInt32(5432), Protocol: corev1.ProtocolTCP}},
	}}
	about.UID = types.UID(fmt.Sprintf("%s-budget-%d", namespace, i))
	about.Generation = 1
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: about, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(1)), Selector: set.Spec.Selector},
		Status: policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, ExpectedPods: replicas, CurrentHealthy: replicas, DesiredHealthy: replicas - 1, DisruptionsAllowed: 1},
	}
	entries := []entry{{"/registry/statefulsets/", set}, {"/registry/services/specs/", service}, {"/registry/poddisruptionbudgets/", budget}}
	for n := range replicas {
		claim, err := memberClaim(set, n)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%s-%d", set.Name, n)
		pod := &corev1.Pod{ObjectMeta: about, Spec: set.Spec.Template.Spec}
		pod.Name, pod.UID = name, types.UID(namespace+"-"+name)
		pod.Labels = map[string]string{
			"app.kubernetes.io/name": "orders", "app.kubernetes.io/instance": set.Name, appsv1.ControllerRevisionHashLabelKey: "a",
			appsv1.StatefulSetPodNameLabel: name, appsv1.PodIndexLabel: fmt.Sprint(n),
		}
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: set.Name, UID: set.UID, Controller: ptr.To(true)}}
		pod.Spec.NodeName = "node"
		pod.Spec.Volumes = append(slices.Clone(pod.Spec.Volumes), corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
		}})
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: ptr.To(metav1.Now()), Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
		volume := &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName, UID: types.UID("volume-" + claim.Spec.VolumeName), CreationTimestamp: set.CreationTimestamp},
			Spec: corev1.PersistentVolumeSpec{
				Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete, PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/data"}},
				ClaimRef: &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: namespace, Name: claim.Name, UID: claim.UID},
			},
			Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
		}
		entries = append(entries, entry{"/registry/persistentvolumeclaims/", claim}, entry{"/registry/pods/", pod}, entry{"/registry/persistentvolumes/", volume})
	}
	return entries, nil
}

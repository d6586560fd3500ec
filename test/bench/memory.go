package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/webhooks"
)

// kind is a kind of cached objects: its place in etcd, and an example.
type kind struct {
	name, prefix string
	one          client.Object
}

func cachedKinds() ([]kind, error) {
	set, claim, service := &appsv1.StatefulSet{}, &corev1.PersistentVolumeClaim{}, &corev1.Service{}
	err := errors.Join(recordedObject("database-create", set), recordedObject("claim-create", claim), recordedObject("service-apply", service))
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(set.Spec.Template.Labels), ManagedFields: set.ManagedFields},
		Spec:       set.Spec.Template.Spec,
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
	metav1.SetMetaDataLabel(&pod.ObjectMeta, appsv1.StatefulSetPodNameLabel, "orders-0")
	return []kind{
		{"StatefulSet", "/registry/statefulsets/", set},
		{"PersistentVolumeClaim", "/registry/persistentvolumeclaims/", claim},
		{"Service", "/registry/services/specs/", service},
		{"Pod", "/registry/pods/", pod},
	}, err
}

// usage is the output of a process with a cache.
type usage struct {
	// Heap is the heap in use, in bytes, and Objects the number of cached objects.
	Heap, Objects int
}

// memory fills the cluster and measures a cache of it. The objects are written to etcd directly, because the API server would need
// minutes.
func (b *bench) memory(ctx context.Context) error {
	kinds, err := cachedKinds()
	if err != nil {
		return err
	}
	header := []string{"kind"}
	for _, size := range b.sizes {
		header = append(header, fmt.Sprintf("bytes each at %d", size))
	}
	rows := [][]string{append(header, fmt.Sprintf("as the API server sends it, at %d", b.sizes[0]))}
	for _, k := range kinds {
		row, whole := []string{k.name}, ""
		for i, size := range b.sizes {
			if err := b.store(ctx, k, size); err != nil {
				return err
			}
			if i == 0 {
				if whole, err = b.objectSize(ctx, k, "whole"); err != nil {
					return err
				}
			}
			kept, err := b.objectSize(ctx, k, "kept")
			if err != nil {
				return err
			}
			row = append(row, kept)
		}
		rows = append(rows, append(row, whole))
	}
	b.table("A cached object", "Heap growth of a process that caches objects of one kind, after a garbage collection. "+
		"Mooring keeps only the fields that rules read (webhooks/cache.go). Of a StatefulSet's Pod it keeps the name, and the claims that are not named after it.", rows)

	return nil
}

// fleet fills the cluster and measures a server that caches all of it, and its time to ready.
func (b *bench) fleet(ctx context.Context) error {
	kinds, err := cachedKinds()
	if err != nil {
		return err
	}
	// A server that runs would only keep the API server busy.
	if err := b.Stop(); err != nil {
		return err
	}
	most := b.sizes[len(b.sizes)-1]
	for _, k := range kinds {
		n := most
		if k.name == "PersistentVolumeClaim" || k.name == "Pod" {
			n = 3 * most
		}
		if err := b.store(ctx, k, n); err != nil {
			return err
		}
	}
	if err := b.caughtUp(ctx); err != nil {
		return err
	}
	ready, err := b.restart(ctx)
	if err != nil {
		return err
	}
	atReady, err := resident(b.PID())
	if err != nil {
		return err
	}
	// Pods are read while reviews are already answered.
	time.Sleep(time.Minute)
	mib, err := resident(b.PID())
	if err != nil {
		return err
	}
	held := fmt.Sprintf("%d StatefulSets, %d claims and %d members", most, 3*most, 3*most)
	b.aim("memory with "+held+", in MiB", figures{mib}, atMost, 700, "%.0f")
	b.aim("start to ready with "+held+", in seconds", figures{ready.Seconds()}, atMost, 30, "%.0f")
	b.table("A large cluster", "mooring serve as the chart runs it, once it is ready and a minute later, with GOMEMLIMIT="+memoryLimit+": nine tenths of a container limit of 700 MiB.", [][]string{
		{"StatefulSets", "claims", "Pods of StatefulSets", "Services", "resident MiB when ready", "a minute later", "start to ready"},
		{fmt.Sprint(most), fmt.Sprint(3 * most), fmt.Sprint(3 * most), fmt.Sprint(most), fmt.Sprintf("%.0f", atReady), fmt.Sprintf("%.0f", mib), fmt.Sprintf("%.1f s", ready.Seconds())},
	})
	return b.churn(ctx, kinds, most)
}

// churn changes 10,000 objects a minute, all kinds in turn and the first most of each, and measures the server that watches them.
func (b *bench) churn(ctx context.Context, all []kind, most int) error {
	const aMinute, batch = 10_000, 100
	rows := [][]string{{"minute", "objects changed", "resident MiB", "processor seconds"}}
	var held figures
	changed := 0
	for minute := range int(b.changes.Minutes()) {
		before, err := cpuTime(b.PID())
		if err != nil {
			return err
		}
		tick := time.NewTicker(time.Minute * batch / aMinute)
		for range aMinute / batch {
			<-tick.C
			var entries []entry
			for range batch {
				k := all[changed%len(all)]
				o := numbered(k.one, changed%most)
				o.SetAnnotations(map[string]string{"example.com/changed": fmt.Sprint(changed)})
				entries = append(entries, entry{k.prefix, o})
				changed++
			}
			if err := b.put(ctx, entries); err != nil {
				return err
			}
		}
		tick.Stop()
		after, err1 := cpuTime(b.PID())
		mib, err2 := resident(b.PID())
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		held = append(held, mib)
		rows = append(rows, []string{fmt.Sprint(minute + 1), fmt.Sprint(changed), fmt.Sprintf("%.0f", mib), fmt.Sprintf("%.1f", (after - before).Seconds())})
	}
	if len(held) == 0 {
		return nil
	}
	b.aim("memory after the last minute of 10,000 changes, of that after the first", held[len(held)-1:].over(held[:1]), atMost, 1.05, "%.2f")
	b.table("A large cluster that changes", "The same server while 10,000 objects a minute are changed in etcd: StatefulSets, claims, Services and Pods in turn.", rows)
	return nil
}

// caughtUp waits until the API server, which watches etcd for itself and its own clients, has read what was written there.
func (b *bench) caughtUp(ctx context.Context) error {
	var before time.Duration
	return wait.PollUntilContextTimeout(ctx, 5*time.Second, 10*time.Minute, true, func(context.Context) (bool, error) {
		now, err := cpuTime(b.Component("kube-apiserver").PID())
		used := now - before
		before = now
		return used < time.Second/2, err
	})
}

const memoryLimit = "630MiB"

// restart restarts the server and returns its time to ready.
func (b *bench) restart(ctx context.Context) (time.Duration, error) {
	if err := b.Stop(); err != nil {
		return 0, err
	}
	if err := os.Setenv("GOMEMLIMIT", memoryLimit); err != nil {
		return 0, err
	}
	start := time.Now()
	err := b.Start(ctx)
	return time.Since(start), err
}

func (b *bench) start(ctx context.Context) error {
	var took figures
	for range b.rounds {
		ready, err := b.restart(ctx)
		if err != nil {
			return err
		}
		took = append(took, ready.Seconds())
	}
	b.table("Start to ready", "Time from exec until /readyz succeeds, polled every 50 ms, on a nearly empty cluster that already has Mooring's certificate.", [][]string{
		{"seconds"}, {took.spread("%.2f")},
	})
	return nil
}

// objectSize returns the memory of a cached object of the kind, measured by a process that caches all of them.
func (b *bench) objectSize(ctx context.Context, k kind, how string) (string, error) {
	cmd, err := self(ctx, "cache", b.Kubeconfig, k.name, how)
	if err != nil {
		return "", err
	}
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	var u usage
	if err := json.Unmarshal(out, &u); err != nil {
		return "", err
	}
	return fmt.Sprint(u.Heap / max(1, u.Objects)), nil
}

// fillCache caches all objects of a kind, trimmed or whole, and prints the memory.
func fillCache(args []string) error {
	kubeconfig, name, how := args[0], args[1], args[2]
	kinds, err := cachedKinds()
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	options := cache.Options{Scheme: scheme.Scheme}
	if how == "kept" {
		options.ByObject, options.DefaultTransform = webhooks.Trimmed(), cache.TransformStripManagedFields()
	}
	c, err := cache.New(config, options)
	if err != nil {
		return err
	}
	ctx := context.Background()
	before := heap()
	go func() { _ = c.Start(ctx) }()
	if !c.WaitForCacheSync(ctx) {
		return errors.New("the cache did not start")
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
	informer, err := c.GetInformer(ctx, kinds[i].one)
	if err != nil {
		return err
	}
	n := len(informer.(toolscache.SharedIndexInformer).GetIndexer().ListKeys())
	return json.NewEncoder(os.Stdout).Encode(usage{Heap: heap() - before, Objects: n})
}

// heap returns the bytes in use after a garbage collection.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// store writes n objects of the kind to etcd, over existing ones.
func (b *bench) store(ctx context.Context, k kind, n int) error {
	const batch = 100
	var all sync.WaitGroup
	errs := make([]error, 4)
	for worker := range errs {
		all.Go(func() {
			for from := worker * batch; from < n && errs[worker] == nil; from += len(errs) * batch {
				var entries []entry
				for i := from; i < min(n, from+batch); i++ {
					entries = append(entries, entry{k.prefix, numbered(k.one, i)})
				}
				errs[worker] = b.put(ctx, entries)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// entry is an object with its place in etcd.
type entry struct {
	prefix string
	object client.Object
}

// put writes objects to etcd in one transaction, which has room for 128.
func (b *bench) put(ctx context.Context, entries []entry) error {
	type put struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	}
	type operation struct {
		RequestPut put `json:"request_put"`
	}
	encoder := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	var operations []operation
	for _, e := range entries {
		versions, _, err := scheme.Scheme.ObjectKinds(e.object)
		if err != nil {
			return err
		}
		e.object.GetObjectKind().SetGroupVersionKind(versions[0])
		var value bytes.Buffer
		if err := encoder.Encode(e.object, &value); err != nil {
			return err
		}
		key := e.prefix + strings.TrimPrefix(e.object.GetNamespace()+"/"+e.object.GetName(), "/")
		operations = append(operations, operation{put{[]byte(key), value.Bytes()}})
	}
	return b.transact(ctx, map[string]any{"success": operations})
}

// numbered returns a copy of the object with its own name, in one of many namespaces.
func numbered(o client.Object, i int) client.Object {
	one := o.DeepCopyObject().(client.Object)
	one.SetNamespace(fmt.Sprintf("team-%d", i%500))
	one.SetName(fmt.Sprintf("orders-%d", i))
	one.SetUID(types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", i)))
	one.SetResourceVersion("")
	return one
}

// transact sends a transaction to etcd through its JSON gateway.
func (b *bench) transact(ctx context.Context, transaction any) error {
	body, err := json.Marshal(transaction)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, b.Etcd+"/v3/kv/txn", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var said strings.Builder
		_ = response.Write(&said)
		return fmt.Errorf("etcd: %s", said.String())
	}
	return nil
}

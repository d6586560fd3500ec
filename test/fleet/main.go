// Command fleet creates a simulated fleet on a real API server, at a quarter, a half and its full size. It measures time and memory
// of mooring audit beside a program that only lists the same objects with client-go.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mooring-dev/mooring/audit"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
	"github.com/mooring-dev/mooring/webhooks"
)

const (
	namespaces    = 200
	setsPerSpace  = 10
	claimsPerSet  = 3
	pageSize      = 500
	mebibyte      = 1 << 20
	mostMemory    = 150 * mebibyte
	mostOfListing = 1.5
)

func main() {
	runs := flag.Int("runs", 5, "how often each program runs at each size; the fastest counts")
	full := flag.Int("namespaces", namespaces, "namespaces at full size, with 10 StatefulSets and 30 claims each")
	list := flag.String("list", "", "do nothing but list the fleet with this content type (the measured program calls itself so)")
	flag.Parse()
	var err error
	if *list != "" {
		err = plainListing(*list)
	} else {
		err = measure(context.Background(), *full, *runs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, full, runs int) error {
	// Without controllers, the objects do not change.
	cp, err := controlplane.Run(ctx, controlplane.Options{WithoutControllers: true})
	if err != nil {
		return err
	}
	defer cp.Stop()
	binary, err := harness.Build(ctx, cp.Dir)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		return err
	}
	fmt.Println("| StatefulSets | claims | namespaces | listing, JSON | listing, protobuf | audit | audit / listing JSON | audit / listing protobuf | audit, peak memory |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	made, met := 0, true
	for _, part := range []int{4, 2, 1} {
		if err := grow(ctx, config, made, full/part); err != nil {
			return err
		}
		made = full / part
		programs := map[string]program{
			"json":     {self, []string{"-list=application/json"}},
			"protobuf": {self, []string{"-list=application/vnd.kubernetes.protobuf"}},
			"audit":    {binary, []string{"audit", "--fail-on=never", "-o", "json=" + filepath.Join(cp.Dir, "audit.json")}},
		}
		best, err := fastest(programs, runs, cp.Kubeconfig)
		if err != nil {
			return err
		}
		took := best["audit"]
		ratio := took.time.Seconds() / best["json"].time.Seconds()
		fmt.Printf("| %d | %d | %d | %d ms | %d ms | %d ms | %.2f | %.2f | %d MiB |\n", made*setsPerSpace, made*setsPerSpace*claimsPerSet, made,
			best["json"].time.Milliseconds(), best["protobuf"].time.Milliseconds(), took.time.Milliseconds(),
			ratio, took.time.Seconds()/best["protobuf"].time.Seconds(), took.memory/mebibyte)
		met = met && ratio <= mostOfListing && took.memory <= mostMemory
	}
	fmt.Printf("\nAt most %.1f times the listing, and %d MiB: %v.\n\n", mostOfListing, mostMemory/mebibyte, map[bool]string{true: "met", false: "missed"}[met])
	return cached(ctx, config)
}

// program is a measured program, in its own process.
type program struct {
	path string
	args []string
}

type usage struct {
	time time.Duration
	// memory is the maximum resident memory, in bytes.
	memory int64
}

// fastest runs the programs in turn, so that other load affects all, and returns the shortest time and the maximum memory of each.
func fastest(programs map[string]program, runs int, kubeconfig string) (map[string]usage, error) {
	best := map[string]usage{}
	for range runs {
		for name, p := range programs {
			cmd := exec.Command(p.path, p.args...)
			cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, out)
			}
			u := usage{time: time.Since(began), memory: cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss * 1024}
			if was, ok := best[name]; ok {
				u = usage{min(u.time, was.time), max(u.memory, was.memory)}
			}
			best[name] = u
		}
	}
	return best, nil
}

// plainListing lists the fleet's objects page by page and keeps nothing.
func plainListing(contentType string) error {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	config.ContentType, config.QPS = contentType, -1
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx := context.Background()
	for _, list := range []func(metav1.ListOptions) (metav1.ListInterface, error){
		func(o metav1.ListOptions) (metav1.ListInterface, error) {
			return c.AppsV1().StatefulSets("").List(ctx, o)
		},
		func(o metav1.ListOptions) (metav1.ListInterface, error) {
			return c.CoreV1().PersistentVolumeClaims("").List(ctx, o)
		},
		func(o metav1.ListOptions) (metav1.ListInterface, error) { return c.CoreV1().Services("").List(ctx, o) },
		func(o metav1.ListOptions) (metav1.ListInterface, error) { return c.CoreV1().Namespaces().List(ctx, o) },
	} {
		for token := ""; ; {
			page, err := list(metav1.ListOptions{Limit: pageSize, Continue: token})
			if err != nil {
				return err
			}
			if token = page.GetContinue(); token == "" {
				break
			}
		}
	}
	return nil
}

// cached prints the memory of one object of each kind in the scanner's cache.
func cached(ctx context.Context, config *rest.Config) error {
	log.SetLogger(logr.Discard())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := cache.New(config, cache.Options{Scheme: audit.Scheme, ByObject: webhooks.Trimmed(), DefaultTransform: cache.TransformStripManagedFields()})
	if err != nil {
		return err
	}
	go func() { _ = c.Start(ctx) }()
	fmt.Println("| kind | objects | bytes in the scanner's cache, each |\n| --- | ---: | ---: |")
	for _, kind := range []struct {
		object client.Object
		list   client.ObjectList
	}{
		{&corev1.Namespace{}, &corev1.NamespaceList{}},
		{&appsv1.StatefulSet{}, &appsv1.StatefulSetList{}},
		{&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolumeClaimList{}},
		{&corev1.Service{}, &corev1.ServiceList{}},
	} {
		before := heap()
		if _, err := c.GetInformer(ctx, kind.object); err != nil {
			return err
		}
		taken := heap() - before
		if err := c.List(ctx, kind.list); err != nil {
			return err
		}
		n := meta.LenList(kind.list)
		fmt.Printf("| %s | %d | %d |\n", strings.TrimPrefix(fmt.Sprintf("%T", kind.object), "*v1."), n, taken/int64(max(1, n)))
	}
	return nil
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// grow creates the namespaces from one number to the next, with their objects.
func grow(ctx context.Context, config *rest.Config, from, to int) error {
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := from; i < to; i++ {
		group.Go(func() error { return fill(ctx, c, fmt.Sprintf("fleet-%03d", i)) })
	}
	return group.Wait()
}

func fill(ctx context.Context, c kubernetes.Interface, namespace string) error {
	_, err := c.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	for i := range setsPerSpace {
		err = cmp.Or(err, member(ctx, c, namespace, i))
	}
	return err
}

// member creates a settled and ready StatefulSet with its Service and claims. Every tenth has no Service and every seventh has no
// grace period, so that there are findings.
func member(ctx context.Context, c kubernetes.Interface, namespace string, i int) error {
	name := []string{"postgres", "kafka", "redis", "etcd", "cassandra", "mysql", "rabbitmq", "minio", "loki", "zookeeper"}[i%10]
	set := statefulSet(namespace, name)
	if i%7 == 6 {
		set.Spec.Template.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	}
	stored, err := c.AppsV1().StatefulSets(namespace).Create(ctx, set, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	stored.Status = appsv1.StatefulSetStatus{
		ObservedGeneration: stored.Generation, Replicas: claimsPerSet, ReadyReplicas: claimsPerSet, AvailableReplicas: claimsPerSet, CurrentReplicas: claimsPerSet,
		UpdatedReplicas: claimsPerSet, CurrentRevision: name + "-5d9c7", UpdateRevision: name + "-5d9c7",
	}
	if _, err := c.AppsV1().StatefulSets(namespace).UpdateStatus(ctx, stored, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if i%10 != 9 {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: set.Labels},
			Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: set.Spec.Selector.MatchLabels, Ports: []corev1.ServicePort{{Port: 5432}}},
		}
		if _, err := c.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	var errs []error
	for n := range claimsPerSet {
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("data-%s-%d", name, n), Namespace: namespace, Labels: set.Spec.Selector.MatchLabels},
			Spec:       *set.Spec.VolumeClaimTemplates[0].Spec.DeepCopy(),
		}
		claim.Spec.VolumeName = fmt.Sprintf("pvc-%s-%s", namespace, claim.Name)
		_, err := c.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, claim, metav1.CreateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// statefulSet returns a StatefulSet as large as those of widely used charts.
func statefulSet(namespace, name string) *appsv1.StatefulSet {
	own := map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": namespace}
	all := map[string]string{"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": name + "-16.4.2", "app.kubernetes.io/version": "17.2"}
	for k, v := range own {
		all[k] = v
	}
	probe := func() *corev1.Probe {
		return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "exec pg_isready -U postgres -h 127.0.0.1 -p 5432"}}}, PeriodSeconds: 10}
	}
	env := []corev1.EnvVar{{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}
	for i := range 20 {
		env = append(env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%02d", i), Value: "a value of ordinary length"})
	}
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: all},
		Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](claimsPerSet), ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: own},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: all},
				Spec: corev1.PodSpec{
					ServiceAccountName: name, SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr.To[int64](1001)},
					InitContainers: []corev1.Container{{Name: "permissions", Image: "registry.example/shell:12", Command: []string{"/bin/sh", "-c", "chown -R 1001 /data"}}},
					Containers: []corev1.Container{{
						Name: name, Image: "registry.example/" + name + ":17.2.0", Env: env, Resources: corev1.ResourceRequirements{Limits: limits, Requests: limits},
						Ports:         []corev1.ContainerPort{{Name: "db", ContainerPort: 5432}},
						LivenessProbe: probe(), ReadinessProbe: probe(), StartupProbe: probe(),
						VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/data"}, {Name: "config", MountPath: "/etc/" + name}},
					}},
					Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}},
					Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{
						{Weight: 1, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "kubernetes.io/hostname", LabelSelector: &metav1.LabelSelector{MatchLabels: own}}},
					}}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("8Gi")}},
				},
			}},
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
				Type:          appsv1.RollingUpdateStatefulSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: ptr.To(intstr.FromInt32(1))},
			},
		},
	}
}

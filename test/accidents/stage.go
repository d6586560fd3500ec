package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/test/controlplane"
	"github.com/mooring-dev/mooring/test/harness"
)

// Stage is the state before: a namespace with the StatefulSet db, all members ready.
type Stage struct {
	// Profile is the namespace's profile, by default the cluster's.
	Profile string
	// Replicas is the number of members, by default 3.
	Replicas int
	// Spec has more lines of the StatefulSet's spec.
	Spec string
	// Empty creates neither the StatefulSet nor its Service. Their manifests db.yaml and service.yaml are in the scripts' folder.
	Empty bool
	// Given is a script that runs first, in which every command must succeed.
	Given string
}

const service = `apiVersion: v1
kind: Service
metadata:
  name: db
  labels: {app: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: db, port: 5432}]
`

const statefulSet = `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  labels: {app: db}
spec:
  serviceName: db
  replicas: %d
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db, in: %s}}
    spec:
      containers:
      - name: db
        image: registry.example/db:1
        readinessProbe: {tcpSocket: {port: 5432}}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
  %s
`

// scene is a stage that was set up.
type scene struct {
	namespace string
	client    kubernetes.Interface
	// dir is where scripts run; kubeconfig and tools are what they use.
	dir, kubeconfig, tools string
}

// set sets up the stage in a new namespace.
func (s Stage) set(ctx context.Context, cp *controlplane.ControlPlane, client kubernetes.Interface, namespace string) (*scene, error) {
	dir := filepath.Join(cp.Dir, "scenes", namespace)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	on := &scene{namespace: namespace, client: client, dir: dir, kubeconfig: dir + ".kubeconfig", tools: filepath.Dir(cp.Kubectl(ctx).Path)}
	config, err := clientcmd.LoadFromFile(cp.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Contexts[config.CurrentContext].Namespace = namespace
	if err := clientcmd.WriteToFile(*config, on.kubeconfig); err != nil {
		return nil, err
	}
	s.Replicas = cmp.Or(s.Replicas, 3)
	for name, text := range map[string]string{"service.yaml": service, "db.yaml": fmt.Sprintf(statefulSet, s.Replicas, namespace, s.Spec)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	home := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if s.Profile != "" {
		home.Labels = map[string]string{policies.ProfileLabel: s.Profile}
	}
	if _, err := client.CoreV1().Namespaces().Create(ctx, home, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	if !s.Empty {
		if out, err := on.run(ctx, "kubectl apply -f service.yaml -f db.yaml", true); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, out)
		}
		if err := on.settled(ctx); err != nil {
			return nil, err
		}
	}
	if out, err := on.run(ctx, s.Given, true); err != nil {
		return nil, fmt.Errorf("what is given: %w\n%s", err, out)
	}
	return on, nil
}

// run runs a shell script with kubectl in its path and the namespace as the current one, and returns its output. A strict script
// stops with an error if a command fails; any other continues.
func (on *scene) run(ctx context.Context, script string, strict bool) (string, error) {
	flag := "-c"
	if strict {
		flag = "-euc"
	}
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", flag, script)
	cmd.Dir = on.dir
	cmd.Env = append(os.Environ(),
		"PATH="+on.tools+":"+os.Getenv("PATH"), "KUBECONFIG="+on.kubeconfig, "NAMESPACE="+on.namespace,
		"KUBECACHEDIR="+filepath.Join(filepath.Dir(on.dir), "cache"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return out.String(), fmt.Errorf("the script has not ended: %w", context.Cause(ctx))
	}
	if !strict {
		err = nil
	}
	return out.String(), err
}

// settled waits until each member of db is ready with bound claims.
func (on *scene) settled(ctx context.Context) error {
	return harness.Await(ctx, func(ctx context.Context) error {
		set, err := on.client.AppsV1().StatefulSets(on.namespace).Get(ctx, "db", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !isSettled(set) {
			return fmt.Errorf("StatefulSet db is not settled: %+v", set.Status)
		}
		claims, err := on.client.CoreV1().PersistentVolumeClaims(on.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, claim := range claims.Items {
			if claim.Status.Phase != corev1.ClaimBound {
				return fmt.Errorf("claim %s is %s", claim.Name, claim.Status.Phase)
			}
		}
		return nil
	})
}

func isSettled(set *appsv1.StatefulSet) bool {
	want, is := ptr.Deref(set.Spec.Replicas, 1), set.Status
	return is.ObservedGeneration == set.Generation && is.Replicas == want && is.ReadyReplicas == want && is.UpdatedReplicas == want
}

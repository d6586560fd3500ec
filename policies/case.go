package policies

import (
	"cmp"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Case is one change and what a rule says of it. It is written as a person would say it, as the difference from an
// ordinary StatefulSet "db" of three replicas with its headless Service (see Base), so that the same few lines serve as
// the rule's test, as the example in its documentation and as a request to a real API server.
type Case struct {
	// Name says what happens, in a few words.
	Name string
	// Policy is the rule's block in the policy; empty stands for action: Deny.
	Policy string
	// Old and New are the two sides of the change: a create has no Old, a delete no New.
	Old, New string
	// Given are other objects around.
	Given []string
	// WithoutService takes away the headless Service.
	WithoutService bool
	// Ready and NotReady are the ordinals whose Pods exist; Claims those whose claims do.
	Ready, NotReady, Claims []int32
	// User is who asks, if it matters; DeleteOptions are those of a delete.
	User, DeleteOptions string
	// Fills is the value that the policy's default puts in, empty for none.
	Fills string
	// InFiles marks a change that only files can show: the API server refuses it before it asks anybody, or nobody there knows.
	InFiles bool
	// Replacement is, of a StatefulSet that goes, the one that comes in its place.
	Replacement string
	// DryRun marks a request that stores nothing.
	DryRun bool
	// Want are the findings in the form check or, where it is not Deny, check:Action. None: the change passes.
	Want []string
}

// Base is the object that a case's lines are merged into, by kind.
var base = map[string]string{
	"StatefulSet": `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop, labels: {app: db}}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - name: db
        image: registry.example/db:1
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`,
	"Service": `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: db, port: 5432}]}
`,
	"PodDisruptionBudget": `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db, namespace: shop}
spec: {selector: {matchLabels: {app: db}}}
`,
	"PersistentVolumeClaim": `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-0, namespace: shop, labels: {app: db}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`,
	"PersistentVolume": `
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv-1}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: shop, name: data-db-0}
  hostPath: {path: /disks/1}
  persistentVolumeReclaimPolicy: Delete
`,
	"StorageClass": `
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: disks.example.com
`,
	"HorizontalPodAutoscaler": `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}, maxReplicas: 5}
`,
	"Deployment": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: registry.example/db:1}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data-db-0}}]
`,
	"Pod": `
apiVersion: v1
kind: Pod
metadata:
  name: db-0
  namespace: shop
  labels: {app: db, statefulset.kubernetes.io/pod-name: db-0}
  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: "1", controller: true}]
spec:
  nodeName: node-1
  containers: [{name: db, image: registry.example/db:1}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data-db-0}}]
status: {phase: Running}
`,
	"Namespace": `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
`,
	"Node": `
apiVersion: v1
kind: Node
metadata: {name: node-1}
`,
}

// kinds makes an empty typed object of each kind that a case may hold.
var kinds = map[string]func() Object{
	"StatefulSet":             func() Object { return &appsv1.StatefulSet{} },
	"Service":                 func() Object { return &corev1.Service{} },
	"PodDisruptionBudget":     func() Object { return &policyv1.PodDisruptionBudget{} },
	"PersistentVolumeClaim":   func() Object { return &corev1.PersistentVolumeClaim{} },
	"PersistentVolume":        func() Object { return &corev1.PersistentVolume{} },
	"StorageClass":            func() Object { return &storagev1.StorageClass{} },
	"HorizontalPodAutoscaler": func() Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"Deployment":              func() Object { return &appsv1.Deployment{} },
	"Pod":                     func() Object { return &corev1.Pod{} },
	"Namespace":               func() Object { return &corev1.Namespace{} },
	"Node":                    func() Object { return &corev1.Node{} },
}

// Build returns the case as the rule sees it: the change, the world around it, and the policy with the rule's block. The
// objects are raw, as a user would send them; Normalise makes of them what the API server stores.
func (c Case) Build(rule Rule) (Change, Snapshot, v1alpha1.StatefulPolicy, error) {
	fail := func(err error) (Change, Snapshot, v1alpha1.StatefulPolicy, error) {
		return Change{}, Snapshot{}, v1alpha1.StatefulPolicy{}, fmt.Errorf("case %q: %w", c.Name, err)
	}
	ch := Change{Operation: admissionv1.Update, DryRun: c.DryRun, InFiles: c.InFiles, User: authenticationv1.UserInfo{Username: c.User}}
	err := yaml.UnmarshalStrict([]byte(c.DeleteOptions), &ch.DeleteOptions)
	if err != nil {
		return fail(err)
	}
	if ch.Old, err = overlay(c.Old); err != nil {
		return fail(err)
	}
	if ch.New, err = overlay(c.New); err != nil {
		return fail(err)
	}
	switch {
	case ch.Old == nil:
		ch.Operation = admissionv1.Create
	case ch.New == nil:
		ch.Operation = admissionv1.Delete
	}
	if c.Replacement != "" {
		replacement, err := overlay(c.Replacement)
		if err != nil {
			return fail(err)
		}
		ch.Replacement = replacement.(*appsv1.StatefulSet)
	}
	world := Snapshot{Complete: !c.InFiles}
	given := slices.Clone(c.Given)
	if !c.WithoutService && ch.Object().GetObjectKind().GroupVersionKind().Kind != "Service" {
		given = append([]string{"kind: Service"}, given...)
	}
	for _, n := range c.Ready {
		given = append(given, casePod(n, corev1.ConditionTrue))
	}
	for _, n := range c.NotReady {
		given = append(given, casePod(n, corev1.ConditionFalse))
	}
	for _, n := range c.Claims {
		given = append(given, fmt.Sprintf("{kind: PersistentVolumeClaim, metadata: {name: data-db-%d}}", n))
	}
	for _, text := range given {
		o, err := overlay(text)
		if err != nil {
			return fail(err)
		}
		world.Objects = append(world.Objects, o)
	}
	policy := v1alpha1.StatefulPolicy{ObjectMeta: metav1.ObjectMeta{Name: "example"}}
	block := fmt.Sprintf("%s: {%s}", rule.Block, cmp.Or(c.Policy, "action: Deny"))
	if err := yaml.UnmarshalStrict([]byte(block), &policy.Spec.Rules); err != nil {
		return fail(err)
	}
	return ch, world, policy, nil
}

// Judge runs the case through the engine, its objects as the API server stores them and its policy the only one.
func (c Case) Judge(rule Rule) (Verdict, error) {
	set, ch, world, err := c.prepare(rule)
	if err != nil {
		return Verdict{}, err
	}
	return set.Judge(ch, world)
}

// Default returns what the rule fills in.
func (c Case) Default(rule Rule) (Filled, error) {
	set, ch, world, err := c.prepare(rule)
	if err != nil {
		return Filled{}, err
	}
	return set.Default(ch, world)
}

func (c Case) prepare(rule Rule) (*Set, Change, Snapshot, error) {
	ch, world, policy, err := c.Build(rule)
	if err != nil {
		return nil, ch, world, err
	}
	for _, o := range append(world.Objects, ch.Old, ch.New) {
		Normalise(o)
	}
	set, err := Compile([]v1alpha1.StatefulPolicy{policy}, ProfileOff)
	return set, ch, world, err
}

func overlay(text string) (Object, error) {
	if text == "" {
		return nil, nil
	}
	var patch, original map[string]any
	if err := yaml.Unmarshal([]byte(text), &patch); err != nil {
		return nil, err
	}
	kind, _ := patch["kind"].(string)
	make, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("no base object of kind %q", kind)
	}
	if err := yaml.Unmarshal([]byte(base[kind]), &original); err != nil {
		return nil, err
	}
	o := make()
	merged, err := strategicpatch.StrategicMergeMapPatch(original, patch, o)
	if err != nil {
		return nil, err
	}
	data, err := yaml.Marshal(merged)
	if err != nil {
		return nil, err
	}
	return o, yaml.UnmarshalStrict(data, o)
}

// casePod is a member in a case. Its owner is told by its name alone, as nobody knows the UID that it will have.
func casePod(ordinal int32, ready corev1.ConditionStatus) string {
	return fmt.Sprintf(`
kind: Pod
metadata: {name: db-%[1]d, labels: {statefulset.kubernetes.io/pod-name: db-%[1]d}, ownerReferences: null}
spec: {volumes: [{name: data, persistentVolumeClaim: {claimName: data-db-%[1]d}}]}
status: {conditions: [{type: Ready, status: %[2]q}]}`, ordinal, ready)
}

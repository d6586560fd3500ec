package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/mooring-dev/mooring/policies"
)

// view is one namespace with everything in it that an audit reads, held in memory and indexed, so that judging one object
// costs no request and no search. It is the Cluster of every rule that judges something in the namespace.
type view struct {
	*surroundings
	ctx  context.Context
	name string

	sets        map[string]*appsv1.StatefulSet
	claims      map[string]*corev1.PersistentVolumeClaim
	services    map[string]*corev1.Service
	budgets     []*policyv1.PodDisruptionBudget
	autoscalers []*autoscalingv2.HorizontalPodAutoscaler
	deployments []*appsv1.Deployment

	// byTemplate finds the StatefulSet by what comes before the ordinal in the names of its claims.
	byTemplate map[string]*appsv1.StatefulSet
	// claimsOf are the claims by the StatefulSet that has a name for them.
	claimsOf map[string][]*corev1.PersistentVolumeClaim
	podList  []*corev1.Pod
	podErr   error
	podsRead bool
}

var _ policies.Cluster = (*view)(nil)

func newView(ctx context.Context, s *surroundings, name string) *view {
	return &view{
		surroundings: s, ctx: ctx, name: name,
		sets: map[string]*appsv1.StatefulSet{}, claims: map[string]*corev1.PersistentVolumeClaim{}, services: map[string]*corev1.Service{},
		byTemplate: map[string]*appsv1.StatefulSet{}, claimsOf: map[string][]*corev1.PersistentVolumeClaim{},
	}
}

// add puts an object of the namespace where it is found.
func (p *view) add(o policies.Object) {
	switch o := o.(type) {
	case *appsv1.StatefulSet:
		p.sets[o.Name] = o
		for i := range o.Spec.VolumeClaimTemplates {
			p.byTemplate[o.Spec.VolumeClaimTemplates[i].Name+"-"+o.Name] = o
		}
	case *corev1.PersistentVolumeClaim:
		p.claims[o.Name] = o
	case *corev1.Service:
		p.services[o.Name] = o
	case *policyv1.PodDisruptionBudget:
		p.budgets = append(p.budgets, o)
	case *autoscalingv2.HorizontalPodAutoscaler:
		p.autoscalers = append(p.autoscalers, o)
	case *appsv1.Deployment:
		p.deployments = append(p.deployments, o)
	}
}

// settle is called once everything has been added: it finds each claim's StatefulSet, and brings in order what came in none.
func (p *view) settle() {
	slices.SortFunc(p.budgets, byName)
	slices.SortFunc(p.autoscalers, byName)
	slices.SortFunc(p.deployments, byName)
	for _, claim := range p.claims {
		if set := p.ownerOf(claim); set != nil {
			p.claimsOf[set.Name] = append(p.claimsOf[set.Name], claim)
		}
	}
}

// ownerOf returns the StatefulSet that has a name for the claim, whichever its ordinal, or nil.
func (p *view) ownerOf(claim *corev1.PersistentVolumeClaim) *appsv1.StatefulSet {
	prefix, _, _ := cutOrdinal(claim.Name)
	set := p.byTemplate[prefix]
	if set == nil {
		return nil
	}
	if _, ok := policies.ClaimOrdinal(set, claim); !ok {
		return nil
	}
	return set
}

// cutOrdinal cuts a name at its last dash and tells whether digits follow, as they do in the names of StatefulSets' claims.
func cutOrdinal(name string) (before, digits string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", "", false
	}
	before, digits = name[:i], name[i+1:]
	return before, digits, digits != "" && strings.Trim(digits, "0123456789") == ""
}

// Namespace returns a namespace; where namespaces may not be read, its labels are unknown.
func (p *view) Namespace(name string) (*corev1.Namespace, error) {
	return known(p, namespaces, p.namespaces, name)
}

// Service returns a Service of the namespace.
func (p *view) Service(namespace, name string) (*corev1.Service, error) {
	return known(p.at(namespace), services, p.services, name)
}

// StatefulSet returns a StatefulSet of the namespace.
func (p *view) StatefulSet(namespace, name string) (*appsv1.StatefulSet, error) {
	return known(p.at(namespace), statefulSets, p.sets, name)
}

// Claim returns a claim of the namespace.
func (p *view) Claim(namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return known(p.at(namespace), claims, p.claims, name)
}

// StatefulSets returns the StatefulSets of the namespace.
func (p *view) StatefulSets(namespace string) ([]*appsv1.StatefulSet, error) {
	return allKnown(p.at(namespace), statefulSets, values(p.sets))
}

// Claims returns the claims of the namespace.
func (p *view) Claims(namespace string) ([]*corev1.PersistentVolumeClaim, error) {
	return allKnown(p.at(namespace), claims, values(p.claims))
}

// Budgets returns the PodDisruptionBudgets of the namespace.
func (p *view) Budgets(namespace string) ([]*policyv1.PodDisruptionBudget, error) {
	return allKnown(p.at(namespace), budgets, p.budgets)
}

// StorageClasses returns the cluster's storage classes.
func (p *view) StorageClasses() ([]*storagev1.StorageClass, error) {
	return allKnown(p, classes, p.classes)
}

// Pods returns the Pods of the namespace that the selector selects.
func (p *view) Pods(namespace string, selector labels.Selector) ([]*corev1.Pod, error) {
	if p.at(namespace) == nil {
		return nil, policies.ErrUnknown
	}
	all, err := p.pods()
	var selected []*corev1.Pod
	for _, pod := range all {
		if selector.Matches(labels.Set(pod.Labels)) {
			selected = append(selected, pod)
		}
	}
	return selected, err
}

// Node is unknown: nothing that stands in a cluster is judged by its nodes.
func (p *view) Node(string) (*corev1.Node, error) { return nil, policies.ErrUnknown }

// MayBypass is unknown: nobody asks for anything.
func (p *view) MayBypass(string) (bool, error) { return false, policies.ErrUnknown }

// pods reads the namespace's Pods, once and only where something needs them: there are more of them than of everything
// else together.
func (p *view) pods() ([]*corev1.Pod, error) {
	if !p.podsRead {
		p.podsRead = true
		p.podList, p.podErr = p.readPods(p.ctx, p.name)
	}
	return p.podList, p.podErr
}

// at returns the view if it is that namespace, else nil: no rule looks into another.
func (p *view) at(namespace string) *view {
	if namespace != p.name {
		return nil
	}
	return p
}

// known returns the object of that name; unknown where its kind could not be read.
func known[T any](p *view, k kind, from map[string]T, name string) (T, error) {
	var none T
	if p == nil || p.unknown.has(k, p.name) {
		return none, policies.ErrUnknown
	}
	if o, ok := from[name]; ok {
		return o, nil
	}
	return none, apierrors.NewNotFound(schema.GroupResource{Group: k.Group, Resource: k.resource}, name)
}

func allKnown[T any](p *view, k kind, all []T) ([]T, error) {
	if p == nil || p.unknown.has(k, p.name) {
		return nil, policies.ErrUnknown
	}
	return all, nil
}

func values[T any](from map[string]T) []T {
	all := make([]T, 0, len(from))
	for _, o := range from {
		all = append(all, o)
	}
	return all
}

// cannotTell tells whether the error says that something is unknown, and not that a read failed.
func cannotTell(err error) bool { return errors.Is(err, policies.ErrUnknown) }

func byName[T metav1.Object](a, b T) int { return strings.Compare(a.GetName(), b.GetName()) }

func inNamespace(name string, err error) error { return fmt.Errorf("namespace %s: %w", name, err) }

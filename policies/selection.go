package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// The labels and annotations with which the owners of namespaces and objects control Mooring.
const (
	// ProfileLabel chooses the profile of a namespace: off, baseline or restricted.
	ProfileLabel = "mooring.dev/profile"
	// ModeLabel caps the profile of a namespace: enforce, warn or audit.
	ModeLabel = "mooring.dev/mode"
	// ProtectLabel with the value "true" protects a StatefulSet, claim, Service or Namespace from deletion.
	ProtectLabel = "mooring.dev/protect"
	// KeepAnnotation lists the IDs of the rules whose defaults the object opts out of, separated by commas.
	KeepAnnotation = "mooring.dev/keep"
)

// The values of ProfileLabel, and of a default profile. ProfileOff means no profile.
const (
	ProfileOff = "off"
	Baseline   = "baseline"
	Restricted = "restricted"
)

// Profiles are the values of ProfileLabel, the laxest first.
var Profiles = append([]string{ProfileOff}, profiles.Names...)

// Modes are the values of ModeLabel, the strictest last. Case is ignored.
var Modes = []string{"audit", "warn", "enforce"}

// Names reports whether the value of ProfileLabel or ModeLabel is valid.
func Names(label, value string) bool {
	if label == ModeLabel {
		return slices.Contains(Modes, strings.ToLower(value))
	}
	return slices.Contains(Profiles, value)
}

// Set is a set of compiled policies. It is immutable, so any number of requests can share it.
type Set struct {
	rules          []Rule
	policies       []compiled
	profiles       map[string]compiled
	defaultProfile string
	// owners are the owners of all policies.
	owners []v1alpha1.Owner
}

// compiled is a policy with its selectors parsed.
type compiled struct {
	*v1alpha1.StatefulPolicy
	namespaces, objects labels.Selector
	// fills reports whether any rule of the policy has defaults to set.
	fills bool
}

// applied is a policy that applies to a change, with its mode after every cap.
type applied struct {
	compiled
	mode v1alpha1.Mode
}

// Compile prepares rules, policies and the profile of namespaces that choose none: baseline, restricted or off. The error names
// every policy and field that is invalid.
func Compile(rules []Rule, policies []v1alpha1.StatefulPolicy, defaultProfile string) (*Set, error) {
	set := &Set{rules: rules, profiles: map[string]compiled{}, defaultProfile: defaultProfile}
	for _, name := range profiles.Names {
		profile, err := profiles.Load(name)
		if err != nil {
			return nil, err
		}
		if set.profiles[name], err = compile(rules, profile); err != nil {
			return nil, err
		}
	}
	if _, ok := set.profiles[defaultProfile]; !ok && defaultProfile != ProfileOff {
		return nil, fmt.Errorf("unknown profile %q. Fix: use %q or %q", defaultProfile, profiles.Names, ProfileOff)
	}
	var errs []error
	for i := range policies {
		c, err := compile(rules, &policies[i])
		if err == nil && slices.Contains(profiles.Names, c.Name) {
			err = fmt.Errorf("StatefulPolicy %s: metadata.name: a profile has that name. Fix: use another name", c.Name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set.policies = append(set.policies, c)
		set.owners = append(set.owners, c.Spec.Owners...)
	}
	slices.SortFunc(set.policies, func(a, b compiled) int {
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), cmp.Compare(a.Name, b.Name))
	})
	return set, errors.Join(errs...)
}

func compile(rules []Rule, policy *v1alpha1.StatefulPolicy) (compiled, error) {
	match := field.NewPath("spec", "match")
	c := compiled{StatefulPolicy: policy}
	var err1, err2 error
	c.namespaces, err1 = selector(policy.Spec.Match.NamespaceSelector, match.Child("namespaceSelector"))
	c.objects, err2 = selector(policy.Spec.Match.ObjectSelector, match.Child("objectSelector"))
	errs := []error{err1, err2, exceptions(rules, policy.Spec, field.NewPath("spec", "exceptions")), owners(policy.Spec.Owners, field.NewPath("spec", "owners"))}
	for _, rule := range rules {
		errs = append(errs, rule.validate(&policy.Spec.Rules, field.NewPath("spec", "rules", rule.Block())))
	}
	if err := errors.Join(errs...); err != nil {
		return compiled{}, fmt.Errorf("StatefulPolicy %s: %w", policy.Name, err)
	}
	c.fills = slices.ContainsFunc(rules, func(rule Rule) bool { return rule.fills(&policy.Spec.Rules) })
	return c, nil
}

// selector parses a label selector; nil selects everything.
func selector(s *metav1.LabelSelector, at *field.Path) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, field.Invalid(at, metav1.FormatLabelSelector(s), err.Error())
	}
	return parsed, nil
}

// selectFor returns the policies that apply to the change, in the order in which their defaults win.
func (s *Set) selectFor(ch Change, c Cluster) ([]applied, error) {
	namespaces, err := concerned(ch, c)
	if err != nil {
		return nil, err
	}
	each := make([][]applied, len(namespaces))
	for i, namespace := range namespaces {
		each[i] = s.selectIn(namespace, ch)
	}
	return together(each), nil
}

// together combines the policies of several namespaces: each policy in its strictest mode. What relaxes must apply in all of them.
func together(each [][]applied) []applied {
	all := each[0]
	for _, more := range each[1:] {
		for _, p := range more {
			i := slices.IndexFunc(all, func(q applied) bool { return q.Name == p.Name })
			if i < 0 {
				all = append(all, p)
			} else if slices.Index(modes, p.mode) > slices.Index(modes, all[i].mode) {
				all[i].mode = p.mode
			}
		}
	}
	for i := range all {
		if !slices.ContainsFunc(each, func(in []applied) bool {
			return !slices.ContainsFunc(in, func(p applied) bool { return p.Name == all[i].Name })
		}) {
			continue
		}
		partial := *all[i].StatefulPolicy
		partial.Spec.Exceptions, partial.Spec.Operators = nil, nil
		all[i].StatefulPolicy = &partial
	}
	return all
}

// modes are the modes, the strictest last.
var modes = []v1alpha1.Mode{v1alpha1.ModeAudit, v1alpha1.ModeWarn, v1alpha1.ModeEnforce}

// selectIn returns the policies that apply to the change in a namespace.
func (s *Set) selectIn(namespace *corev1.Namespace, ch Change) []applied {
	var chosen []applied
	for _, p := range s.policies {
		if p.matches(ch, namespace) {
			chosen = append(chosen, applied{p, cmp.Or(p.Spec.Mode, v1alpha1.ModeEnforce)})
		}
	}
	if profile, ok := s.profiles[s.profileOf(namespace, chosen)]; ok {
		chosen = append(chosen, applied{profile, namespaceMode(namespace)})
	}
	return chosen
}

// profileOf returns the name of the namespace's profile: that of its label, else the strictest that the policies set, else the
// default. An invalid label does not turn the profile off.
func (s *Set) profileOf(namespace *corev1.Namespace, chosen []applied) string {
	if name := namespace.Labels[ProfileLabel]; slices.Contains(Profiles, name) {
		return name
	}
	strictest := -1
	for _, p := range chosen {
		// A policy in mode Audit changes nothing.
		if p.mode != v1alpha1.ModeAudit {
			strictest = max(strictest, slices.Index(Profiles, p.Spec.Profile))
		}
	}
	if strictest < 0 {
		return s.defaultProfile
	}
	return Profiles[strictest]
}

// Fills reports whether any object in the namespace may get defaults. If that is unknown, it returns true.
func (s *Set) Fills(namespace string, c Cluster) bool {
	n, _, err := Get[*corev1.Namespace](c, "", namespace)
	if err != nil || n == nil {
		return true
	}
	return s.profiles[s.profileOf(n, nil)].fills || slices.ContainsFunc(s.policies, func(p compiled) bool {
		return (p.fills || s.profiles[p.Spec.Profile].fills) && p.covers(n)
	})
}

// concerned returns the namespaces that a change affects, at least one: that of the object or, for a volume or attachment, of its
// claim. Other cluster-scoped objects affect the namespaces that lose something.
func concerned(ch Change, c Cluster) ([]*corev1.Namespace, error) {
	o := ch.Object()
	names := []string{o.GetNamespace()}
	var losing []string
	switch kind := kinds.Of(o); {
	case kind == kinds.Namespace:
		return []*corev1.Namespace{o.(*corev1.Namespace)}, nil
	case kind == kinds.PersistentVolume:
		if claim := o.(*corev1.PersistentVolume).Spec.ClaimRef; claim != nil {
			names[0] = claim.Namespace
		}
	case kind == kinds.VolumeAttachment:
		source := o.(*storagev1.VolumeAttachment).Spec.Source
		volume, _, err := Get[*corev1.PersistentVolume](c, "", ptr.Deref(source.PersistentVolumeName, ""))
		if err != nil {
			return nil, err
		}
		if volume != nil && volume.Spec.ClaimRef != nil {
			names[0] = volume.Spec.ClaimRef.Namespace
		}
	case kind == kinds.Node:
		members, err := MembersOn(o.GetName(), c)
		if err != nil {
			return nil, err
		}
		for _, pod := range members {
			losing = append(losing, pod.Namespace)
		}
	case kind == kinds.PriorityClass, kind == kinds.StorageClass:
		sets, err := InNeedOf(o, c)
		if err != nil {
			return nil, err
		}
		for _, set := range sets {
			losing = append(losing, set.Namespace)
		}
	case kind == kinds.CustomResourceDefinition, kind == kinds.CustomResource && names[0] == "":
		owned, err := OwnedBy(o, c)
		if err != nil {
			return nil, err
		}
		losing = owned.Namespaces()
	}
	if len(losing) > 0 {
		slices.Sort(losing)
		names = slices.Compact(losing)
	}
	var all []*corev1.Namespace
	for _, name := range names {
		namespace, err := namespaceOf(name, c)
		if err != nil {
			return nil, err
		}
		all = append(all, namespace)
	}
	return all, nil
}

// namespaceOf returns the namespace with this name, without its labels if they are unknown.
func namespaceOf(name string, c Cluster) (*corev1.Namespace, error) {
	if name == "" {
		return &corev1.Namespace{}, nil
	}
	namespace, _, err := Get[*corev1.Namespace](c, "", name)
	if namespace == nil && err == nil {
		namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		kinds.Normalise(namespace)
	}
	return namespace, err
}

func namespaceMode(namespace *corev1.Namespace) v1alpha1.Mode {
	switch strings.ToLower(namespace.Labels[ModeLabel]) {
	case "warn":
		return v1alpha1.ModeWarn
	case "audit":
		return v1alpha1.ModeAudit
	default:
		return v1alpha1.ModeEnforce
	}
}

func (c compiled) covers(namespace *corev1.Namespace) bool {
	return c.namespaces.Matches(labels.Set(namespace.Labels)) && !slices.Contains(c.Spec.Match.Exclude.Namespaces, namespace.Name)
}

func (c compiled) matches(ch Change, namespace *corev1.Namespace) bool {
	return c.covers(namespace) &&
		(selects(c.objects, ch.New) || selects(c.objects, ch.Old)) &&
		!excludes(c.Spec.Match.Exclude, ch.User)
}

// selects reports whether the object matches. Both sides of a change count, so that no one can remove a label and scale down in one
// request.
func selects(s labels.Selector, o kinds.Object) bool {
	return o != nil && s.Matches(labels.Set(o.GetLabels()))
}

func excludes(e v1alpha1.Exclude, user authenticationv1.UserInfo) bool {
	if slices.Contains(e.Users, user.Username) {
		return true
	}
	if account, ok := strings.CutPrefix(user.Username, "system:serviceaccount:"); ok {
		if slices.Contains(e.ServiceAccounts, strings.Replace(account, ":", "/", 1)) {
			return true
		}
	}
	return slices.ContainsFunc(user.Groups, func(group string) bool { return slices.Contains(e.Groups, group) })
}

// Len returns the number of policies, without the profiles.
func (s *Set) Len() int { return len(s.policies) }

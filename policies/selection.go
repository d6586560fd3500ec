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

// Labels and annotations by which the owners of namespaces and objects speak to Mooring.
const (
	// ProfileLabel on a namespace chooses its profile: off, baseline or restricted.
	ProfileLabel = "mooring.dev/profile"
	// ModeLabel on a namespace caps that profile: enforce, warn or audit.
	ModeLabel = "mooring.dev/mode"
	// ProtectLabel with the value "true" keeps a StatefulSet, claim, Service or Namespace from being deleted.
	ProtectLabel = "mooring.dev/protect"
	// KeepAnnotation on an object names the rules, by ID and separated by commas, whose defaults it does not want.
	KeepAnnotation = "mooring.dev/keep"
)

// The values of ProfileLabel, and of a default profile. ProfileOff asks for no profile at all.
const (
	ProfileOff = "off"
	Baseline   = "baseline"
	Restricted = "restricted"
)

// Profiles are the values of ProfileLabel, the laxest first.
var Profiles = append([]string{ProfileOff}, profiles.Names...)

// Modes are the values of ModeLabel, the strictest last. Capitals do not matter.
var Modes = []string{"audit", "warn", "enforce"}

// Names tells whether a value of ProfileLabel or ModeLabel names one.
func Names(label, value string) bool {
	if label == ModeLabel {
		return slices.Contains(Modes, strings.ToLower(value))
	}
	return slices.Contains(Profiles, value)
}

// Set is a number of policies, ready to judge. It does not change, so that any number of requests may share it.
type Set struct {
	rules          []Rule
	policies       []compiled
	profiles       map[string]compiled
	defaultProfile string
	// owners are those that any policy names.
	owners []v1alpha1.Owner
}

// compiled is a policy with its selectors parsed.
type compiled struct {
	*v1alpha1.StatefulPolicy
	namespaces, objects labels.Selector
	// fills tells whether any rule of the policy fills anything in.
	fills bool
}

// applied is a policy that a change has to answer to, with its mode after every cap.
type applied struct {
	compiled
	mode v1alpha1.Mode
}

// Compile prepares rules, policies and the profile for namespaces that choose none: baseline, restricted, or off. The error
// names every policy and field that cannot be used.
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

// selector parses a label selector; an absent one selects everything.
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

// selectFor returns the policies that the change has to answer to, in the order in which their defaults win.
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

// together returns the policies that hold in any of several namespaces, in the strictest of their modes. What relaxes counts where it
// holds in all of them.
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

// selectIn returns the policies that the change has to answer to in a namespace.
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
// default. A typing error leaves no namespace unguarded.
func (s *Set) profileOf(namespace *corev1.Namespace, chosen []applied) string {
	if name := namespace.Labels[ProfileLabel]; slices.Contains(Profiles, name) {
		return name
	}
	strictest := -1
	for _, p := range chosen {
		// A dry run changes nothing.
		if p.mode != v1alpha1.ModeAudit {
			strictest = max(strictest, slices.Index(Profiles, p.Spec.Profile))
		}
	}
	if strictest < 0 {
		return s.defaultProfile
	}
	return Profiles[strictest]
}

// Fills tells whether anything may be filled in for a change in the namespace, whatever its objects are. Where that cannot be
// known, it may.
func (s *Set) Fills(namespace string, c Cluster) bool {
	n, _, err := Get[*corev1.Namespace](c, "", namespace)
	if err != nil || n == nil {
		return true
	}
	return s.profiles[s.profileOf(n, nil)].fills || slices.ContainsFunc(s.policies, func(p compiled) bool {
		return (p.fills || s.profiles[p.Spec.Profile].fills) && p.covers(n)
	})
}

// concerned returns the namespace the change happens in, that of its claim for a volume, and for what has no namespace those that
// lose something by it; never none.
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

// namespaceOf returns the namespace of that name, without its owner's labels where they cannot be known.
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

// selects tells whether the object has the labels. Both sides of a change count, so that nobody takes off a label and
// scales down in one request.
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

// Len is the number of policies in the set, without the profiles.
func (s *Set) Len() int { return len(s.policies) }

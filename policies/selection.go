package policies

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies/profiles"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Labels and annotations by which the owners of namespaces and objects speak to Mooring.
const (
	// ProfileLabel on a namespace chooses its profile: off, baseline or restricted.
	ProfileLabel = "mooring.dev/profile"
	// ModeLabel on a namespace caps that profile: enforce, warn or audit.
	ModeLabel = "mooring.dev/mode"
	// KeepAnnotation on an object names the rules, by ID and separated by commas, whose defaults it does not want.
	KeepAnnotation = "mooring.dev/keep"
)

// ProfileOff is the value of ProfileLabel, and of a default profile, that asks for no profile at all.
const ProfileOff = "off"

// Set is a number of policies, ready to judge. It does not change, so that any number of requests may share it.
type Set struct {
	policies       []compiled
	profiles       map[string]compiled
	defaultProfile string
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

// Compile prepares policies and the profile for namespaces that choose none: baseline, restricted, or off. The error
// names every policy and field that cannot be used.
func Compile(policies []v1alpha1.StatefulPolicy, defaultProfile string) (*Set, error) {
	set := &Set{profiles: map[string]compiled{}, defaultProfile: defaultProfile}
	for _, name := range profiles.Names {
		profile, err := profiles.Load(name)
		if err != nil {
			return nil, err
		}
		if set.profiles[name], err = compile(profile); err != nil {
			return nil, err
		}
	}
	if _, ok := set.profiles[defaultProfile]; !ok && defaultProfile != ProfileOff {
		return nil, fmt.Errorf("no profile %q; use one of %q or %q", defaultProfile, profiles.Names, ProfileOff)
	}
	var errs []error
	for i := range policies {
		c, err := compile(&policies[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		set.policies = append(set.policies, c)
	}
	slices.SortFunc(set.policies, func(a, b compiled) int {
		return cmp.Or(cmp.Compare(b.Spec.Priority, a.Spec.Priority), cmp.Compare(a.Name, b.Name))
	})
	return set, errors.Join(errs...)
}

func compile(policy *v1alpha1.StatefulPolicy) (compiled, error) {
	match := field.NewPath("spec", "match")
	c := compiled{StatefulPolicy: policy}
	var err1, err2 error
	c.namespaces, err1 = selector(policy.Spec.Match.NamespaceSelector, match.Child("namespaceSelector"))
	c.objects, err2 = selector(policy.Spec.Match.ObjectSelector, match.Child("objectSelector"))
	err3 := words(reflect.ValueOf(policy.Spec), field.NewPath("spec"))
	err4 := oneMark(policy.Spec.Rules.ScaleDown, field.NewPath("spec", "rules", "scaleDown", "drained"))
	err5 := contradictions(policy.Spec.Rules, field.NewPath("spec", "rules"))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return compiled{}, fmt.Errorf("StatefulPolicy %s: %w", policy.Name, err)
	}
	c.fills = slices.ContainsFunc(Rules, func(rule Rule) bool { return rule.fills(&policy.Spec.Rules) })
	return c, nil
}

// words refuses an action, a mode or the like that is none, by the path of its field. In a cluster the API server does; a policy
// from a file could otherwise be mistyped and guard nothing.
func words(v reflect.Value, at *field.Path) error {
	switch v.Type() {
	case reflect.TypeFor[v1alpha1.Action]():
		return oneOf(v, at, v1alpha1.Deny, v1alpha1.Warn, v1alpha1.Audit, v1alpha1.Off)
	case reflect.TypeFor[v1alpha1.Mode]():
		return oneOf(v, at, v1alpha1.ModeEnforce, v1alpha1.ModeWarn, v1alpha1.ModeAudit)
	case reflect.TypeFor[v1alpha1.Autoscaler]():
		return oneOf(v, at, v1alpha1.AutoscalerDeny, v1alpha1.AutoscalerClamp)
	case reflect.TypeFor[v1alpha1.OperatorOwned]():
		return oneOf(v, at, v1alpha1.OperatorOwnedWarn, v1alpha1.OperatorOwnedEnforce)
	}
	var errs []error
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return words(v.Elem(), at)
		}
	case reflect.Struct:
		for f, value := range v.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			child := at
			if name != "" {
				child = at.Child(name)
			}
			optional := strings.HasSuffix(f.Tag.Get("json"), ",omitempty")
			if !optional || !value.IsZero() {
				errs = append(errs, words(value, child))
			}
		}
	}
	return errors.Join(errs...)
}

// contradictions refuses defaults that the same policy forbids, and bounds that nothing fits in.
func contradictions(r v1alpha1.Rules, at *field.Path) error {
	var errs []error
	if p := r.RetentionPolicy; p != nil && p.Default != nil && p.Require != nil {
		required := wishes(p.Require)
		for i, part := range wishes(p.Default) {
			if *part.value != "" && *required[i].value != "" && *part.value != *required[i].value {
				errs = append(errs, field.Invalid(at.Child("retentionPolicy", "default"), *part.value,
					fmt.Sprintf("the policy requires %s when %s", *required[i].value, part.when)))
			}
		}
	}
	if p := r.UpdateStrategy; p != nil && p.Default != nil && p.Default.Type != "" && p.Require != "" && p.Default.Type != p.Require {
		errs = append(errs, field.Invalid(at.Child("updateStrategy", "default", "type"), p.Default.Type, fmt.Sprintf("the policy requires %s", p.Require)))
	}
	if p := r.ClaimTemplate; p != nil && p.MinSize != nil && p.MaxSize != nil && p.MinSize.Cmp(*p.MaxSize) > 0 {
		errs = append(errs, field.Invalid(at.Child("claimTemplate", "minSize"), p.MinSize.String(), fmt.Sprintf("is more than maxSize, %s", p.MaxSize)))
	}
	if p := r.ScaleDown; p != nil {
		errs = append(errs, idle(*p, at.Child("scaleDown")))
		if floor := r.AutoscalerFloor; floor != nil && floor.MinReplicas != nil && p.MinReplicas != nil && *floor.MinReplicas < *p.MinReplicas {
			errs = append(errs, field.Invalid(at.Child("autoscalerFloor", "minReplicas"), *floor.MinReplicas,
				fmt.Sprintf("is less than scaleDown.minReplicas, %d: autoscalers would be let down to where scale-down refuses them", *p.MinReplicas)))
		}
	}
	return errors.Join(errs...)
}

// idle refuses what a policy asks of scale-downs and that guards nothing, as what it needs is missing.
func idle(p v1alpha1.ScaleDown, at *field.Path) error {
	var errs []error
	asked := func(action v1alpha1.Action) bool { return action != "" && action != v1alpha1.Off }
	if asked(p.Step) && p.MaxStep == nil {
		errs = append(errs, field.Required(at.Child("maxStep"), "without it, step guards nothing"))
	}
	if asked(p.Floor) && p.MinReplicas == nil {
		errs = append(errs, field.Required(at.Child("minReplicas"), "without it, floor guards nothing"))
	}
	if len(p.Autoscalers) > 0 && p.Autoscaler != v1alpha1.AutoscalerClamp {
		errs = append(errs, field.Required(at.Child("autoscaler"), "autoscalers names those whose requests are raised, and only Clamp raises them"))
	}
	return errors.Join(errs...)
}

// oneMark refuses a mark of drained Pods that no Pod can show, or that could be either of two.
func oneMark(p *v1alpha1.ScaleDown, at *field.Path) error {
	if p == nil || p.Drained == nil || (p.Drained.Condition != "") != (p.Drained.Annotation != nil) {
		return nil
	}
	return field.Required(at, "either condition or annotation")
}

func oneOf[T ~string](v reflect.Value, at *field.Path, known ...T) error {
	if word := T(v.String()); !slices.Contains(known, word) {
		return field.NotSupported(at, word, known)
	}
	return nil
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
	namespace, err := namespaceOf(ch, c)
	if err != nil {
		return nil, err
	}
	var chosen []applied
	governed := false
	for _, p := range s.policies {
		if !p.matches(ch, namespace) {
			continue
		}
		mode := cmp.Or(p.Spec.Mode, v1alpha1.ModeEnforce)
		chosen = append(chosen, applied{p, mode})
		// A dry run must change nothing, and so must not take the default profile's place.
		governed = governed || mode != v1alpha1.ModeAudit
	}
	if profile, ok := s.profileOf(namespace, governed); ok {
		chosen = append(chosen, applied{profile, namespaceMode(namespace)})
	}
	return chosen, nil
}

// profileOf returns the profile of a namespace, and whether it has one, which it may do without where policies govern it.
func (s *Set) profileOf(namespace *corev1.Namespace, governed bool) (compiled, bool) {
	name, labelled := namespace.Labels[ProfileLabel]
	profile, known := s.profiles[name]
	// A typing error must not leave a namespace unguarded.
	if !known && name != ProfileOff && (labelled || !governed) {
		profile, known = s.profiles[s.defaultProfile]
	}
	return profile, known
}

// Fills tells whether anything may be filled in for a change in the namespace, whatever its objects are. Where that cannot be
// known, it may.
func (s *Set) Fills(namespace string, c Cluster) bool {
	n, err := c.Namespace(namespace)
	if err != nil {
		return true
	}
	profile, _ := s.profileOf(n, false)
	return profile.fills || slices.ContainsFunc(s.policies, func(p compiled) bool { return p.fills && p.covers(n) })
}

// namespaceOf returns the namespace the change happens in, that of its claim for a volume, without its owner's labels where they cannot be known.
func namespaceOf(ch Change, c Cluster) (*corev1.Namespace, error) {
	o := ch.Object()
	if namespace, ok := o.(*corev1.Namespace); ok {
		return namespace, nil
	}
	name := o.GetNamespace()
	if volume, ok := o.(*corev1.PersistentVolume); ok && volume.Spec.ClaimRef != nil {
		name = volume.Spec.ClaimRef.Namespace
	}
	if name == "" {
		return &corev1.Namespace{}, nil
	}
	namespace, err := c.Namespace(name)
	if apierrors.IsNotFound(err) || errors.Is(err, ErrUnknown) {
		namespace = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Normalise(namespace)
		return namespace, nil
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
func selects(s labels.Selector, o Object) bool {
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

// Denies returns the IDs of the rules by which the policy refuses requests, if it is in force.
func Denies(policy *v1alpha1.StatefulPolicy) []string {
	if cmp.Or(policy.Spec.Mode, v1alpha1.ModeEnforce) != v1alpha1.ModeEnforce {
		return nil
	}
	var ids []string
	for _, rule := range Rules {
		if rule.action(&policy.Spec.Rules) == v1alpha1.Deny {
			ids = append(ids, rule.ID)
		}
	}
	return ids
}

// Len is the number of policies in the set, without the profiles.
func (s *Set) Len() int { return len(s.policies) }

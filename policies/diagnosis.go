package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Diagnosis is what looks wrong with a policy in a cluster.
type Diagnosis struct {
	// Invalid says why the policy cannot be used.
	Invalid error
	// Missing lists what the policy names and the cluster does not have; Contradicts lists requirements that no object can satisfy
	// together with another policy.
	Missing, Contradicts []string
}

// Diagnose examines all policies of a cluster together. The result is by policy name.
func Diagnose(rules []Rule, all []v1alpha1.StatefulPolicy, c Cluster) (map[string]Diagnosis, error) {
	namespaces, knowsNamespaces, err := List[*corev1.Namespace](c, "")
	if err != nil {
		return nil, err
	}
	classes, knowsClasses, err := List[*storagev1.StorageClass](c, "")
	if err != nil {
		return nil, err
	}
	found := map[string]Diagnosis{}
	var usable []compiled
	for i := range all {
		p := &all[i]
		set, err := Compile(rules, all[i:i+1], ProfileOff)
		d := Diagnosis{Invalid: err}
		if err == nil {
			usable = append(usable, set.policies[0])
			if knowsNamespaces {
				d.Missing = absent("namespace", namespacesOf(p.Spec.Match), names(namespaces))
			}
			if block := p.Spec.Rules.ClaimTemplate; knowsClasses && block != nil {
				d.Missing = append(d.Missing, absent("StorageClass", block.StorageClasses, names(classes))...)
			}
		}
		found[p.Name] = d
	}
	for i, a := range usable {
		for _, b := range usable[i+1:] {
			if !meet(a, b, namespaces) {
				continue
			}
			for _, about := range contradictions(a.Spec.Rules, b.Spec.Rules) {
				for _, pair := range [][2]string{{a.Name, b.Name}, {b.Name, a.Name}} {
					d := found[pair[0]]
					d.Contradicts = append(d.Contradicts, fmt.Sprintf("StatefulPolicy %s: %s", pair[1], about))
					found[pair[0]] = d
				}
			}
		}
	}
	return found, nil
}

func names[T metav1.Object](objects []T) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetName())
	}
	return all
}

// namespacesOf returns the namespaces that a match names.
func namespacesOf(m v1alpha1.Match) []string {
	named := slices.Clone(m.Exclude.Namespaces)
	if s := m.NamespaceSelector; s != nil {
		if name, ok := s.MatchLabels[corev1.LabelMetadataName]; ok {
			named = append(named, name)
		}
		for _, e := range s.MatchExpressions {
			if e.Key == corev1.LabelMetadataName {
				named = append(named, e.Values...)
			}
		}
	}
	return named
}

func absent(what string, named, there []string) []string {
	var missing []string
	for _, name := range named {
		if !slices.Contains(there, name) {
			missing = append(missing, fmt.Sprintf("%s %s does not exist", what, name))
		}
	}
	return missing
}

// meet reports whether both policies apply to objects in one of the namespaces, by their selectors.
func meet(a, b compiled, namespaces []*corev1.Namespace) bool {
	if a.Spec.Mode == v1alpha1.ModeAudit || b.Spec.Mode == v1alpha1.ModeAudit {
		return false
	}
	if x, y := a.Spec.Match.ObjectSelector, b.Spec.Match.ObjectSelector; x != nil && y != nil {
		for key, value := range x.MatchLabels {
			if other, ok := y.MatchLabels[key]; ok && other != value {
				return false
			}
		}
	}
	return slices.ContainsFunc(namespaces, func(n *corev1.Namespace) bool { return a.covers(n) && b.covers(n) })
}

// contradictions lists the requirements of two sets of rules that no object can satisfy together.
func contradictions(a, b v1alpha1.Rules) []string {
	found := map[string]bool{}
	differ := func(at, x, y string) {
		if x != "" && y != "" && x != y {
			wanted := []string{x, y}
			slices.Sort(wanted)
			found[fmt.Sprintf("%s requires both %s", at, strings.Join(wanted, " and "))] = true
		}
	}
	disjoint := func(at string, x, y []string) {
		if len(x) > 0 && len(y) > 0 && !slices.ContainsFunc(x, func(s string) bool { return slices.Contains(y, s) }) {
			found[at+" have none in common"] = true
		}
	}
	if x, y := a.RetentionPolicy, b.RetentionPolicy; refuses(x) && refuses(y) && x.Require != nil && y.Require != nil {
		differ("rules.retentionPolicy.require.whenDeleted", string(x.Require.WhenDeleted), string(y.Require.WhenDeleted))
		differ("rules.retentionPolicy.require.whenScaled", string(x.Require.WhenScaled), string(y.Require.WhenScaled))
	}
	if x, y := a.UpdateStrategy, b.UpdateStrategy; refuses(x) && refuses(y) {
		differ("rules.updateStrategy.require", string(x.Require), string(y.Require))
	}
	if x, y := a.ClaimTemplate, b.ClaimTemplate; refuses(x) && refuses(y) {
		disjoint("rules.claimTemplate.storageClasses", x.StorageClasses, y.StorageClasses)
		if x.MinSize != nil && y.MaxSize != nil && x.MinSize.Cmp(*y.MaxSize) > 0 || y.MinSize != nil && x.MaxSize != nil && y.MinSize.Cmp(*x.MaxSize) > 0 {
			found["rules.claimTemplate: minSize of one is more than maxSize of the other"] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// refuses reports whether the rule's block exists and has the action Deny.
func refuses[P Parameters](block *P) bool {
	return block != nil && (*block).RuleAction() == v1alpha1.Deny
}

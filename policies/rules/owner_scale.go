package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/policies/words"
)

var ownerScale = policies.Rule{
	ID:    "owner-scale",
	Title: "A custom resource does not scale a majority away",
	Doc: `An operator takes the replicas of a StatefulSet from a field of the custom resource that owns it. Who lowers that number
scales the StatefulSet down, and to refuse the operator that carries it out would only stop its work. So the request itself is
judged, as scale-down judges that of the StatefulSet, by the parameters of the same policy. The field is the one that a policy names
under spec.owners, that of a well-known operator, or that of the scale subresource in the CustomResourceDefinition. Of several
StatefulSets that a custom resource owns, those follow that have as many replicas as the field says; where that does not tell
them apart, the request is warned of. So is an autoscaler's, and the operator's own.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.CustomResource, update)},
	Checks: append(slices.Clone(scaleDown.Checks),
		policies.Check{Name: "unclear", Doc: "it is not known which of several StatefulSets follows"}),
	Logic: policies.Typed[v1alpha1.OwnerScale]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OwnerScale { return &r.OwnerScale },
		Baseline:   &v1alpha1.OwnerScale{Enforcement: warn, Data: v1alpha1.Deny},
		Restricted: &v1alpha1.OwnerScale{Enforcement: deny},
		Beside:     scalesOwnedSafely,
	},
}

func scalesOwnedSafely(ch policies.Change, c policies.Cluster, p v1alpha1.OwnerScale, around v1alpha1.Rules) ([]policies.Finding, error) {
	dials, err := loweredBy(ch, c)
	if len(dials) == 0 || ch.Old.GetDeletionTimestamp() != nil || err != nil {
		return nil, err
	}
	if decided, err := ch.Decided(c); decided || err != nil {
		return nil, err
	}
	owned, err := policies.OwnedBy(ch.Old, c)
	if err != nil {
		return nil, err
	}
	scaling := ptr.Deref(around.ScaleDown, v1alpha1.ScaleDown{})
	if !scaling.Action.Stricter(v1alpha1.Off) {
		scaling.Action = v1alpha1.Deny
	}
	var all []policies.Finding
	for _, d := range dials {
		found, err := d.judge(ch, owned.Sets, c, scaling)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			most := p.Action
			if f.Check == "data" {
				most = cmp.Or(p.Data, p.Action)
			}
			f.Action = cmp.Or(f.Action, scaling.Action).AtMost(most)
			if f.Action == v1alpha1.Deny && slices.Contains(autoscalersOf(scaling), ch.User.Username) {
				// It would try again for ever, and nothing raises the number that it asks for.
				f.Action, f.Note = v1alpha1.Warn, "an autoscaler is not refused"
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// dial is a number in a custom resource from which its operator takes the replicas of StatefulSets, and that somebody lowers.
type dial struct {
	owner    kinds.Object
	path     string
	from, to int64
	// shared tells that another such number of the custom resource was, or may have been, the same.
	shared bool
}

// loweredBy returns the numbers that the change lowers.
func loweredBy(ch policies.Change, c policies.Cluster) ([]dial, error) {
	older, newer := ch.Old.(*kinds.Custom), ch.New.(*kinds.Custom)
	definition, _, err := policies.Get[*apiextensionsv1.CustomResourceDefinition](c, "", older.Definition())
	if err != nil {
		return nil, err
	}
	var scale string
	if definition != nil {
		for _, version := range definition.Spec.Versions {
			if version.Name == older.GroupVersionKind().Version {
				scale = policies.ScalePath(version)
			}
		}
	}
	paths := policies.ReplicasPaths(older.GroupVersionKind().GroupKind(), scale, ch.Owners)
	if ch.Scale {
		if !slices.Contains(paths, scale) {
			return nil, nil
		}
		from, _ := numberAt(older, "spec.replicas")
		to, _ := numberAt(newer, "spec.replicas")
		if to >= from {
			return nil, nil
		}
		return []dial{{newer, scale, from, to, len(paths) > 1}}, nil
	}
	var lowered []dial
	seen := map[int64]int{}
	for _, path := range paths {
		from, ok1 := numberAt(older, path)
		to, ok2 := numberAt(newer, path)
		if ok1 {
			seen[from]++
		}
		if ok1 && ok2 && to < from {
			lowered = append(lowered, dial{owner: newer, path: path, from: from, to: to})
		}
	}
	for i := range lowered {
		lowered[i].shared = seen[lowered[i].from] > 1
	}
	return lowered, nil
}

func numberAt(o *kinds.Custom, path string) (int64, bool) {
	value, found, err := unstructured.NestedFieldNoCopy(o.Object, strings.Split(path, ".")...)
	if !found || err != nil {
		return 0, false
	}
	switch n := value.(type) {
	case int64:
		return n, true
	case float64:
		return int64(n), true
	}
	return 0, false
}

// judge judges what becomes of the StatefulSets that follow the number.
func (d dial) judge(ch policies.Change, owned []*appsv1.StatefulSet, c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	follow, certain := d.followers(owned)
	if len(follow) == 0 && len(owned) > 0 {
		return []policies.Finding{{
			Check: "unclear", Action: v1alpha1.Warn, Path: d.path,
			Message: fmt.Sprintf("%s, and none of its %s (%s) has %s: Mooring cannot tell which of them follows.",
				d.move(), words.Plural(len(owned), "StatefulSet"), words.Names(owned), words.Plural(d.from, "replica")),
			Remedy: "look whether each keeps a majority: " + policies.Kubectl(d.owner) + " get statefulsets",
		}}, nil
	}
	var all []policies.Finding
	for _, set := range follow {
		// An operator may add to the number, or not have followed an earlier change yet.
		replicas := int32(max(d.to, replicasOf(set)-(d.from-d.to)))
		smaller := *set
		smaller.Spec.Replicas = &replicas
		departure, err := departureOf(policies.Change{Operation: update, Old: set, New: &smaller}, c)
		if err != nil {
			return nil, err
		}
		departure.through = &d
		found, err := departure.judge(c, p)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			f.Path, f.Message = d.path, d.move()+". "+f.Message
			f.Unknown = f.Unknown || !certain
			all = append(all, f)
		}
	}
	return all, nil
}

// followers returns the StatefulSets whose replicas are those of the number, and whether that is certain.
func (d dial) followers(owned []*appsv1.StatefulSet) ([]*appsv1.StatefulSet, bool) {
	if len(owned) == 1 {
		return owned, !d.shared && replicasOf(owned[0]) >= d.from
	}
	return slices.DeleteFunc(slices.Clone(owned), func(set *appsv1.StatefulSet) bool { return replicasOf(set) != d.from }), !d.shared
}

func replicasOf(set *appsv1.StatefulSet) int64 { return statefulset.OrdinalsOf(set).Count() }

// move is the beginning of a sentence about the change.
func (d dial) move() string {
	return fmt.Sprintf("%s %s goes from %d to %d", d.owner.GetObjectKind().GroupVersionKind().Kind, d.owner.GetName(), d.from, d.to)
}

// turnTo is the command that sets the number.
func (d dial) turnTo(to int64) string {
	fields := strings.Split(d.path, ".")
	patch := fmt.Sprint(to)
	for _, field := range slices.Backward(fields) {
		patch = fmt.Sprintf(`{"%s":%s}`, field, patch)
	}
	return fmt.Sprintf("%s patch %s %s --type=merge -p '%s'", policies.Kubectl(d.owner), kinds.Singular(d.owner), d.owner.GetName(), patch)
}

// meant are the commands of who knows what the rule cannot. Of a Scale Mooring may not know what the custom resource says.
func (d dial) meant() string {
	return policies.BypassCommand("owner-scale", d.owner) + " && " + d.turnTo(d.to)
}

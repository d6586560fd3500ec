package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
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
	Doc: `An operator copies the number of replicas from a field of a custom resource to the StatefulSet that the custom resource owns.
Refusing the operator's write would only block the operator, so Mooring judges the update of the custom resource, with the same checks
and parameters as scale-down. Mooring reads the field that a policy names in spec.owners, the field of a well-known operator, or the
field of the scale subresource in the CustomResourceDefinition. If a custom resource owns several StatefulSets, Mooring judges those whose
replicas equal the old value of the field. If none does, Mooring only warns. It also only warns autoscalers and the operator itself.`,
	Severity: policies.High,
	On:       []policies.Trigger{policies.On(kinds.CustomResource, update)},
	Checks: append(slices.Clone(scaleDown.Checks),
		policies.Check{Name: "unclear", Doc: "Mooring cannot tell which of several StatefulSets the operator scales"}),
	Logic: policies.Typed[v1alpha1.OwnerScale]{
		Block:      func(r *v1alpha1.Rules) **v1alpha1.OwnerScale { return &r.OwnerScale },
		Baseline:   &v1alpha1.OwnerScale{Enforcement: warn, Data: v1alpha1.Deny},
		Restricted: &v1alpha1.OwnerScale{Enforcement: deny},
		Beside:     scalesOwnedSafely,
	},
}

func scalesOwnedSafely(ch policies.Change, c policies.Cluster, p v1alpha1.OwnerScale, around v1alpha1.Rules) ([]policies.Finding, error) {
	lowered, err := ch.Lowered(c)
	if len(lowered) == 0 || ch.Old.GetDeletionTimestamp() != nil || err != nil {
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
	for _, number := range lowered {
		found, err := dial{number, ch.Old}.judge(owned.Sets, c, scaling)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			most := p.Action
			if f.Check == "data" {
				most = cmp.Or(p.Data, p.Action)
			}
			f.Action = cmp.Or(f.Action, scaling.Action).AtMost(most)
			if slices.Contains(autoscalersOf(scaling), ch.User.Username) {
				spareAutoscaler(&f)
			}
			all = append(all, f)
		}
	}
	return all, nil
}

// dial is a number in a custom resource that is lowered.
type dial struct {
	policies.Lowered
	owner kinds.Object
}

// judge judges what becomes of the StatefulSets that follow the number.
func (d dial) judge(owned []*appsv1.StatefulSet, c policies.Cluster, p v1alpha1.ScaleDown) ([]policies.Finding, error) {
	follow, certain := d.followers(owned)
	if len(follow) == 0 && len(owned) > 0 {
		return []policies.Finding{{
			Check: "unclear", Action: v1alpha1.Warn, Path: d.Path,
			Message: fmt.Sprintf("%s, and none of its %s (%s) has %s: Mooring cannot tell which of them the operator scales.",
				d.move(), words.Plural(len(owned), "StatefulSet"), words.Names(owned), words.Plural(d.From, "replica")),
			Remedy: "check that each keeps a majority: " + policies.Kubectl(d.owner) + " get statefulsets",
		}}, nil
	}
	var all []policies.Finding
	for _, set := range follow {
		// An operator may add to the number, or not have followed an earlier change yet.
		replicas := int32(max(d.To, replicasOf(set)-(d.From-d.To)))
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
			f.Path, f.Message = d.Path, d.move()+". "+f.Message
			f.Unknown = f.Unknown || !certain
			all = append(all, f)
		}
	}
	return all, nil
}

// followers returns the StatefulSets whose replicas are those of the number, and whether that is certain.
func (d dial) followers(owned []*appsv1.StatefulSet) ([]*appsv1.StatefulSet, bool) {
	sure := !d.Shared
	if d.Item != "" {
		named := slices.DeleteFunc(slices.Clone(owned), func(set *appsv1.StatefulSet) bool { return !strings.HasSuffix(set.Name, "-"+d.Item) })
		if len(named) > 0 {
			owned, sure = named, true
		}
	}
	if len(owned) == 1 {
		return owned, sure && replicasOf(owned[0]) >= d.From
	}
	return slices.DeleteFunc(slices.Clone(owned), func(set *appsv1.StatefulSet) bool { return replicasOf(set) != d.From }), sure
}

func replicasOf(set *appsv1.StatefulSet) int64 { return statefulset.OrdinalsOf(set).Count() }

// move is the beginning of a sentence about the change.
func (d dial) move() string {
	of := d.owner.GetObjectKind().GroupVersionKind().Kind + " " + d.owner.GetName()
	if d.Item != "" {
		of += " (" + d.Item + ")"
	}
	return fmt.Sprintf("%s goes from %d to %d", of, d.From, d.To)
}

// turnTo is the command that sets the number.
func (d dial) turnTo(to int64) string {
	if strings.Contains(d.Path, "[") {
		// A merge patch cannot reach into a list.
		at := strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(d.Path)
		return fmt.Sprintf(`%s --type=json -p '[{"op":"replace","path":"/%s","value":%d}]'`, policies.Command("patch", d.owner), at, to)
	}
	fields := strings.Split(d.Path, ".")
	patch := fmt.Sprint(to)
	for _, field := range slices.Backward(fields) {
		patch = fmt.Sprintf(`{"%s":%s}`, field, patch)
	}
	return policies.Patch(d.owner, patch)
}

// meant are the commands of who knows what the rule cannot. Of a Scale Mooring may not know what the custom resource says.
func (d dial) meant() string {
	return policies.BypassCommand("owner-scale", d.owner) + " && " + d.turnTo(d.To)
}

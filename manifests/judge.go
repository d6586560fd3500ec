package manifests

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/crd"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// Judgement configures how to judge a set.
type Judgement struct {
	// Policies are the policies to judge by.
	Policies *policies.Set
	// Base is the set before the change; nil if all objects are new.
	Base *Set
	// Complete means that an object that is not in the files does not exist, if files can hold its kind.
	Complete bool
	// Together means that all files are one set, even if several have the same object.
	Together bool
	// Namespace is the namespace of objects that name none.
	Namespace string
	// Live is a cluster for objects that are not in the files, and for the current state of those that are; nil for none.
	Live policies.Cluster
	// Forbidden, if set, is called once for each resource and namespace that cannot be read in that cluster. Its objects count as
	// unknown.
	Forbidden func(error)
}

// Judge judges the objects of the set. Findings are in no particular order. Afterwards the objects have the API server's defaults.
func (s *Set) Judge(j Judgement) report.Report {
	documents, partial := s.wholes()
	r := report.Report{Objects: s.Objects, Partial: partial, Errors: s.Errors}
	prepare(documents, j.Namespace)
	x := newIndex(documents, j.Together)
	x.complete, x.live, x.tell = j.Complete, j.Live, j.Forbidden
	var older []*Document
	if j.Base != nil {
		older, _ = j.Base.wholes()
		prepare(older, j.Namespace)
	}
	pairs := compare(older, documents)
	var moved map[*Document]*appsv1.StatefulSet
	if j.Base != nil {
		moved = renamed(pairs)
	}
	for _, d := range documents {
		if _, ok := d.Object.(*appsv1.StatefulSet); ok {
			r.StatefulSets++
		}
	}

	if j.Base != nil {
		pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.now == nil && s.mayStillHold(p.was) })
	}
	found := make([][]report.Finding, len(pairs))
	errs := make([]error, len(pairs))
	parallel(len(pairs), func(i int) { found[i], errs[i] = pairs[i].judge(j.Policies, x, moved) })
	for _, d := range documents {
		if _, err := reasonsOf(d.Object); err != nil {
			r.Errors = append(r.Errors, report.Error{Position: d.Position("metadata.annotations"), Message: err.Error()})
		}
	}
	for i, p := range pairs {
		r.Findings = append(r.Findings, found[i]...)
		if errs[i] != nil {
			r.Errors = append(r.Errors, report.Error{Position: p.subject().Position(""), Message: errs[i].Error()})
		}
	}
	for _, d := range documents {
		d.File.last.tree = nil
	}
	r.Findings = report.Distinct(r.Findings)
	return r
}

// mayStillHold reports whether the set may still have the earlier object: its file or folder cannot be read now, or the set has the
// object in another place.
func (s *Set) mayStillHold(was *Document) bool {
	if s.failed[was.File.Name] || s.failed[was.File.Folder] {
		return true
	}
	ref := identity(was.Object)
	return slices.ContainsFunc(s.Documents(), func(d *Document) bool { return identity(d.Object) == ref })
}

// prepare makes the objects what the API server would store.
func prepare(documents []*Document, namespace string) {
	for _, d := range documents {
		o := d.Object
		if set, ok := o.(*appsv1.StatefulSet); ok {
			d.silent = set.Spec.Replicas == nil
		}
		if namespace == "" && d.chartNamespace() == o.GetNamespace() {
			// Objects without a namespace are in the release's.
			o.SetNamespace("")
		}
		if o.GetNamespace() == "" && !known[o.GetObjectKind().GroupVersionKind().Kind].clusterScoped {
			o.SetNamespace(namespace)
		}
		kinds.Normalise(o)
	}
}

func (p pair) judge(set *policies.Set, x *index, renamed map[*Document]*appsv1.StatefulSet) ([]report.Finding, error) {
	d := p.subject()
	if _, ok := d.Object.(*v1alpha1.StatefulPolicy); ok {
		return nil, nil
	}
	c := cluster{index: x, from: d.File}
	ch, err := p.change(c, renamed)
	if err != nil {
		return nil, err
	}
	ch.Time = time.Now()
	verdict, err := set.Judge(ch, c)
	if err != nil {
		return nil, err
	}
	var found []report.Finding
	// An invalid annotation is an error of the whole set.
	reasons, _ := reasonsOf(d.Object)
	for _, f := range verdict.Findings {
		one := report.Finding{Finding: f, Position: d.Position(f.Path), Lines: d.Lines(f.Path), Ignored: reasonFor(reasons, f)}
		if one.Position.File != d.File.Name {
			one.Source = d.File.Name
		}
		if d.File.rendering != "" {
			one.Renderings = []string{d.File.rendering}
		}
		found = append(found, one)
	}
	d.tree = nil
	return found, nil
}

// Policies returns the set's StatefulPolicies. An invalid one is an error with its place.
func (s *Set) Policies() ([]v1alpha1.StatefulPolicy, []report.Error) {
	var found []v1alpha1.StatefulPolicy
	var errs []report.Error
	for _, d := range s.Documents() {
		policy, ok := d.Object.(*v1alpha1.StatefulPolicy)
		if !ok {
			continue
		}
		refused, err := crd.Refused(policy)
		if err != nil {
			errs = append(errs, report.Error{Position: d.Position("spec"), Message: err.Error()})
		}
		for _, wrong := range refused {
			errs = append(errs, report.Error{Position: d.Position(wrong.Field), Message: fmt.Sprintf("StatefulPolicy %s: %v", policy.Name, wrong)})
		}
		if err == nil && len(refused) == 0 {
			found = append(found, *policy)
		}
	}
	return found, errs
}

package manifests

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// Judgement says how to judge a set.
type Judgement struct {
	// Policies to judge by.
	Policies *policies.Set
	// Base is the set as it was before, whose objects the set's are changes of; nil where they are new.
	Base *Set
	// Complete tells that the set is all there is: what a file could hold and none does, does not exist.
	Complete bool
	// Together tells that all files are one set, though they hold the same object several times.
	Together bool
	// Namespace is that of objects that name none.
	Namespace string
	// Live is a cluster to ask for what is not among the files, and for the objects as they are there now; nil for none.
	Live policies.Cluster
	// Forbidden, if set, is told what may not be read in that cluster, once for each resource and namespace: what is there
	// counts as unknown.
	Forbidden func(error)
}

// Judge says what the policies have against the objects of the set, in no particular order. The set's objects have the API
// server's defaults afterwards.
func (s *Set) Judge(j Judgement) report.Report {
	documents := s.Documents()
	r := report.Report{Objects: s.Objects, Errors: s.Errors}
	prepare(documents, j.Namespace)
	x := newIndex(documents, j.Together)
	x.complete, x.live, x.tell = j.Complete, j.Live, j.Forbidden
	var older []*Document
	if j.Base != nil {
		older = j.Base.Documents()
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

	found := make([][]report.Finding, len(pairs))
	errs := make([]error, len(pairs))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(pairs)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(pairs); i = int(next.Add(1)) - 1 {
				found[i], errs[i] = pairs[i].judge(j.Policies, x, moved)
			}
		})
	}
	workers.Wait()
	for i, p := range pairs {
		r.Findings = append(r.Findings, found[i]...)
		if errs[i] != nil {
			r.Errors = append(r.Errors, report.Error{Position: p.subject().Position(""), Message: errs[i].Error()})
		}
	}
	return r
}

// prepare makes of the objects what the API server would store.
func prepare(documents []*Document, namespace string) {
	for _, d := range documents {
		o := d.Object
		if set, ok := o.(*appsv1.StatefulSet); ok {
			d.silent = set.Spec.Replicas == nil
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
	v := view{index: x, from: d.File}
	ch, err := p.change(v, renamed)
	if err != nil {
		return nil, err
	}
	ch.Time = time.Now()
	verdict, err := set.Judge(ch, v)
	if err != nil {
		return nil, err
	}
	var found []report.Finding
	for _, f := range verdict.Findings {
		found = append(found, report.Finding{Finding: f, Position: d.Position(f.Path), Lines: d.Lines(f.Path)})
	}
	d.tree = nil
	return found, nil
}

// Policies returns the set's StatefulPolicies. One that cannot be used is an error with its place.
func (s *Set) Policies() ([]v1alpha1.StatefulPolicy, []report.Error) {
	var found []v1alpha1.StatefulPolicy
	var errs []report.Error
	for _, d := range s.Documents() {
		policy, ok := d.Object.(*v1alpha1.StatefulPolicy)
		if !ok {
			continue
		}
		if _, err := policies.Compile(rules.All, []v1alpha1.StatefulPolicy{*policy}, policies.ProfileOff); err != nil {
			errs = append(errs, report.Error{Position: d.Position("spec"), Message: err.Error()})
			continue
		}
		found = append(found, *policy)
	}
	return found, errs
}

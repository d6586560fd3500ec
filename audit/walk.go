package audit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
	"github.com/mooring-dev/mooring/report"
)

// Options select what to audit and the policies to judge it by.
type Options struct {
	// Cluster is the name of the cluster in findings: its kubeconfig context.
	Cluster string
	// Policies are the policies to judge by.
	Policies *policies.Set
	// DefaultProfile is the profile that the inventory shows for a namespace that chooses none.
	DefaultProfile string
	// Candidate is a profile to compare with, or "". It applies to all namespaces, whatever they choose.
	Candidate string
	// Namespaces limits the audit to these; empty means all. Selected limits it by namespace labels, Objects by object labels. Nil
	// selects everything.
	Namespaces        []string
	Selected, Objects labels.Selector
	// StuckAfter is how long a rollout may make no progress, or a member be down, before a finding.
	StuckAfter time.Duration
	// Now is the time of the audit.
	Now time.Time
	// PoliciesUnknown means that the cluster's policies cannot be read.
	PoliciesUnknown bool
	// Asker, if set, returns the name of the user. It is called if something cannot be read.
	Asker func() string
	// Progress, if set, is called with the number of judged objects and the API server's total.
	Progress func(namespace string, judged, total int)
}

// Cluster audits a cluster, namespace by namespace, and adds the result to the report. What cannot be read is in the report's
// errors, and the rest is judged. The returned error means that the audit could not finish.
//
// Each kind is listed once, in pages. The API server lists by namespace, so only a page of each kind and one namespace are in
// memory, whatever the size of the cluster.
func Cluster(ctx context.Context, reader client.Reader, o Options, into *report.Report) error {
	if o.Selected == nil {
		o.Selected = labels.Everything()
	}
	if o.Objects == nil {
		o.Objects = labels.Everything()
	}
	var candidate *policies.Set
	if o.Candidate != "" {
		var err error
		if candidate, err = policies.Compile(rules.All, nil, o.Candidate); err != nil {
			return err
		}
	}
	w := newWalk(reader, o, candidate)
	err := w.run(ctx, false)
	if errors.Is(err, errUnsorted) {
		w = newWalk(reader, o, candidate)
		err = w.run(ctx, true)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.missing) > 0 {
		user := ""
		if o.Asker != nil {
			user = o.Asker()
		}
		into.Errors = append(into.Errors, w.missing.errors(o.Cluster, user)...)
	}
	if w.report.Candidate != nil {
		w.report.Candidate.Objects, w.report.Candidate.StatefulSets = w.report.Objects, w.report.StatefulSets
	}
	into.Add(w.report)
	return err
}

// walk is an audit of a cluster.
type walk struct {
	Options
	reader    client.Reader
	candidate *policies.Set
	around    *shared
	report    report.Report

	// unknown is written by the streams during the walk.
	unknown *unknown
	// mu guards the report's errors and the missing rights, which streams write.
	mu      sync.Mutex
	missing rights
}

func newWalk(reader client.Reader, o Options, candidate *policies.Set) *walk {
	w := &walk{Options: o, reader: reader, candidate: candidate, unknown: &unknown{}, missing: rights{}}
	if o.PoliciesUnknown {
		w.missing.add(v1alpha1.GroupVersion.WithResource("statefulpolicies").GroupResource(), "")
	}
	if candidate != nil {
		w.report.Candidate = &report.Report{Subject: o.Candidate}
	}
	return w
}

// run walks the cluster. With hold, it reads everything before it judges the first namespace.
func (w *walk) run(ctx context.Context, hold bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := source{reader: w.reader, in: []string{""}, hold: hold, unknown: w.forbidden}
	if len(w.Namespaces) > 0 {
		from.in = slices.Clone(w.Namespaces)
		slices.SortFunc(from.in, func(a, b string) int { return strings.Compare(key(a), key(b)) })
		from.in = slices.Compact(from.in)
	}
	var err error
	if w.around, err = from.shared(ctx, w.unknown); err != nil {
		return err
	}
	var streams []*stream
	for _, k := range append(slices.Clone(inNamespaces), kinds.Advanced) {
		streams = append(streams, from.open(ctx, k))
	}
	var total int64
	for at := 0; ; at++ {
		name, ok, err := least(streams)
		if err != nil || !ok {
			return err
		}
		if at == 0 {
			// The first page of each kind has the total.
			for _, s := range streams {
				total += int64(len(s.page.objects)) + s.page.more
			}
		}
		c := newCluster(ctx, w.around, name)
		for _, s := range streams {
			taken, err := s.take(name)
			if err != nil {
				return err
			}
			for _, o := range taken {
				c.add(o)
			}
		}
		w.judge(c)
		if w.Progress != nil {
			w.Progress(name, w.report.Objects, int(total))
		}
	}
}

// least returns the first namespace that any stream has left.
func least(streams []*stream) (string, bool, error) {
	var name string
	found := false
	for _, s := range streams {
		ok, err := s.next()
		if err != nil {
			return "", false, err
		}
		if ok && (!found || key(s.page.objects[0].GetNamespace()) < key(name)) {
			name, found = s.page.objects[0].GetNamespace(), true
		}
	}
	return name, found, nil
}

// judge judges one namespace and adds it to the report.
func (w *walk) judge(c *cluster) {
	namespace := c.namespace()
	if !w.Selected.Empty() && (namespace == nil || !w.Selected.Matches(labels.Set(namespace.Labels))) {
		return
	}
	inventory := c.inventory(w.Objects, w.DefaultProfile)
	judged, err := c.judge(w.Policies, w.Objects, policies.Clock{Now: w.Now, StuckAfter: w.StuckAfter})
	w.failed(err)
	w.report.Objects += judged.objects
	w.report.StatefulSets += judged.sets
	for _, f := range judged.findings {
		w.report.Findings = append(w.report.Findings, report.Finding{Finding: f, Cluster: w.Cluster})
	}
	for _, workload := range inventory {
		workload.Cluster = w.Cluster
		w.report.Inventory = append(w.report.Inventory, workload)
	}
	if w.candidate != nil {
		c.overlookLabels()
		judged, err := c.judge(w.candidate, w.Objects, policies.Clock{})
		w.failed(err)
		for _, f := range judged.findings {
			w.report.Candidate.Findings = append(w.report.Candidate.Findings, report.Finding{Finding: f, Cluster: w.Cluster})
		}
	}
}

// overlookLabels ignores the profile and mode of the namespace, for a candidate profile.
func (c *cluster) overlookLabels() {
	namespace := c.namespace()
	if namespace == nil {
		return
	}
	unlabeled := namespace.DeepCopy()
	delete(unlabeled.Labels, policies.ProfileLabel)
	delete(unlabeled.Labels, policies.ModeLabel)
	bare := *c.shared
	bare.namespaces = map[string]kinds.Object{c.name: unlabeled}
	c.shared = &bare
}

// failed records what could not be judged, so that the walk can continue.
func (w *walk) failed(err error) {
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.report.Errors = append(w.report.Errors, report.Error{Cluster: w.Cluster, Message: err.Error()})
	}
}

// forbidden records a kind that cannot be read.
func (w *walk) forbidden(k *kinds.Kind, namespace string, _ error) {
	if w.unknown.add(k, namespace) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.missing.add(k.GroupResource(), namespace)
	}
}

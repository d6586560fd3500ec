package manifests

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/statefulset"
	"github.com/mooring-dev/mooring/report"
)

// Fixes are the possible fixes of a set's files, and what is left.
type Fixes struct {
	// Files are the changed files, in order.
	Files []FixedFile
	// Made are the changes. Left are the mechanical remedies that do not fit. Each is a finding or a default.
	Made, Left []Remedy
	// Remaining counts the findings that only a person can fix.
	Remaining int
	// Errors are what could not be read or judged. Everything else is fixed.
	Errors []report.Error
}

// FixedFile is a file before and after.
type FixedFile struct {
	Name          string
	Before, After []byte
}

// Remedy is an applied fix, or one that was not applied with the reason.
type Remedy struct {
	Position report.Position
	Object   policies.Ref
	Rule     string
	Message  string
}

func (r Remedy) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", r.Position, r.Object, r.Message, r.Rule)
}

// Fix returns the edits that set the policies' defaults and apply the remedies that need no decision: a governing Service becomes
// headless, and a missing headless Service or PodDisruptionBudget is added after its StatefulSet. It writes nothing. The set must
// come from Loader.Sources. The judgement's Base and Live are ignored.
func (s *Set) Fix(j Judgement) Fixes {
	documents, _ := s.wholes()
	prepare(documents, j.Namespace)
	x := newIndex(documents, j.Together)
	x.complete = j.Complete
	f := fixer{Fixes: Fixes{Errors: s.Errors}, policies: j.Policies, index: x, all: s.all, edits: map[spot]*edit{}}
	for _, d := range documents {
		if set, ok := d.Object.(*appsv1.StatefulSet); ok && d.File.fixable {
			if err := f.fix(d, set); err != nil {
				f.Errors = append(f.Errors, report.Error{Position: d.Position(""), Message: err.Error()})
			}
		}
	}
	for _, file := range s.Files {
		f.file(file)
	}
	return f.Fixes
}

// fixer collects the edits of a set.
type fixer struct {
	Fixes
	policies *policies.Set
	index    *index
	// all are the files, including those without objects that rules read.
	all     []*File
	edits   map[spot]*edit
	created []*Document
}

// spot is a document of a file. The items of a List share theirs.
type spot struct {
	file  *File
	start int
}

// edit is a document's new text, with the documents added after it.
type edit struct {
	was, text []byte
	after     [][]byte
}

func (f *fixer) edit(d *Document) *edit {
	at := spot{d.File, d.Start}
	if f.edits[at] == nil {
		f.edits[at] = &edit{was: d.Text(), text: d.Text()}
	}
	return f.edits[at]
}

// fix collects the edits for a StatefulSet.
func (f *fixer) fix(d *Document, set *appsv1.StatefulSet) error {
	c := cluster{index: f.index, from: d.File}
	if err := f.defaults(d, set, c); err != nil {
		return err
	}
	verdict, err := f.policies.Judge(policies.Change{Operation: admissionv1.Create, New: set}, c)
	if err != nil {
		return err
	}
	// Documents are added in this order: the Service first, because the Pods need it.
	slices.SortStableFunc(verdict.Findings, func(a, b policies.Finding) int { return cmp.Compare(b.Rule, a.Rule) })
	for _, finding := range verdict.Findings {
		at := Remedy{Position: d.Position(finding.Path), Object: policies.RefTo(set), Rule: finding.Rule}
		switch fix := finding.Fix; {
		case fix == nil:
			f.Remaining++
		case fix.Add:
			f.add(at, d, set, c, *fix)
		default:
			f.mend(at, set, c, *fix)
		}
	}
	return nil
}

func (f *fixer) made(r Remedy, format string, args ...any) {
	r.Message = fmt.Sprintf(format, args...)
	f.Made = append(f.Made, r)
}

func (f *fixer) left(r Remedy, format string, args ...any) {
	r.Message = fmt.Sprintf(format, args...)
	f.Left = append(f.Left, r)
}

// defaults sets the policies' defaults for fields that are not in the file.
func (f *fixer) defaults(d *Document, set *appsv1.StatefulSet, c cluster) error {
	sent, err := appendJSON(nil, d.parsed().find(d.Item), 0)
	if err != nil {
		return err
	}
	// Judge the file as what a client-side apply sends, whatever metadata it was exported with.
	set = set.DeepCopy()
	set.ManagedFields = nil
	metav1.SetMetaDataAnnotation(&set.ObjectMeta, corev1.LastAppliedConfigAnnotation, string(sent))
	filled, err := f.policies.Default(policies.Change{Operation: admissionv1.Create, New: set, InFiles: true}, c)
	if err != nil {
		return err
	}
	for _, field := range filled.Fields {
		at := Remedy{Position: d.Position(field.Path), Object: policies.RefTo(set), Rule: field.Rule}
		value, err := plain(field.Value)
		if err != nil {
			return err
		}
		f.set(at, d, field.Path, value)
	}
	return nil
}

// plain returns a field's value as a string or a number.
func plain(value any) (any, error) {
	text, err := stdjson.Marshal(value)
	if err != nil {
		return nil, err
	}
	var s string
	if stdjson.Unmarshal(text, &s) == nil {
		return s, nil
	}
	var n int64
	return n, stdjson.Unmarshal(text, &n)
}

// set sets a field.
func (f *fixer) set(at Remedy, d *Document, path string, value any) {
	e := f.edit(d)
	text, err := setField(e.text, d.Item+path, value)
	if err != nil {
		f.left(at, "%s: set it to %v by hand: %v", path, value, err)
		return
	}
	e.text = text
	f.made(at, "%s: %v", path, value)
}

// mend sets the fields of an object in the files.
func (f *fixer) mend(at Remedy, set *appsv1.StatefulSet, c cluster, fix policies.Fix) {
	at.Object = policies.RefTo(fix.Object)
	d := c.nearest(c.names[identity(fix.Object)])
	if d == nil || len(fix.Set) == 0 {
		f.Remaining++
		return
	}
	at.Position = d.Position(fix.Set[0].Path)
	service, governs := fix.Object.(*corev1.Service)
	switch {
	case fix.Undecided != "":
		f.left(at, "%s", fix.Undecided)
		return
	case !d.File.fixable:
		f.left(at, "it must be fixed, but its file is not among those that you named")
		return
	}
	if governs {
		if why := f.neededByClients(service); why != "" {
			f.left(at, "%s: give StatefulSet %s a second Service with clusterIP: None", why, set.Name)
			return
		}
	}
	for _, s := range fix.Set {
		f.set(at, d, s.Path, s.Value)
	}
	if governs {
		// The next StatefulSet with this Service sees the change.
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
}

// neededByClients says what clients lose if a Service becomes headless.
func (f *fixer) neededByClients(service *corev1.Service) string {
	for _, p := range service.Spec.Ports {
		if to := p.TargetPort.String(); to != "0" && to != "" && to != fmt.Sprint(p.Port) {
			// A named port can be any number.
			return fmt.Sprintf("its port %d has the targetPort %s, and a headless Service does not translate ports", p.Port, to)
		}
	}
	if by := f.calledByIP(service); by != "" {
		return by + " needs its cluster IP"
	}
	return ""
}

// calledByIP returns the file of an object that needs the Service's cluster IP: a container that reads it from its environment, or
// a webhook or API service, whose Service the API server resolves to it.
func (f *fixer) calledByIP(service *corev1.Service) string {
	variable := []byte(strings.ToUpper(strings.ReplaceAll(service.Name, "-", "_")) + "_SERVICE_HOST")
	named := regexp.MustCompile(`(?m)^\s*"?name"?: *["']?` + regexp.QuoteMeta(service.Name) + `["']?,?\s*$`)
	for _, file := range f.all {
		if bytes.Contains(file.Data, variable) {
			return file.Name
		}
		for _, c := range file.chunks() {
			if text := file.Data[c.start:c.end]; byServer.Match(text) && named.Match(text) {
				return file.Name
			}
		}
	}
	return ""
}

var byServer = regexp.MustCompile(`(?m)^kind: *"?(APIService|MutatingWebhookConfiguration|ValidatingWebhookConfiguration|CustomResourceDefinition)\b`)

// add adds an object as a document after the StatefulSet's, unless an object that was already added serves it too.
func (f *fixer) add(at Remedy, d *Document, set *appsv1.StatefulSet, c cluster, fix policies.Fix) {
	ref := policies.RefTo(fix.Object)
	for _, other := range f.created {
		if c.sees(other.File) && other.Object.GetNamespace() == set.Namespace && serves(other.Object, fix.Object, set) {
			return
		}
	}
	if why := cmp.Or(fix.Undecided, f.suitsOthers(fix.Object, set, c)); why != "" {
		f.left(at, "%s", why)
		return
	}
	if t := d.parsed(); (editor{tree: t}).json() {
		f.left(at, "%s is missing. Add it by hand, because a JSON file has room for one document only", ref)
		return
	}
	text, err := documentOf(fix.Object, d)
	if err != nil {
		f.left(at, "%s is missing and cannot be added: %v", ref, err)
		return
	}
	f.created = append(f.created, &Document{File: d.File, Object: fix.Object})
	e := f.edit(d)
	e.after = append(e.after, text)
	f.made(at, "%s added", ref)
}

// serves reports whether an added object does what the wanted one would do for the StatefulSet.
func serves(added, wanted kinds.Object, set *appsv1.StatefulSet) bool {
	budget, ok := added.(*policyv1.PodDisruptionBudget)
	if _, too := wanted.(*policyv1.PodDisruptionBudget); ok && too {
		return statefulset.Selects(budget.Spec.Selector, set.Spec.Template.Labels)
	}
	return identity(added) == identity(wanted)
}

// suitsOthers says what the object would do to other workloads in the files, or "".
func (f *fixer) suitsOthers(o kinds.Object, set *appsv1.StatefulSet, c cluster) string {
	if c.nearest(c.names[identity(o)]) != nil {
		return fmt.Sprintf("%s exists but does not select its Pods: correct its selector", policies.RefTo(o))
	}
	switch o := o.(type) {
	case *corev1.Service:
		selector := labels.SelectorFromSet(o.Spec.Selector)
		for other := range c.workloads(set) {
			if named, ok := other.(*appsv1.StatefulSet); ok && named.Spec.ServiceName == o.Name && !selector.Matches(podLabels(other)) {
				return fmt.Sprintf("Service %s is missing, and StatefulSet %s names it too: add it with a selector that selects the Pods of both", o.Name, named.Name)
			}
		}
	case *policyv1.PodDisruptionBudget:
		for other := range c.workloads(set) {
			if statefulset.Selects(o.Spec.Selector, podLabels(other)) {
				return fmt.Sprintf("its selector selects the Pods of %s too: add a PodDisruptionBudget that selects its Pods only", policies.RefTo(other))
			}
		}
	}
	return ""
}

// workloads yields the namespace's other StatefulSets and Deployments.
func (c cluster) workloads(but *appsv1.StatefulSet) iter.Seq[kinds.Object] {
	return func(yield func(kinds.Object) bool) {
		for _, kind := range []*kinds.Kind{kinds.StatefulSet, kinds.Deployment} {
			for _, d := range c.kinds[inNamespace{kind.Kind, but.Namespace}] {
				if d.Object != kinds.Object(but) && c.sees(d.File) && !yield(d.Object) {
					return
				}
			}
		}
	}
}

func podLabels(o kinds.Object) labels.Set {
	switch o := o.(type) {
	case *appsv1.StatefulSet:
		return o.Spec.Template.Labels
	case *appsv1.Deployment:
		return o.Spec.Template.Labels
	}
	return nil
}

// file combines a file's edits. If the documents would not mean what they should, the file is left unchanged.
func (f *fixer) file(file *File) {
	var starts []int
	for at, e := range f.edits {
		if at.file == file && (len(e.after) > 0 || !bytes.Equal(e.text, e.was)) {
			starts = append(starts, at.start)
		}
	}
	if len(starts) == 0 {
		return
	}
	slices.Sort(starts)
	var after bytes.Buffer
	done := 0
	for _, start := range starts {
		e := f.edits[spot{file, start}]
		after.Write(file.Data[done:start])
		writeWithAfter(&after, e, newlineOf(file.Data))
		done = start + len(e.was)
	}
	after.Write(file.Data[done:])
	fixed := FixedFile{Name: file.Name, Before: file.Data, After: after.Bytes()}
	if err := f.verify(file, fixed.After); err != nil {
		f.Made = slices.DeleteFunc(f.Made, func(r Remedy) bool { return r.Position.File == file.Name })
		f.Errors = append(f.Errors, report.Error{Position: report.Position{File: file.Name}, Message: fmt.Sprintf("cannot be fixed: %v", err)})
		return
	}
	f.Files = append(f.Files, fixed)
}

// writeWithAfter writes a document and those added after it. If the document's last line has no newline, neither has the new last
// line.
func writeWithAfter(to *bytes.Buffer, e *edit, newline string) {
	to.Write(e.text)
	ended := bytes.HasSuffix(e.text, []byte("\n"))
	for _, text := range e.after {
		if !bytes.HasSuffix(to.Bytes(), []byte("\n")) {
			to.WriteString(newline)
		}
		to.WriteString("---" + newline)
		to.Write(bytes.ReplaceAll(text, []byte("\n"), []byte(newline)))
	}
	if !ended && len(e.after) > 0 {
		to.Truncate(to.Len() - len(newline))
	}
}

// verify compares the meaning of a fixed file's documents with what it should be.
func (f *fixer) verify(file *File, data []byte) error {
	var want [][]byte
	for _, c := range file.chunks() {
		if e := f.edits[spot{file, c.start}]; e != nil {
			want = append(append(want, e.text), e.after...)
			continue
		}
		want = append(want, file.Data[c.start:c.end])
	}
	fixed := &File{Data: data}
	chunks := fixed.chunks()
	if len(chunks) != len(want) {
		return errors.New("its documents would run into each other")
	}
	for i, c := range chunks {
		is := data[c.start:c.end]
		if bytes.Equal(is, want[i]) {
			continue
		}
		wanted, err := meaning(want[i])
		if err != nil {
			return err
		}
		if got, err := meaning(is); err != nil || !reflect.DeepEqual(got, wanted) {
			return errors.New("one of its documents would change its meaning")
		}
	}
	return nil
}

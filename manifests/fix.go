package manifests

import (
	"bytes"
	"cmp"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

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

// Fixes are what can be done about a set's files, and what cannot.
type Fixes struct {
	// Files are those that change, in their order.
	Files []FixedFile
	// Made are the changes, and Left what has a mechanical remedy that fits it not; each is a finding or a default.
	Made, Left []Remedy
	// Remaining counts the findings that only a person can do something about.
	Remaining int
	// Errors are what could not be read or judged. Everything else is fixed all the same.
	Errors []report.Error
}

// FixedFile is one file before and after.
type FixedFile struct {
	Name          string
	Before, After []byte
}

// Remedy is one thing that was done, or that was not and why.
type Remedy struct {
	Position report.Position
	Object   policies.Ref
	Rule     string
	Message  string
}

func (r Remedy) String() string {
	return fmt.Sprintf("%s: %s: %s (%s)", r.Position, r.Object, r.Message, r.Rule)
}

// Fix works out what the policies' defaults would fill in at admission, and the remedies that need no decision: a governing
// Service without a cluster IP becomes headless, and a headless Service or a PodDisruptionBudget that is missing comes after
// its StatefulSet. Nothing is written. The set is one of Loader.Sources; of the judgement, Base and Live play no part.
func (s *Set) Fix(j Judgement) Fixes {
	documents, _ := s.wholes()
	prepare(documents, j.Namespace)
	x := newIndex(documents, j.Together)
	x.complete = j.Complete
	f := fixer{Fixes: Fixes{Errors: s.Errors}, policies: j.Policies, index: x, edits: map[spot]*edit{}}
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
	edits    map[spot]*edit
	created  []*Document
}

// spot is a document of a file: the items of a List share theirs.
type spot struct {
	file  *File
	start int
}

// edit is what becomes of a document: its text, and the documents that come after it.
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

// fix collects the edits that are due to one StatefulSet.
func (f *fixer) fix(d *Document, set *appsv1.StatefulSet) error {
	v := view{index: f.index, from: d.File}
	if err := f.defaults(d, set, v); err != nil {
		return err
	}
	verdict, err := f.policies.Judge(policies.Change{Operation: admissionv1.Create, New: set}, v)
	if err != nil {
		return err
	}
	// What is added comes in this order: the Service, which the Pods need first.
	slices.SortStableFunc(verdict.Findings, func(a, b policies.Finding) int { return cmp.Compare(b.Rule, a.Rule) })
	for _, finding := range verdict.Findings {
		at := Remedy{Position: d.Position(finding.Path), Object: policies.RefTo(set), Rule: finding.Rule}
		switch finding.ID() {
		case "headless-service/not-headless":
			f.makeHeadless(at, set, v)
		case "headless-service/missing":
			f.addService(at, d, set, v)
		case "disruption-budget/none":
			f.addBudget(at, d, set, v)
		default:
			f.Remaining++
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

// defaults writes what the policies fill in where the file is silent.
func (f *fixer) defaults(d *Document, set *appsv1.StatefulSet, v view) error {
	sent, err := appendJSON(nil, d.parsed().find(d.Item), 0)
	if err != nil {
		return err
	}
	// What the file says is what a client-side apply of it would send, whatever metadata it was exported with.
	set = set.DeepCopy()
	set.ManagedFields = nil
	metav1.SetMetaDataAnnotation(&set.ObjectMeta, corev1.LastAppliedConfigAnnotation, string(sent))
	filled, err := f.policies.Default(policies.Change{Operation: admissionv1.Create, New: set}, v)
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

// plain is a field's value as a string or a number.
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

// set writes one field.
func (f *fixer) set(at Remedy, d *Document, path string, value any) {
	e := f.edit(d)
	text, err := setField(e.text, d.Item+path, value)
	if err != nil {
		f.left(at, "%s: %v is to be set by hand: %v", path, value, err)
		return
	}
	e.text = text
	f.made(at, "%s: %v", path, value)
}

// makeHeadless takes the cluster IP from the governing Service, unless the author gave it one, or a type that needs one.
func (f *fixer) makeHeadless(at Remedy, set *appsv1.StatefulSet, v view) {
	d := v.nearest(v.names[policies.Ref{Kind: "Service", Namespace: set.Namespace, Name: set.Spec.ServiceName}])
	service := d.Object.(*corev1.Service)
	at.Position, at.Object = d.Position("spec.clusterIP"), policies.RefTo(service)
	switch {
	case !d.File.fixable:
		f.left(at, "it is not headless, and its file is not among those to fix")
	case service.Spec.Type != corev1.ServiceTypeClusterIP:
		f.left(at, "it is a %s, which cannot be headless: give StatefulSet %s a second Service with clusterIP: None", service.Spec.Type, set.Name)
	case service.Spec.ClusterIP != "":
		f.left(at, "it has the cluster IP %s, which clients may use: give StatefulSet %s a second Service with clusterIP: None", service.Spec.ClusterIP, set.Name)
	case translated(service) != "":
		f.left(at, "its port %s, and a headless Service translates no ports: give StatefulSet %s a second Service with clusterIP: None", translated(service), set.Name)
	default:
		f.set(at, d, "spec.clusterIP", corev1.ClusterIPNone)
		// The next StatefulSet that it governs finds it so.
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
}

// translated says which port of a Service leads to another, as clients of the port would miss it. Where a port has a name it may be
// any number.
func translated(service *corev1.Service) string {
	for _, p := range service.Spec.Ports {
		if to := p.TargetPort.String(); to != "0" && to != "" && to != fmt.Sprint(p.Port) {
			return fmt.Sprintf("%d leads to %s", p.Port, to)
		}
	}
	return ""
}

// addService adds the headless Service that the StatefulSet names.
func (f *fixer) addService(at Remedy, d *Document, set *appsv1.StatefulSet, v view) {
	for _, other := range f.created {
		if s, ok := other.Object.(*corev1.Service); ok && v.sees(other.File) && s.Namespace == set.Namespace && s.Name == set.Spec.ServiceName {
			return
		}
	}
	if others := f.alsoGoverned(set, v); len(others) > 0 {
		f.left(at, "Service %s is missing, and StatefulSet %s names it too: add one with a selector that selects the Pods of each", set.Spec.ServiceName, others[0])
		return
	}
	service := governingService(set)
	if len(service.Spec.Selector) == 0 {
		f.left(at, "its Pods have no labels by which Service %s could select them", service.Name)
		return
	}
	f.add(at, d, service)
}

// alsoGoverned are the names of the other StatefulSets that name the Service and whose Pods one made for this set would not
// select.
func (f *fixer) alsoGoverned(set *appsv1.StatefulSet, v view) []string {
	selector := labels.SelectorFromSet(governingService(set).Spec.Selector)
	var names []string
	for _, d := range v.kinds[inNamespace{"StatefulSet", set.Namespace}] {
		other, ok := d.Object.(*appsv1.StatefulSet)
		if ok && other != set && v.sees(d.File) && other.Spec.ServiceName == set.Spec.ServiceName && !selector.Matches(labels.Set(other.Spec.Template.Labels)) {
			names = append(names, other.Name)
		}
	}
	return names
}

// addBudget adds a PodDisruptionBudget for the StatefulSet's Pods.
func (f *fixer) addBudget(at Remedy, d *Document, set *appsv1.StatefulSet, v view) {
	for _, other := range f.created {
		b, ok := other.Object.(*policyv1.PodDisruptionBudget)
		if ok && v.sees(other.File) && b.Namespace == set.Namespace && statefulset.Selects(b.Spec.Selector, set.Spec.Template.Labels) {
			return
		}
	}
	budget := budgetFor(set)
	if v.nearest(v.names[policies.Ref{Kind: "PodDisruptionBudget", Namespace: set.Namespace, Name: budget.Name}]) != nil {
		f.left(at, "there is a PodDisruptionBudget %s, which does not select its Pods: mend its selector", budget.Name)
		return
	}
	if !statefulset.Selects(budget.Spec.Selector, set.Spec.Template.Labels) {
		f.left(at, "its selector does not select its Pods, so that no PodDisruptionBudget can be made of it")
		return
	}
	f.add(at, d, budget)
}

// add adds an object in a document of its own after the StatefulSet's.
func (f *fixer) add(at Remedy, d *Document, o kinds.Object) {
	if t := d.parsed(); (editor{tree: t}).json() {
		f.left(at, "%s is missing, and is to be added by hand: JSON has no place for another document", policies.RefTo(o))
		return
	}
	text, err := documentOf(o, d)
	if err != nil {
		f.left(at, "%s is missing, and cannot be written: %v", policies.RefTo(o), err)
		return
	}
	f.created = append(f.created, &Document{File: d.File, Object: o})
	e := f.edit(d)
	e.after = append(e.after, text)
	f.made(at, "%s added", policies.RefTo(o))
}

// file puts a file's edits together. If the documents would not mean what they are to, as a text that ends with the file may
// not, the file is left alone.
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
		f.Errors = append(f.Errors, report.Error{Position: report.Position{File: file.Name}, Message: fmt.Sprintf("cannot be fixed, and is left as it is: %v", err)})
		return
	}
	f.Files = append(f.Files, fixed)
}

// writeWithAfter writes a document and those that come after it. Where the document's last line has no end, the last line
// afterwards has none.
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

// verify compares what the documents of a fixed file mean with what they are to mean.
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
			return errors.New("one of its documents would mean something else")
		}
	}
	return nil
}

// Package replay judges the requests of a recorded audit log with the rules of package policies.
package replay

import (
	"encoding/json"
	"io"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/report"
)

// Log is a recorded audit log: the API server's events in JSON lines, plain or gzipped.
type Log struct {
	// Name is the log's name in messages.
	Name string
	io.Reader
}

// Options configure a replay.
type Options struct {
	Policies *policies.Set
	// ExcludedNamespaces are the namespaces whose requests do not reach Mooring.
	ExcludedNamespaces []string
	// MostListed limits the listed findings and changes. All are counted.
	MostListed int
}

// Logs judges the requests in the logs in the order of the API servers' responses. It merges the logs, and holds a few events of
// each; its model of the cluster grows with the cluster. What cannot be read is in the report's errors.
func Logs(logs []Log, o Options) report.Report {
	r := &replay{options: o, history: newHistory(), report: report.Report{Replay: &report.Replay{}}, tally: newTally()}
	var readers []*logReader
	for _, log := range logs {
		readers = append(readers, newLogReader(log.Name, log, func(e report.Error) { r.report.Errors = append(r.report.Errors, e) }))
	}
	merge(readers, r.event)
	r.tally.into(r.report.Replay)
	return r.report
}

// replay is a replay in progress.
type replay struct {
	options Options
	history *history
	report  report.Report
	tally   *tally
}

func (r *replay) event(e *event) {
	counts := r.report.Replay
	counts.Events++
	if counts.From.IsZero() {
		counts.From = e.StageTimestamp.UTC()
	}
	counts.To = e.StageTimestamp.UTC()
	req, ok := newRequest(e)
	if !ok {
		return
	}
	if req.operation() == "" {
		r.history.look(req)
		return
	}
	judged := req.judged() && !slices.Contains(r.options.ExcludedNamespaces, req.ObjectRef.Namespace)
	if !judged && !req.succeeded {
		return
	}
	changes, err := r.changes(req)
	if judged {
		r.judge(req, changes, err)
	}
	if req.succeeded && !req.dryRun {
		r.history.apply(req, changes, err)
	}
}

// judge judges the request and counts the result.
func (r *replay) judge(req request, changes []policies.Change, err error) {
	if err != nil {
		r.tally.unjudged(err)
		return
	}
	about := &report.Request{
		AuditID: req.AuditID, Time: req.RequestReceivedTimestamp.UTC(), Verb: req.Verb, Resource: resource(req),
		Namespace: req.ObjectRef.Namespace, Name: req.ObjectRef.Name, User: req.asker().Username, UserAgent: req.UserAgent,
	}
	if req.ResponseStatus != nil {
		about.Code = req.ResponseStatus.Code
	}
	var findings []policies.Finding
	var filled []policies.FilledField
	for _, ch := range changes {
		about.DryRun = ch.DryRun
		if about.Name == "" && len(changes) == 1 {
			about.Name = ch.Object().GetName()
		}
		if ch.Operation == admissionv1.Update && sameSpec(ch.Old, ch.New) {
			continue
		}
		around := cluster{history: r.history, user: ch.User}
		defaults, err := r.options.Policies.Default(ch, around)
		if err == nil {
			ch.New, err = fill(ch.New, defaults)
		}
		var verdict policies.Verdict
		if err == nil {
			verdict, err = r.options.Policies.Judge(ch, around)
		}
		if err != nil {
			r.tally.unjudged(err)
			return
		}
		findings, filled = append(findings, verdict.Findings...), append(filled, defaults.Fields...)
	}
	r.report.Replay.Judged++
	r.tally.count(about, findings, filled)
	r.list(about, req, findings, filled, changes)
}

func resource(req request) string {
	if req.ObjectRef.Subresource != "" {
		return req.ObjectRef.Resource + "/" + req.ObjectRef.Subresource
	}
	return req.ObjectRef.Resource
}

// list adds the findings to the report, up to the limit.
func (r *replay) list(about *report.Request, req request, findings []policies.Finding, filled []policies.FilledField, changes []policies.Change) {
	counts := r.report.Replay
	listed := func() bool {
		if len(r.report.Findings)+len(counts.Changes) < r.options.MostListed {
			return true
		}
		counts.Unlisted++
		return false
	}
	for _, f := range findings {
		if listed() {
			r.report.Findings = append(r.report.Findings, report.Finding{Finding: f, Position: req.at, Request: about})
		}
	}
	if len(filled) > 0 && listed() {
		counts.Changes = append(counts.Changes, report.Change{
			Request: about, Position: req.at, Object: policies.RefTo(changes[0].Object()), Fields: filled,
		})
	}
}

// fill returns the object with the defaults set.
func fill(o kinds.Object, defaults policies.Filled) (kinds.Object, error) {
	if len(defaults.Patch) == 0 {
		return o, nil
	}
	patch, err := json.Marshal(defaults.Patch)
	if err != nil {
		return nil, err
	}
	return patchObject(o, patch)
}

// changes returns the changes of the request: one object, or each object of a collection.
func (r *replay) changes(req request) ([]policies.Change, error) {
	if req.Verb != "deletecollection" {
		ch, err := req.change(r.history)
		return []policies.Change{ch}, err
	}
	members, err := r.history.collection(req)
	if err == nil && req.Level == auditv1.LevelMetadata {
		err = errMetadata
	}
	var changes []policies.Change
	for _, o := range members {
		ch, unreadable := req.deletion(o)
		if changes = append(changes, ch); unreadable != nil {
			err = unreadable
		}
	}
	return changes, err
}

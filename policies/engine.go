package policies

import (
	"cmp"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Judge judges a change with the policies. It selects the matching policies, runs their rules with the ratchet, applies caps,
// exceptions and bypasses, and keeps the strictest findings.
//
// The change's objects are as the API server stores them, with defaults. An error means that a read failed, so that there is no
// verdict. What is known to be unknown is no error.
func (s *Set) Judge(ch Change, c Cluster) (Verdict, error) {
	chosen, err := s.selectFor(ch, c)
	if err != nil {
		return Verdict{}, err
	}
	ch.Owners = s.owners
	return judgeBy(s.rules, chosen, ch, c)
}

// Inspect judges an object as it is, without a request. Rules about changes do not apply, and neither do ratchet and bypass. Rules
// that only a live cluster shows use the clock; a zero clock leaves them out. The object is as the API server stores it; errors are
// as in Judge.
func (s *Set) Inspect(o kinds.Object, c Cluster, clock Clock) (Verdict, error) {
	ch := Change{Operation: admissionv1.Create, New: o}
	chosen, err := s.selectFor(ch, c)
	if err != nil {
		return Verdict{}, err
	}
	ch.Time = clock.Now
	findings, err := collect(s.rules, chosen, ch, "", func(rule Rule, r *v1alpha1.Rules) ([]Finding, error) { return rule.inspect(o, c, clock, r) })
	if err != nil {
		return Verdict{}, err
	}
	relax(findings, chosen, ch.Time)
	if ownedByOperator(o) {
		warnOperator(findings, chosen, "an operator owns this object")
	}
	return conclude(findings, chosen), nil
}

// judgeBy judges the change with these rules, under the chosen policies.
func judgeBy(rules []Rule, chosen []applied, ch Change, c Cluster) (Verdict, error) {
	findings, err := collect(rules, chosen, ch, ch.Operation, func(rule Rule, r *v1alpha1.Rules) ([]Finding, error) { return rule.judge(ch, c, r) })
	if err != nil {
		return Verdict{}, err
	}
	relax(findings, chosen, ch.Time)
	if err := spare(findings, chosen, ch, c); err != nil {
		return Verdict{}, err
	}
	if err := bypass(findings, chosen, ch, c); err != nil {
		return Verdict{}, err
	}
	return conclude(findings, chosen), nil
}

// conclude lowers the findings to the modes of their policies, and returns the verdict.
func conclude(findings []Finding, chosen []applied) Verdict {
	modes := map[string]v1alpha1.Mode{}
	for _, p := range chosen {
		modes[p.Name] = p.mode
	}
	for i := range findings {
		f := &findings[i]
		mode := modes[f.Policy]
		f.WouldDeny = f.Action == v1alpha1.Deny && mode != v1alpha1.ModeEnforce
		switch mode {
		case v1alpha1.ModeWarn:
			f.atMost(v1alpha1.Warn, "the policy's mode is Warn")
		case v1alpha1.ModeAudit:
			f.atMost(v1alpha1.Audit, "the policy's mode is Audit")
		}
	}
	v := Verdict{Findings: strictest(findings)}
	for _, f := range findings {
		if f.Exception != "" && f.Action == v1alpha1.Off {
			v.Silenced = append(v.Silenced, f)
		}
	}
	return v
}

// collect returns the capped findings of ask, for each rule that sees the change and each policy that has the rule on.
func collect(rules []Rule, chosen []applied, ch Change, op admissionv1.Operation, ask func(Rule, *v1alpha1.Rules) ([]Finding, error)) ([]Finding, error) {
	var findings []Finding
	kind := kinds.Of(ch.Object())
	for _, rule := range rules {
		if !rule.sees(kind, op) {
			continue
		}
		for _, policy := range chosen {
			action := rule.Action(&policy.Spec.Rules)
			if action == v1alpha1.Off {
				continue
			}
			found, err := ask(rule, &policy.Spec.Rules)
			if err != nil {
				return nil, err
			}
			for _, f := range found {
				f.Action = cmp.Or(f.Action, action)
				f.complete(rule, policy, ch)
				f.cap(ch)
				findings = append(findings, f)
			}
		}
	}
	return findings, nil
}

// Default returns the defaults that the policies set where the user did not write the field. For policies in mode Audit, they are
// in Reported. For a scale request it returns the clamped replicas of an autoscaler.
func (s *Set) Default(ch Change, c Cluster) (Filled, error) {
	chosen, err := s.selectFor(ch, c)
	if err != nil || ch.New == nil {
		return Filled{}, err
	}
	if ch.Scale {
		// A Scale has no fields with defaults, but its replicas may be clamped for an autoscaler.
		return clamp(s.rules, chosen, ch, c)
	}
	d := newDefaults(ch)
	for _, policy := range chosen {
		if ownedByOperator(ch.New) && policy.Spec.OperatorOwned != v1alpha1.OperatorOwnedEnforce {
			continue
		}
		d.policy, d.report = policy.Name, policy.mode == v1alpha1.ModeAudit
		for _, rule := range s.rules {
			if rule.sees(kinds.Of(ch.New), ch.Operation) && rule.fills(&policy.Spec.Rules) {
				d.rule = rule.ID
				rule.fill(d, &policy.Spec.Rules)
			}
		}
	}
	return d.Filled, nil
}

// complete sets the parts of the finding that the engine knows.
func (f *Finding) complete(rule Rule, policy applied, ch Change) {
	f.Rule, f.Severity, f.Docs, f.Policy = rule.ID, rule.Severity, rule.DocsURL(), policy.Name
	if f.Object == (Ref{}) {
		f.Object = RefTo(ch.Object())
	}
	if f.Fix != nil && !f.Fix.FilesOnly {
		f.Remedy = f.Fix.remedy(f.Remedy)
	}
}

// cap lowers the finding's action to what its certainty allows.
func (f *Finding) cap(ch Change) {
	if f.Standing {
		f.atMost(v1alpha1.Warn, "unchanged by this update")
	}
	if ch.Operation == admissionv1.Update && (kinds.ReservesOrdinals(ch.Old) || kinds.ReservesOrdinals(ch.New)) {
		f.atMost(v1alpha1.Warn, "its reserveOrdinals are not taken into account")
	}
	if f.Unknown {
		f.atMost(v1alpha1.Warn, "Mooring cannot verify it")
	}
	if f.Pending && ch.DryRun {
		f.atMost(v1alpha1.Warn, "not refused in a dry run")
	}
}

// atMost lowers the action, with a note, if it is stricter.
func (f *Finding) atMost(action v1alpha1.Action, why string) {
	if f.Action.Stricter(action) {
		f.Action, f.Note = action, why
	}
}

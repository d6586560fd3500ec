package policies

import (
	"cmp"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// Judge says what the policies have against a change. It is the whole flow: the policies that match, their rules, each
// with the ratchet, then the caps, then the bypass, and of what is left the strictest.
//
// The change's objects are as the API server stores them, defaults filled in. The error says that something could not be
// read, so that nobody can tell; what is known to be unknown is no error.
func (s *Set) Judge(ch Change, c Cluster) (Verdict, error) {
	chosen, err := s.selectFor(ch, c)
	if err != nil {
		return Verdict{}, err
	}
	ch.Owners = s.owners
	return judgeBy(s.rules, chosen, ch, c)
}

// Inspect says what the policies have against an object as it stands, whoever wrote it and whenever. Rules about changes
// alone say nothing, and neither ratchet nor bypass plays a part: both are about a request. Rules that only a live cluster can
// tell judge it by the clock; the zero clock leaves them out. The object is as the API server stores it; the error is Judge's.
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

// judgeBy says what these rules have against the change under the policies chosen for it.
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

// conclude lowers the findings to the modes of their policies, and says what is left.
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

// collect returns what ask finds, for each rule that sees the change and each policy that has the rule on, capped.
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

// Default returns what the policies fill in where the user was silent. Policies that only audit fill in nothing; what
// they would have is in Reported. Of a request to scale it returns what an autoscaler gets instead.
func (s *Set) Default(ch Change, c Cluster) (Filled, error) {
	chosen, err := s.selectFor(ch, c)
	if err != nil || ch.New == nil {
		return Filled{}, err
	}
	if ch.Scale {
		// A Scale has none of the fields that have defaults, but what it asks for may be an autoscaler's.
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

// complete fills in what the engine knows better than the rule.
func (f *Finding) complete(rule Rule, policy applied, ch Change) {
	f.Rule, f.Severity, f.Docs, f.Policy = rule.ID, rule.Severity, rule.DocsURL(), policy.Name
	if f.Object == (Ref{}) {
		f.Object = RefTo(ch.Object())
	}
	if f.Fix != nil && !f.Fix.FilesOnly {
		f.Remedy = f.Fix.remedy(f.Remedy)
	}
}

// cap lowers the finding's action to what the state of knowledge allows.
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

// atMost lowers the action and says why, if it is stricter.
func (f *Finding) atMost(action v1alpha1.Action, why string) {
	if f.Action.Stricter(action) {
		f.Action, f.Note = action, why
	}
}

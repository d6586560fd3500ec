package policies

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// exceptions rejects exceptions for rules or checks that do not exist. The API server's schema catches all other mistakes.
func exceptions(rules []Rule, spec v1alpha1.StatefulPolicySpec, at *field.Path) error {
	var errs []error
	for i, e := range spec.Exceptions {
		at := at.Index(i)
		rule, ok := Find(rules, e.Rule)
		if !ok {
			errs = append(errs, field.NotSupported(at.Child("rule"), e.Rule, ids(rules)))
		}
		var known []string
		for _, check := range rule.Checks {
			known = append(known, check.Name)
		}
		for i, check := range e.Checks {
			if ok && !slices.Contains(known, check) {
				errs = append(errs, field.NotSupported(at.Child("checks").Index(i), check, known))
			}
		}
	}
	return errors.Join(errs...)
}

// inForce returns the policy's exceptions that have not ended. If the time is unknown, all are in force.
func inForce(policy *v1alpha1.StatefulPolicy, now time.Time) []v1alpha1.Exception {
	if policy.Spec.Mode == v1alpha1.ModeAudit {
		// A policy in mode Audit relaxes nothing.
		return nil
	}
	return slices.DeleteFunc(slices.Clone(policy.Spec.Exceptions), func(e v1alpha1.Exception) bool { return ended(e, now) })
}

func ended(e v1alpha1.Exception, now time.Time) bool {
	return e.Until != nil && !now.IsZero() && !now.Before(e.Until.Time)
}

// relax lowers the findings by the exceptions of the matching policies. An exception applies to the findings of other policies. A
// finding names an exception that has ended, for those who relied on it.
func relax(findings []Finding, chosen []applied, now time.Time) {
	for _, p := range chosen {
		if p.Spec.Mode == v1alpha1.ModeAudit {
			continue
		}
		for _, e := range p.Spec.Exceptions {
			for i := range findings {
				f := &findings[i]
				if f.Policy == p.Name || f.Rule != e.Rule || len(e.Checks) > 0 && !slices.Contains(e.Checks, f.Check) {
					continue
				}
				action := cmp.Or(e.Action, v1alpha1.Warn)
				switch {
				case !f.Action.Stricter(action):
				case ended(e, now):
					f.Note = fmt.Sprintf("the exception of policy %s ended at %s", p.Name, e.Until.UTC().Format(time.RFC3339))
				default:
					f.Exception = p.Name
					f.atMost(action, fmt.Sprintf("exception of policy %s: %s", p.Name, strings.TrimSpace(e.Reason)))
				}
			}
		}
	}
}

// Excepts returns what the policy's exceptions relax at that time, as rule or rule/check.
func Excepts(policy *v1alpha1.StatefulPolicy, now time.Time) []string {
	var all []string
	for _, e := range inForce(policy, now) {
		if len(e.Checks) == 0 {
			all = append(all, e.Rule)
		}
		for _, check := range e.Checks {
			all = append(all, e.Rule+"/"+check)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Denies returns the IDs of the rules with which the policy refuses requests, if it is in force.
func Denies(rules []Rule, policy *v1alpha1.StatefulPolicy) []string {
	if cmp.Or(policy.Spec.Mode, v1alpha1.ModeEnforce) != v1alpha1.ModeEnforce {
		return nil
	}
	var ids []string
	for _, rule := range rules {
		if rule.Action(&policy.Spec.Rules) == v1alpha1.Deny {
			ids = append(ids, rule.ID)
		}
	}
	return ids
}

// Unguarded returns the rules, or rule/check, that refuse nothing any more after the change from older to newer, if only this
// policy and its profile apply. Either is nil if that policy does not exist.
func (s *Set) Unguarded(older, newer *v1alpha1.StatefulPolicy, now time.Time) []string {
	before, after := s.refuses(older, now), s.refuses(newer, now)
	lost := slices.DeleteFunc(slices.Clone(before), func(id string) bool { return slices.Contains(after, id) })
	if newer != nil {
		var excepted []string
		if older != nil {
			excepted = Excepts(older, now)
		}
		for _, id := range Excepts(newer, now) {
			if rule, _, ok := strings.Cut(id, "/"); ok && slices.Contains(before, rule) && !slices.Contains(excepted, id) {
				lost = append(lost, id)
			}
		}
	}
	return lost
}

// refuses returns the rules with which a policy and its profile refuse requests.
func (s *Set) refuses(policy *v1alpha1.StatefulPolicy, now time.Time) []string {
	profile := s.defaultProfile
	var own, relaxed []string
	if policy != nil {
		own = Denies(s.rules, policy)
		relaxed = Excepts(policy, now)
		if policy.Spec.Mode != v1alpha1.ModeAudit {
			profile = cmp.Or(policy.Spec.Profile, profile)
		}
	}
	if p, ok := s.profiles[profile]; ok {
		for _, id := range Denies(s.rules, p.StatefulPolicy) {
			if !slices.Contains(relaxed, id) {
				own = append(own, id)
			}
		}
	}
	slices.Sort(own)
	return slices.Compact(own)
}

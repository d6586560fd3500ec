package webhooks

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	reviewsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_reviews_total",
		Help: "Admission reviews answered, by webhook (mutate, validate) and outcome (allowed, denied, invalid, error).",
	}, []string{"webhook", "outcome"})
	reviewSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mooring_review_duration_seconds",
		Help:    "Time from a review's arrival to its answer, in seconds.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"webhook"})
	findingsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_findings_total",
		Help: "Findings on admission, by rule, check, policy and the action taken (Deny, Warn, Audit).",
	}, []string{"rule", "check", "policy", "action"})
	defaultsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_defaults_total",
		Help: "Fields filled in where the user was silent, by rule and policy.",
	}, []string{"rule", "policy"})
	bypassesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_bypasses_total",
		Help: "Denials that an annotation took away from somebody who may bypass the policy, by rule and policy.",
	}, []string{"rule", "policy"})
	wouldDenyTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_would_deny_total",
		Help: "Findings that would have refused a request if the mode of the policy or of the namespace were Enforce, by namespace, rule, check, policy and the action taken (Warn, Audit).",
	}, []string{"namespace", "rule", "check", "policy", "action"})
	exceptionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_exceptions_total",
		Help: "Findings that an exception of a policy lowered, by namespace, rule, check and the policy with the exception.",
	}, []string{"namespace", "rule", "check", "policy"})
	panicsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_panics_total",
		Help: "Reviews that ended in a panic of a rule and were answered with an error, by webhook.",
	}, []string{"webhook"})
	shedTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mooring_reviews_shed_total",
		Help: "Reviews turned away because there were more than can be judged in time.",
	})
	reviewsUnderWay = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_reviews_under_way",
		Help: "Reviews that are being judged.",
	})
	registered = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_guard_registered",
		Help: "1 on the leader while guard has its rules, 0 before the API server has reached a replica, and on other replicas.",
	})
	ownerKinds = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_owner_kinds",
		Help: "Kinds of custom resources that own StatefulSets or claims, on the leader; 0 on other replicas.",
	})
	policiesLoaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_policies",
		Help: "StatefulPolicies in force, without the profiles.",
	})
	policiesInvalid = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_policies_invalid",
		Help: "StatefulPolicies that cannot be used; the log says why.",
	})
)

func init() {
	metrics.Registry.MustRegister(reviewsTotal, reviewSeconds, findingsTotal, defaultsTotal, bypassesTotal, wouldDenyTotal, exceptionsTotal, panicsTotal,
		shedTotal, reviewsUnderWay, policiesLoaded, policiesInvalid, registered, ownerKinds)
	for _, webhook := range []string{"mutate", "validate"} {
		// The first of what should never be must be seen to come.
		panicsTotal.WithLabelValues(webhook)
		reviewsTotal.WithLabelValues(webhook, "error")
		reviewsTotal.WithLabelValues(webhook, "invalid")
	}
}

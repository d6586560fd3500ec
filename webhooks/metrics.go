package webhooks

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	reviewsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_reviews_total",
		Help: "Answered admission reviews, by webhook (mutate, validate) and outcome (allowed, denied, invalid, error).",
	}, []string{"webhook", "outcome"})
	reviewSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mooring_review_duration_seconds",
		Help:    "Time from a review's arrival to its answer, in seconds.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"webhook"})
	findingsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_findings_total",
		Help: "Findings on admission, by rule, check, policy and action (Deny, Warn, Audit).",
	}, []string{"rule", "check", "policy", "action"})
	defaultsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_defaults_total",
		Help: "Fields filled in by defaults, by rule and policy.",
	}, []string{"rule", "policy"})
	bypassesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_bypasses_total",
		Help: "Bypassed denials, by rule and policy.",
	}, []string{"rule", "policy"})
	wouldDenyTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_would_deny_total",
		Help: "Findings that would refuse the request if the mode of the policy or namespace were Enforce, by namespace, rule, check, policy and action (Warn, Audit).",
	}, []string{"namespace", "rule", "check", "policy", "action"})
	exceptionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_exceptions_total",
		Help: "Findings that an exception lowered, by namespace, rule, check and the policy with the exception.",
	}, []string{"namespace", "rule", "check", "policy"})
	panicsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mooring_panics_total",
		Help: "Reviews in which a rule panicked, by webhook.",
	}, []string{"webhook"})
	shedTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "mooring_reviews_shed_total",
		Help: "Reviews rejected because there were too many to judge in time.",
	})
	reviewsUnderWay = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_reviews_under_way",
		Help: "Reviews being judged.",
	})
	registered = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_guard_registered",
		Help: "1 on the leader if guard has its rules, else 0.",
	})
	ownerKinds = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_owner_kinds",
		Help: "Kinds of custom resources that own StatefulSets or claims. Only the leader has them.",
	})
	policiesLoaded = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_policies",
		Help: "StatefulPolicies in use, without the profiles.",
	})
	policiesInvalid = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mooring_policies_invalid",
		Help: "StatefulPolicies that cannot be used.",
	})
)

func init() {
	metrics.Registry.MustRegister(reviewsTotal, reviewSeconds, findingsTotal, defaultsTotal, bypassesTotal, wouldDenyTotal, exceptionsTotal, panicsTotal,
		shedTotal, reviewsUnderWay, policiesLoaded, policiesInvalid, registered, ownerKinds)
	for _, webhook := range []string{"mutate", "validate"} {
		// Initialize the series, so that the first panic shows as an increase.
		panicsTotal.WithLabelValues(webhook)
		reviewsTotal.WithLabelValues(webhook, "error")
		reviewsTotal.WithLabelValues(webhook, "invalid")
	}
}

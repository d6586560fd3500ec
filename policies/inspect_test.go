package policies_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mooring-dev/mooring/policies"
)

// TestInspect checks that Inspect judges an object as it is: modes and owners cap the findings, requests do not.
func TestInspect(t *testing.T) {
	const noTime = `{kind: StatefulSet, spec: {template: {spec: {terminationGracePeriodSeconds: 0}}}}`
	deny := `{rules: {terminationGrace: {action: Deny}, scaleDown: {action: Deny, minReplicas: 5}, claimAdoption: {action: Deny}}}`
	for _, c := range []struct {
		name, policy, object string
		around               []string
		want                 []string
	}{
		{"as the rule says", deny, noTime, nil, []string{"termination-grace/zero:Deny@p"}},
		{"nothing wrong", deny, `kind: StatefulSet`, nil, nil},
		{"a policy in mode Audit", `{mode: Audit, rules: {terminationGrace: {action: Deny}}}`, noTime, nil, []string{"termination-grace/zero:Audit@p"}},
		{
			"a namespace that the policy excludes", `{match: {exclude: {namespaces: [shop]}}, rules: {terminationGrace: {action: Deny}}}`, noTime, nil, nil,
		},
		{
			"an operator's", deny,
			`{kind: StatefulSet, metadata: {ownerReferences: [{apiVersion: db.example.com/v1, kind: Database, name: db, uid: "1", controller: true}]},
			spec: {template: {spec: {terminationGracePeriodSeconds: 0}}}}`, nil, []string{"termination-grace/zero:Warn@p"},
		},
		{
			"an annotation that asks for a bypass is about a request", deny,
			`{kind: StatefulSet, metadata: {annotations: {mooring.dev/bypass: termination-grace, mooring.dev/bypass-reason: x}},
			spec: {template: {spec: {terminationGracePeriodSeconds: 0}}}}`, nil, []string{"termination-grace/zero:Deny@p"},
		},
		{
			"a missing Service is denied for an existing StatefulSet", `{rules: {headlessService: {action: Deny}}}`, `kind: StatefulSet`, nil,
			[]string{"headless-service/missing:Deny@p"},
		},
		{
			"old claims, which are a finding only for a new StatefulSet", deny, `kind: StatefulSet`,
			[]string{`{kind: PersistentVolumeClaim, metadata: {name: data-db-0}}`}, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := object(t, c.object)
			verdict, err := only(t, policy(t, "p", c.policy)).Inspect(o, cluster(t, c.around...), policies.Clock{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, short(verdict)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestInspectFails checks that a failed read is an error, not an object without findings.
func TestInspectFails(t *testing.T) {
	set := only(t, policy(t, "p", `{rules: {headlessService: {action: Deny}}}`))
	if _, err := set.Inspect(object(t, `kind: StatefulSet`), broken{Snapshot: cluster(t), errs: map[string]error{"services": errors.New("timeout")}}, policies.Clock{}); err == nil {
		t.Error("Inspect returned no error")
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const log = `
## 01-scale with profile off
$ kubectl scale sts db --replicas=0
  statefulset.apps/db scaled

## 01-scale with profile baseline
$ kubectl scale sts db --replicas=1
  Error from server (Forbidden): admission webhook "guard.mooring.dev" denied the request: scale-down/quorum: Scaling StatefulSet db
  scale-down/step: Scaling StatefulSet db
    Fix: scale down in steps
$ kubectl delete sts db
  Warning: delete-protection/running: 3 ready Pods of StatefulSet db would stop
`

func TestRow(t *testing.T) {
	const says = "baseline refuses [scale-down/quorum](../rules/scale-down.md), [scale-down/step](../rules/scale-down.md); warns of [delete-protection/running](../rules/delete-protection.md)"
	for name, test := range map[string]struct {
		expect  map[string]Expectation
		verdict string
	}{
		"all of it": {map[string]Expectation{
			"off":      {Shows: []string{"scaled"}, Never: []string{"denied"}},
			"baseline": {Refuses: []string{"scale-down/quorum", "scale-down/step"}, Warns: []string{"delete-protection/running"}},
		}, "right"},
		"in any round":               {map[string]Expectation{"script": {Shows: []string{"scaled", "denied"}}}, "right"},
		"refused in another round":   {map[string]Expectation{"off": {Refuses: []string{"scale-down/step"}}}, "**wrong**: off does not refuse scale-down/step"},
		"warned of, and not refused": {map[string]Expectation{"baseline": {Refuses: []string{"delete-protection/running"}}}, "**wrong**: baseline does not refuse delete-protection/running"},
		"refused, and not warned of": {map[string]Expectation{"baseline": {Warns: []string{"scale-down/step"}}}, "**wrong**: baseline does not warn of scale-down/step"},
		"what must not be":           {map[string]Expectation{"baseline": {Never: []string{"denied"}}}, "**wrong**: baseline shows `denied`"},
		"a round that there is not":  {map[string]Expectation{"restricted": {Shows: []string{"denied"}}}, "**wrong**: restricted does not show `denied`"},
		"nothing is expected at all": {nil, "**wrong**: cases.yaml expects nothing of it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Script{Case: Case{Tries: "scale", Expect: test.expect}, name: "01-scale", sources: "a report", expected: "refused", before: "passed"}
			row, right := s.row(log)
			want := "| 01-scale | scale | a report | refused | passed | " + says + " | " + test.verdict + " |\n"
			if diff := cmp.Diff(want, row); diff != "" || right != !strings.Contains(test.verdict, "wrong") {
				t.Errorf("right: %v, row (-want +got):\n%s", right, diff)
			}
		})
	}
}

// TestCases reads cases.yaml, and a folder's scripts with it.
func TestCases(t *testing.T) {
	if _, err := read(t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "no script") {
		t.Errorf("a folder without scripts: %v", err)
	}
}

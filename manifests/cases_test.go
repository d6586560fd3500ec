package manifests

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/kinds"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/ruletest"
)

// TestRulesMissNothingInFiles judges every rule's cases again with objects read from files, where the decoder skips fields that no
// rule reads: in block style, as people write YAML, and in flow style, as programs do.
func TestRulesMissNothingInFiles(t *testing.T) {
	for style, write := range map[string]func(any) ([]byte, error){"block": yaml.Marshal, "flow": json.Marshal} {
		for _, rule := range rules.All {
			cases, err := ruletest.Of(rule)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				t.Run(style+"/"+rule.ID+"/"+c.Name, func(t *testing.T) {
					whole, err := c.Judge()
					if err != nil {
						t.Fatal(err)
					}
					play, err := c.Build()
					if err != nil {
						t.Fatal(err)
					}
					read := func(o kinds.Object) kinds.Object {
						if o == nil || kinds.Of(o).Live {
							return o
						}
						text, err := write(o)
						if err != nil {
							t.Fatal(err)
						}
						set := Loader{Sparse: true, Stdin: strings.NewReader(string(text))}.Load(Stdin)
						if len(set.Errors) > 0 {
							t.Fatalf("%v in\n%s", set.Errors, text)
						}
						for _, f := range set.Files {
							for _, d := range f.Documents {
								return d.Object
							}
						}
						return nil
					}
					if play.Change.New != nil {
						if play.Change.New = read(play.Change.New); play.Change.New == nil {
							// It is not decoded, because it has no findings.
							if len(whole.Findings) > 0 {
								t.Errorf("not read, and the whole object has %v", whole.Findings)
							}
							return
						}
					}
					play.Change.Old = read(play.Change.Old)
					for i, o := range play.Cluster.Objects {
						play.Cluster.Objects[i] = read(o)
					}
					play.Cluster.Objects = slices.DeleteFunc(play.Cluster.Objects, func(o kinds.Object) bool { return o == nil })
					set, err := play.Set()
					if err != nil {
						t.Fatal(err)
					}
					got, err := play.Judge(set)
					if diff := cmp.Diff(whole, got, cmpopts.IgnoreFields(policies.Finding{}, "Fix")); err != nil || diff != "" {
						t.Errorf("error %v, verdict (-whole objects +as files have them):\n%s", err, diff)
					}
				})
			}
		}
	}
}

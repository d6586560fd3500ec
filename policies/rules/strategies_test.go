package rules_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	cmp "github.com/google/go-cmp/cmp"
)

// TestKnowsEveryUpdateStrategy fails when the API has an update strategy that no rule has been told of.
func TestKnowsEveryUpdateStrategy(t *testing.T) {
	folder, err := exec.Command("go", "list", "-f", "{{.Dir}}", "k8s.io/api/apps/v1").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(folder)), "types.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var strategies []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "StatefulSetUpdateStrategyType" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			strategies = append(strategies, value)
		}
		return true
	})
	slices.Sort(strategies)
	if diff := cmp.Diff([]string{"OnDelete", "Recreate", "RollingUpdate"}, strategies); diff != "" {
		t.Errorf("update-strategy, unsafe-rollout and scale-down must handle each (-handled +API):\n%s", diff)
	}
}

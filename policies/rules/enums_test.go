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

// TestKnowsEveryValue fails if an enum that rules switch on has a value that they do not handle.
func TestKnowsEveryValue(t *testing.T) {
	for pkg, enums := range map[string]map[string][]string{
		"k8s.io/api/apps/v1": {
			"StatefulSetUpdateStrategyType":            {"OnDelete", "Recreate", "RollingUpdate"},
			"PodManagementPolicyType":                  {"OrderedReady", "Parallel"},
			"PersistentVolumeClaimRetentionPolicyType": {"Delete", "Retain"},
		},
		"k8s.io/api/core/v1": {
			"PersistentVolumeReclaimPolicy": {"Delete", "Recycle", "Retain"},
			"PersistentVolumePhase":         {"Available", "Bound", "Failed", "Pending", "Released"},
			"PersistentVolumeClaimPhase":    {"Bound", "Lost", "Pending"},
			"PersistentVolumeAccessMode":    {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"},
			"PersistentVolumeMode":          {"Block", "Filesystem"},
			"PodPhase":                      {"Failed", "Pending", "Running", "Succeeded", "Unknown"},
			"ServiceType":                   {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"},
			"UnsatisfiableConstraintAction": {"DoNotSchedule", "ScheduleAnyway"},
		},
		"k8s.io/api/admission/v1":              {"Operation": {"CONNECT", "CREATE", "DELETE", "UPDATE"}},
		"k8s.io/apimachinery/pkg/apis/meta/v1": {"DeletionPropagation": {"Background", "Foreground", "Orphan"}},
	} {
		of := constants(t, pkg)
		for enum, handled := range enums {
			if diff := cmp.Diff(handled, of[enum]); diff != "" {
				t.Errorf("%s.%s: the rules must handle each (-handled +API):\n%s", pkg, enum, diff)
			}
		}
	}
}

// constants returns the sorted values of the package's typed string constants, by type.
func constants(t *testing.T, pkg string) map[string][]string {
	t.Helper()
	folder, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(folder)), "types.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, ok := spec.Type.(*ast.Ident)
		if !ok || len(spec.Values) == 0 {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values[name.Name] = append(values[name.Name], value)
		}
		return true
	})
	for _, of := range values {
		slices.Sort(of)
	}
	return values
}

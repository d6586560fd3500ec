package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ReportDefinitions returns the CustomResourceDefinitions of both policy report APIs: that of openreports.io from its module, and
// that of wgpolicyk8s.io with the same fields.
func ReportDefinitions(ctx context.Context) (openReports, workingGroup string, err error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Module.Dir}}", "github.com/openreports/reports-api/apis/openreports.io/v1alpha1").Output()
	if err != nil {
		return "", "", fmt.Errorf("finding the module of openreports.io: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config", "crd", "openreports.io_reports.yaml"))
	if err != nil {
		return "", "", err
	}
	older := strings.NewReplacer("openreports.io", "wgpolicyk8s.io", "v1alpha1", "v1alpha2",
		"name: reports.", "name: policyreports.", "kind: Report\n", "kind: PolicyReport\n", "listKind: ReportList", "listKind: PolicyReportList",
		"plural: reports", "plural: policyreports", "singular: report", "singular: policyreport")
	return string(data), older.Replace(string(data)), nil
}

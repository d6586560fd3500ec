package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme runs what README.md tells its reader to type at a cluster that has Mooring, as it stands there.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	s := shell{t, "shop", cluster.Kubeconfig}
	s.must("create", "namespace", "shop")
	manifest := func(file string) string {
		data, err := os.ReadFile(filepath.Join("../demo", file))
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(data), "mooring-demo", "shop")
	}
	s.mustWith(manifest("service.yaml"), "apply", "-f", "-")
	s.mustWith(manifest("mongodb.yaml"), "apply", "-f", "-")
	s.must("rollout", "status", "statefulset", "mongo", "--timeout=60s")

	// The first refusal of the README.
	s.must("patch", "pod", "mongo-0", "--subresource=status", "--type=strategic", "-p", `{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	first := s.refused([]string{"Policy baseline"}, "scale", "statefulset", "mongo", "--replicas=2")
	shown, _, _ := strings.Cut(string(readme)[strings.Index(string(readme), "Error from server"):], "\n\n")
	if words(first) != words(shown) {
		t.Errorf("the README shows\n%s\nthe answer is\n%s", shown, first)
	}
	s.must("patch", "pod", "mongo-0", "--subresource=status", "--type=strategic", "-p", `{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`)
	s.must("rollout", "status", "statefulset", "mongo", "--timeout=60s")

	kubectl := filepath.Dir(cluster.Kubectl(t.Context()).Path)
	for _, block := range indented(string(readme), "## Install it", "## When it must be done") {
		if strings.HasPrefix(block, "kubectl") {
			bash(t, kubectl, cluster.Kubeconfig, block)
		}
	}
	bypass := indented(string(readme), "## When it must be done", "")[0]
	grant, steps, _ := strings.Cut(bypass, "\n")
	bash(t, kubectl, cluster.Kubeconfig, grant)
	// Whoever is on call may edit the StatefulSets and has, through the group, the right to bypass.
	oncall, err := cluster.KubeconfigFor("alice", "oncall")
	if err != nil {
		t.Fatal(err)
	}
	s.must("create", "rolebinding", "oncall", "--clusterrole=edit", "--group=oncall")
	if out := bash(t, kubectl, oncall, steps); !strings.Contains(out, "Warning: scale-down/to-zero") {
		t.Errorf("the bypass is not mentioned:\n%s", out)
	}
	s.must("delete", "statefulpolicy", "databases")
}

// indented returns the code blocks between two headings, without their indent.
func indented(text, from, to string) []string {
	text = text[strings.Index(text, from):]
	if to != "" {
		text = text[:strings.Index(text, to)]
	}
	var blocks []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, "    ") {
			blocks = append(blocks, regexp.MustCompile(`(?m)^    `).ReplaceAllString(paragraph, ""))
		}
	}
	return blocks
}

func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func bash(t *testing.T, path, kubeconfig, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "PATH="+path+":"+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// hostile is text that breaks out of its place in any format that does not escape it.
const hostile = `<script>window.broken=1</script>"'&]]>,:%0A::error::x|{{.}}` + "`\\\n::error::y\x1b[31m"

func finding(rule, check string, action v1alpha1.Action, object policies.Ref, path, message, remedy string) Finding {
	r, ok := policies.Find(rules.All, rule)
	if !ok || !slices.ContainsFunc(r.Checks, func(c policies.Check) bool { return c.Name == check }) {
		panic("no check " + rule + "/" + check)
	}
	return Finding{Finding: policies.Finding{
		Rule: rule, Check: check, Policy: "baseline", Action: action, Severity: r.Severity, Object: object, Path: path,
		Message: message, Remedy: remedy, Docs: r.DocsURL(),
	}}
}

func statefulSet(namespace, name string) policies.Ref {
	return policies.Ref{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: namespace, Name: name}
}

// sampleCheck is what a check of three files may find, the last of them written by an enemy.
func sampleCheck() Report {
	service := finding("headless-service", "missing", v1alpha1.Deny, statefulSet("shop", "orders"), "spec.serviceName",
		`serviceName is "orders", and there is no such Service in namespace shop: the Pods would have no DNS names.`,
		"create it first, with clusterIP: None and a selector that selects the Pods: kubectl -n shop create service clusterip orders --clusterip=None")
	service.Position = Position{File: "deploy/orders.yaml", Line: 7, Column: 3}
	service.Lines = []Line{{6, "spec:", false}, {7, "  serviceName: orders", true}, {8, "  replicas: 5", false}}

	scale := finding("scale-down", "step", v1alpha1.Warn, statefulSet("shop", "orders"), "spec.replicas",
		"Scaling StatefulSet orders from 7 to 5 takes 2 Pods at once; the policy allows 1 at a time.",
		"kubectl -n shop scale statefulset orders --replicas=6, then the next step when all Pods are ready.")
	scale.Position, scale.Note, scale.Policy = Position{File: "deploy/orders.yaml", Line: 8, Column: 3}, "unchanged by this update", "restricted"
	scale.Lines = []Line{{7, "  serviceName: orders", false}, {8, "  replicas: 5", true}, {9, "  selector:", false}}

	budget := finding("disruption-budget", "none", v1alpha1.Audit, statefulSet("shop", "orders"), "spec.template.metadata.labels",
		"No PodDisruptionBudget selects the Pods: a drain may take several members at once.", "add a PodDisruptionBudget with maxUnavailable: 1.")
	budget.Position = Position{File: "deploy/orders.yaml", Line: 15, Column: 7}

	rendered := finding("termination-grace", "zero", v1alpha1.Deny, statefulSet("metrics", "store"), "spec.template.spec.terminationGracePeriodSeconds",
		"terminationGracePeriodSeconds is 0: a Pod would be killed before it can hand over.", "leave the field out, or give it 30 or more.")
	rendered.Position = Position{File: "charts/store", Line: 41, Column: 7, Template: "templates/statefulset.yaml"}

	enemy := finding("readiness", "no-probe", v1alpha1.Warn, statefulSet("a:b,c", hostile), "spec.template.spec.containers["+hostile+"]", "Container "+hostile+" has no readiness probe.", "add one: "+hostile)
	enemy.Position = Position{File: "deploy/50% of: a,b.yaml", Line: 2, Column: 1}
	enemy.Lines = []Line{{1, "name: |", false}, {2, hostile, true}}
	enemy.Policy, enemy.Bypassed = hostile, hostile

	accepted := finding("spread", "together", v1alpha1.Warn, statefulSet("shop", "orders"), "spec.template.spec",
		"Nothing keeps the 5 Pods apart: one node may hold them all.", "add a topology spread constraint over kubernetes.io/hostname.")
	accepted.Position, accepted.Ignored = Position{File: "overlays/dev/patch.yaml", Line: 3, Column: 5}, "one node in development"
	accepted.Source = "deploy/orders.yaml"

	return Report{
		Command: "check", Subject: "deploy, charts/store", Known: 4, Gone: 1, Version: "v1.2.3", Objects: 12, StatefulSets: 3,
		// They come in no order, and every format has to make one.
		Findings: []Finding{enemy, budget, rendered, scale, service, accepted},
		Errors: []Error{
			{Position: Position{File: "deploy/broken.yaml", Line: 14}, Message: "mapping values are not allowed in this context"},
			{Message: "no kubeconfig context is named " + hostile},
		},
	}
}

// sampleAudit is what an audit of two clusters may find.
func sampleAudit() Report {
	claim := finding("delete-protection", "data", v1alpha1.Warn, statefulSet("shop", "db"), "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
		"whenDeleted is Delete: deleting the StatefulSet would delete 3 claims (data-db-0, data-db-1, data-db-2) with their data.",
		`keep the claims: kubectl -n shop patch statefulset db -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain"}}}'`)
	spread := finding("spread", "together", v1alpha1.Audit, statefulSet("metrics", "store"), "spec.template.spec",
		"Nothing keeps the 3 Pods apart: one node may hold them all.", "add a topology spread constraint over kubernetes.io/hostname.")
	namespace := finding("delete-protection", "namespace", v1alpha1.Deny, policies.Ref{APIVersion: "v1", Kind: "Namespace", Name: "shop"}, "metadata.labels",
		"Namespace shop holds 3 claims of StatefulSets.", "label it: kubectl label namespace shop mooring.dev/protect=true")
	strict := claim
	strict.Action, strict.Policy = v1alpha1.Deny, "restricted"
	probe := finding("readiness", "no-probe", v1alpha1.Deny, statefulSet("shop", "db"), "spec.template.spec.containers[db]", "Container db has no readiness probe.", "add a readinessProbe.")
	probe.Policy = "restricted"
	for _, f := range []*Finding{&claim, &strict, &probe, &namespace} {
		f.Cluster = "prod-eu"
	}
	spread.Cluster = "prod-us"
	return Report{
		Command: "audit", Subject: "prod-eu and prod-us", Clusters: []string{"prod-eu", "prod-us", "test"}, Time: sampleTime, Version: "v1.2.3", Objects: 9, StatefulSets: 3,
		Findings: []Finding{spread, claim, namespace},
		Inventory: []Workload{
			{"prod-us", "metrics", "store", 3, 3, 3, 3 << 40, "Retain", "Retain", "restricted", true},
			{"prod-eu", "shop", "db", 3, 2, 3, 30 << 30, "Delete", "Retain", "baseline", false},
			{"prod-eu", "shop", "cache", 10, 10, 0, 0, "Retain", "Retain", "baseline", false},
		},
		Candidate: &Report{Subject: "restricted", Findings: []Finding{strict, probe, namespace}, Objects: 9, StatefulSets: 3},
	}
}

// sampleFleet is what an audit of 40 clusters may find, one of which cannot be read.
func sampleFleet() Report {
	fleet := Report{Command: "audit", Subject: "cluster-00, cluster-01 and 38 more", Time: sampleTime, Version: "v1.2.3", Limit: 4}
	for i := range 40 {
		cluster := fmt.Sprintf("gke_example-production_europe-west%d_cluster-%02d", i%4+1, i)
		fleet.Clusters = append(fleet.Clusters, cluster)
		if i == 7 {
			fleet.Errors = append(fleet.Errors, Error{Cluster: cluster, Message: "the API server does not answer"})
			continue
		}
		for n := range i%5 + 1 {
			namespace := fmt.Sprintf("team-%02d", (i+n)%23)
			name := fmt.Sprintf("db-%d", n)
			fleet.Objects += 4
			fleet.StatefulSets++
			w := Workload{cluster, namespace, name, 3, 3, 3, int64(i+1) << 40, "Retain", "Retain", "baseline", n == 0}
			if n == 1 {
				w.WhenDeleted = "Delete"
				claim := finding("claim-at-risk", "reclaim", v1alpha1.Warn, statefulSet(namespace, name), "spec.persistentVolumeClaimRetentionPolicy.whenDeleted",
					"When StatefulSet "+name+" is deleted, its claims are deleted, and the volumes of 3 claims have the reclaim policy Delete.", "keep the claims: kubectl --context="+cluster+" -n "+namespace+" patch statefulset "+name)
				claim.Cluster = cluster
				fleet.Findings = append(fleet.Findings, claim)
			}
			if (i+n)%6 == 0 {
				service := finding("headless-service", "missing", v1alpha1.Deny, statefulSet(namespace, name), "spec.serviceName", "Service "+name+" does not exist in namespace "+namespace+".", "kubectl --context="+cluster+" -n "+namespace+" create service clusterip "+name+" --clusterip=None")
				service.Cluster = cluster
				fleet.Findings = append(fleet.Findings, service)
			}
			fleet.Inventory = append(fleet.Inventory, w)
		}
	}
	return fleet
}

var sampleTime = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

// sampleReplay is what a recorded log may tell.
func sampleReplay() Report {
	at := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	request := &Request{
		AuditID: "0a1b", Time: at, Verb: "patch", Resource: "statefulsets/scale", Namespace: "shop", Name: "orders",
		User: hostile, UserAgent: "kubectl/v1.37.2", Code: 200,
	}
	scale := finding("scale-down", "step", v1alpha1.Deny, statefulSet("shop", "orders"), "spec.replicas",
		"Scaling StatefulSet orders from 7 to 5 takes 2 Pods at once; the policy allows 1 at a time.",
		"kubectl -n shop scale statefulset orders --replicas=6, then the next step when all Pods are ready.")
	scale.Request, scale.Position = request, Position{File: "audit.log", Line: 12}
	once := Outcomes{Denied: 1, Changed: 1}
	return Report{
		Command: "replay", Subject: "audit.log", Time: sampleTime, Version: "v1.2.3", Findings: []Finding{scale}, Objects: 4, StatefulSets: 2,
		Replay: &Replay{
			From: at.Add(-time.Hour), To: at, Events: 812, Judged: 9, Outcomes: once, Unlisted: 2,
			Unjudged: []Count{{"the event has no request body, as its level is Metadata", 3}},
			Groups: []Group{
				{"rule", []Row{{"scale-down", once, at, at}}}, {"user", []Row{{hostile, once, at, at}}},
				{"tool", []Row{{"kubectl", once, at, at}}}, {"namespace", []Row{{"shop", once, at, at}}},
			},
			Changes: []Change{{request, Position{File: "audit.log", Line: 13}, statefulSet("shop", "orders"), []policies.FilledField{
				{Path: "spec.persistentVolumeClaimRetentionPolicy.whenDeleted", Value: "Retain", Rule: "retention-policy", Policy: "restricted"},
			}}},
		},
	}
}

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// security is where a page says what it allows.
var security = regexp.MustCompile(`(http-equiv="Content-Security-Policy" content=")([^"]*)`)

// withoutAssets puts names in the place of the style, the script and what allows them, which are the same on every page.
func withoutAssets(page string) string {
	return security.ReplaceAllString(strings.NewReplacer(pageCSS, "page.css", pageScript, "page.js").Replace(page), "${1}security")
}

// TestPageAllowsItself says that each page brings its style and its script, and allows them by their hashes and nothing else.
func TestPageAllowsItself(t *testing.T) {
	page := written(t, "html", sampleCheck())
	allowed := html.UnescapeString(security.FindStringSubmatch(page)[2])
	for name, pattern := range map[string]string{"style-src": `(?s)<style>(.*)</style>`, "script-src": `(?s)<script>("use strict".*)</script>`} {
		part := regexp.MustCompile(pattern).FindStringSubmatch(page)
		if part == nil {
			t.Fatalf("no part of the page matches %s", pattern)
		}
		sum := sha256.Sum256([]byte(part[1]))
		if want := name + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(allowed, want) {
			t.Errorf("%s lacks %s", allowed, want)
		}
	}
	if !strings.HasPrefix(allowed, "default-src 'none';") {
		t.Errorf("%s allows more", allowed)
	}
}

// TestGolden holds each format of each sample against its file in testdata; with -update it writes them.
func TestGolden(t *testing.T) {
	for name, r := range map[string]Report{
		"check": sampleCheck(), "audit": sampleAudit(), "fleet": sampleFleet(), "replay": sampleReplay(), "clean": {Subject: "deploy", Version: "v1.2.3", Objects: 4, StatefulSets: 1},
	} {
		for _, format := range Formats {
			if name == "fleet" && format.Name != "text" && format.Name != "html" {
				// The other formats do not know of sizes.
				continue
			}
			t.Run(name+"/"+format.Name, func(t *testing.T) {
				var got bytes.Buffer
				if err := format.Write(&got, r); err != nil {
					t.Fatal(err)
				}
				written := got.String()
				if format.Name == "html" {
					written = withoutAssets(written)
				}
				file := filepath.Join("testdata", name+"."+format.Name)
				if *update {
					if err := os.WriteFile(file, []byte(written), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatalf("%v; -update writes it", err)
				}
				if diff := cmp.Diff(string(want), written); diff != "" {
					t.Errorf("%s is another (-want +got):\n%s", file, diff)
				}
			})
		}
	}
}

package replay

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mooring-dev/mooring/policies"
	"github.com/mooring-dev/mooring/policies/rules"
	"github.com/mooring-dev/mooring/report"
)

// script builds an audit log.
type script struct {
	lines []string
	at    time.Time
}

func newScript() *script { return &script{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

var groups = map[string]string{"statefulsets": "apps", "poddisruptionbudgets": "policy"}

// add adds the event of a request, as verb resource[/subresource] [namespace/]name, a second after the previous one. more is YAML
// with the differences from a successful request by alice.
func (s *script) add(what, more string) *script {
	words := strings.Fields(what)
	resource, subresource, _ := strings.Cut(words[1], "/")
	namespace, name, namespaced := strings.Cut(words[2], "/")
	if !namespaced {
		namespace, name = "", namespace
	}
	said := struct {
		Level, Message, User, Query, As string
		Groups                          []string
		Code                            int
		Stage                           string
		Request, Response               any
	}{Level: "RequestResponse", User: "alice", Code: 200, Stage: "ResponseComplete"}
	if err := yaml.UnmarshalStrict([]byte(more), &said); err != nil {
		panic(fmt.Errorf("%s: %w", more, err))
	}
	s.at = s.at.Add(time.Second)
	event := map[string]any{
		"apiVersion": "audit.k8s.io/v1", "kind": "Event", "level": said.Level, "auditID": fmt.Sprint(len(s.lines)), "stage": said.Stage,
		"requestURI": "/?" + said.Query, "verb": words[0], "user": map[string]any{"username": said.User, "groups": said.Groups}, "userAgent": "kubectl/v1.37.2 (linux)",
		"objectRef":                map[string]any{"resource": resource, "subresource": subresource, "namespace": namespace, "name": name, "apiGroup": groups[resource], "apiVersion": "v1"},
		"responseStatus":           map[string]any{"code": said.Code, "message": said.Message},
		"requestReceivedTimestamp": metav1.NewMicroTime(s.at), "stageTimestamp": metav1.NewMicroTime(s.at), "requestObject": said.Request, "responseObject": said.Response,
	}
	if said.As != "" {
		event["impersonatedUser"] = map[string]any{"username": said.As}
	}
	data, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	s.lines = append(s.lines, string(data))
	return s
}

const (
	database = `{kind: StatefulSet, metadata: {name: db, namespace: shop, uid: u, generation: 1, labels: {app: db}}, spec: {serviceName: db, replicas: 3,
 selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}]}},
 volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]}}`
	namesIt = `{kind: Service, metadata: {name: db, namespace: shop}, spec: {clusterIP: None, selector: {app: db}, ports: [{port: 1}]}}`
	refusal = `'admission webhook "guard.example" denied the request: no'`
)

// threeReady returns a log of the creation of a namespace with a database of three ready members, at this audit level.
func threeReady(level string) *script {
	s := newScript().
		add("create namespaces shop", "{level: "+level+", request: {kind: Namespace, metadata: {name: shop}}}").
		add("create services shop/db", "{level: "+level+", request: "+namesIt+"}").
		add("create statefulsets shop/db", "{level: "+level+", request: "+database+"}")
	for n := range 3 {
		s.add(fmt.Sprintf("create pods shop/db-%d", n), fmt.Sprintf(`{level: %s, user: "system:serviceaccount:kube-system:statefulset-controller",
 request: {kind: Pod, metadata: {name: db-%d, namespace: shop, labels: {app: db}}, spec: {nodeName: node-1, terminationGracePeriodSeconds: 30}}}`, level, n))
		s.add(fmt.Sprintf("patch pods/status shop/db-%d", n),
			fmt.Sprintf(`{level: %s, user: "system:node:node-1", request: {status: {conditions: [{type: Ready, status: "True"}]}}}`, level))
	}
	return s
}

// advanced returns the same log about an Advanced StatefulSet.
func (s *script) advanced() *script {
	for i, line := range s.lines {
		s.lines[i] = strings.ReplaceAll(line, `"apiGroup":"apps"`, `"apiGroup":"apps.kruise.io"`)
	}
	return s
}

func replayed(t *testing.T, profile string, logs ...string) report.Report {
	t.Helper()
	set, err := policies.Compile(rules.All, nil, profile)
	if err != nil {
		t.Fatal(err)
	}
	var all []Log
	for i, log := range logs {
		all = append(all, Log{Name: fmt.Sprintf("log-%d", i), Reader: strings.NewReader(log)})
	}
	return Logs(all, Options{Policies: set, MostListed: 100})
}

// told returns findings, changes and unjudged requests as text. Lines count from the end of the prelude.
func told(r report.Report, prelude int) []string {
	var all []string
	for _, e := range r.Errors {
		all = append(all, e.Position.String()+": "+e.Message)
	}
	for _, f := range r.Findings {
		all = append(all, fmt.Sprintf("%d %s %s %s", f.Position.Line-prelude, f.Action, f.ID(), f.Object.Name))
	}
	for _, c := range r.Replay.Unjudged {
		all = append(all, fmt.Sprintf("%d unjudged: %s", c.Count, c.Name))
	}
	return all
}

// TestReplay checks the results of requests to a database that was seen from its creation. The level is that of all events but the
// tested requests.
func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name    string
		prelude *script
		request func(*script)
		want    []string
	}{
		{
			name: "a strategic merge patch",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{level: Request, request: {spec: {replicas: 1}}}")
			},
			want: []string{"1 Deny scale-down/quorum db"},
		},
		{
			name: "a JSON patch",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", `{level: Request, request: [{op: replace, path: /spec/replicas, value: 1}]}`)
			},
			want: []string{"1 Deny scale-down/quorum db"},
		},
		{
			name: "a server-side apply",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{level: Request, query: fieldManager=kubectl, request: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 1}}}")
			},
			want: []string{"1 Deny scale-down/quorum db"},
		},
		{
			name: "a server-side apply to an object that the log does not show", prelude: newScript(),
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{level: Request, query: fieldManager=kubectl, request: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 1}}}")
			},
			want: []string{"1 unjudged: " + errUnseen.Error()},
		},
		{
			name: "an update",
			request: func(s *script) {
				s.add("update statefulsets shop/db", "{level: Request, request: "+strings.Replace(database, "replicas: 3", "replicas: 1", 1)+"}")
			},
			want: []string{"1 Deny scale-down/quorum db"},
		},
		{
			name: "the stored object takes precedence over the patch",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{request: {spec: {replicas: 1}}, response: "+database+"}")
			},
		},
		{
			name: "a patch through the scale subresource",
			request: func(s *script) {
				s.add("patch statefulsets/scale shop/db", "{level: Request, request: {spec: {replicas: 1}}}")
			},
			want: []string{"1 Deny scale-down/quorum db"},
		},
		{
			name: "a scale-down after another scale-down",
			request: func(s *script) {
				s.add("update statefulsets/scale shop/db", "{request: {spec: {replicas: 2}}, response: {kind: Scale, spec: {replicas: 2}}}")
				s.add("delete pods shop/db-2", `{user: "system:node:node-1", request: {kind: DeleteOptions, gracePeriodSeconds: 0}}`)
				s.add("update statefulsets/status shop/db", "{request: "+strings.Replace(database, "replicas: 3", "replicas: 2", 1)+"}")
				s.add("update statefulsets/scale shop/db", "{request: {spec: {replicas: 1}}}")
			},
			want: []string{"4 Deny scale-down/quorum db"},
		},
		{
			name: "a request that a webhook refused is judged, but changes nothing",
			request: func(s *script) {
				s.add("update statefulsets/scale shop/db", "{code: 403, message: "+refusal+", request: {spec: {replicas: 1}}}")
				s.add("update statefulsets/scale shop/db", "{code: 403, message: "+refusal+", request: {spec: {replicas: 1}}}")
			},
			want: []string{"1 Deny scale-down/quorum db", "2 Deny scale-down/quorum db"},
		},
		{
			name: "a request that failed for another reason is not judged, and changes nothing",
			request: func(s *script) {
				s.add("update statefulsets/scale shop/db", "{code: 409, message: conflict, request: {spec: {replicas: 1}}}")
				s.add("update statefulsets/scale shop/db", "{code: 500, stage: Panic, request: {spec: {replicas: 1}}}")
				s.add("update statefulsets/scale shop/db", "{request: {spec: {replicas: 2}}}")
			},
		},
		{
			name: "a dry run is judged, but changes nothing",
			request: func(s *script) {
				s.add("patch statefulsets/scale shop/db", "{query: dryRun=All, request: {spec: {replicas: 1}}}")
				s.add("patch statefulsets/scale shop/db", "{request: {spec: {replicas: 1}}}")
			},
			want: []string{"1 Deny scale-down/quorum db", "2 Deny scale-down/quorum db"},
		},
		{
			name: "only the last stage of a request counts",
			request: func(s *script) {
				s.add("patch statefulsets/scale shop/db", "{stage: RequestReceived, request: {spec: {replicas: 1}}}")
				s.add("patch statefulsets/scale shop/db", "{stage: ResponseStarted, request: {spec: {replicas: 1}}}")
			},
		},
		{
			name: "level Metadata cannot be judged, and makes the object unknown",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{level: Metadata}")
				s.add("patch statefulsets/scale shop/db", "{request: {spec: {replicas: 1}}}")
			},
			want: []string{"1 unjudged: " + errUnseen.Error(), "1 unjudged: " + errMetadata.Error()},
		},
		{
			name: "a Pod becomes unready",
			request: func(s *script) {
				s.add("patch pods/status shop/db-0", `{level: Request, request: {status: {conditions: [{type: Ready, status: "False"}]}}}`)
				s.add("patch statefulsets/scale shop/db", "{level: Request, request: {spec: {replicas: 2}}}")
			},
			want: []string{"2 Deny scale-down/quorum db"},
		},
		{
			name: "the log does not show who may bypass, except for system:masters",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", `{request: {metadata: {annotations: {mooring.dev/bypass: scale-down, mooring.dev/bypass-reason: moved}}}}`)
				s.add("patch statefulsets/scale shop/db", "{query: dryRun=All, request: {spec: {replicas: 1}}}")
				s.add("patch statefulsets/scale shop/db", "{groups: [system:masters], request: {spec: {replicas: 1}}}")
			},
			want: []string{"2 Warn scale-down/quorum db", "3 Warn scale-down/quorum db"},
		},
		{
			name: "the impersonated user counts",
			request: func(s *script) {
				s.add("delete services shop/db", `{as: "system:serviceaccount:kube-system:namespace-controller", request: {kind: DeleteOptions}}`)
			},
		},
		{
			name:    "the Service is deleted",
			request: func(s *script) { s.add("delete services shop/db", "{request: {kind: DeleteOptions}}") },
			want:    []string{"1 Warn headless-service/in-use db"},
		},
		{
			name: "a Service that was deleted is missing",
			request: func(s *script) {
				s.add("delete services shop/db", `{user: "system:serviceaccount:kube-system:namespace-controller", response: {kind: Status}}`)
				s.add("create statefulsets shop/db2", "{request: "+strings.Replace(database, "name: db", "name: db2", 1)+"}")
			},
			want: []string{"2 Deny headless-service/missing db2", "2 Warn pod-selector/shared db2"},
		},
		{
			name: "a Service that the log does not show can exist", prelude: newScript(),
			request: func(s *script) { s.add("create statefulsets shop/db", "{request: "+database+"}") },
			want:    []string{"1 Warn headless-service/missing db"},
		},
		{
			name: "a read shows an object that is older than the log", prelude: newScript(),
			request: func(s *script) {
				s.add("get statefulsets shop/db", "{response: "+database+"}")
				s.add("patch statefulsets/scale shop/db", "{request: {spec: {replicas: 0}}}")
			},
			want: []string{"2 Deny scale-down/to-zero db"},
		},
		{
			name: "the readiness of the Pods is unknown", prelude: newScript(),
			request: func(s *script) {
				s.add("get statefulsets shop/db", "{response: "+database+"}")
				s.add("patch statefulsets/scale shop/db", "{request: {spec: {replicas: 1}}}")
			},
			want: []string{"2 Warn scale-down/quorum db"},
		},
		{
			name: "a deletecollection applies to the objects that the log shows",
			request: func(s *script) {
				s.add("create statefulsets shop/safe", `{request: `+strings.NewReplacer("name: db", "name: safe", "labels: {app: db}", `labels: {mooring.dev/protect: "true"}`).Replace(database)+`}`)
				s.add("deletecollection statefulsets shop/", "{query: labelSelector=app%3Ddb, request: {kind: DeleteOptions}}")
				s.add("deletecollection statefulsets shop/", "{query: dryRun=All, request: {kind: DeleteOptions}}")
			},
			want: []string{"1 Deny headless-service/selector safe", "1 Warn pod-selector/shared safe", "2 Warn delete-protection/running db", "3 Deny delete-protection/protected safe"},
		},
		{
			name: "a namespace is deleted and created again",
			request: func(s *script) {
				controller := `user: "system:serviceaccount:kube-system:namespace-controller"`
				s.add("delete namespaces shop", "{request: {kind: DeleteOptions}, response: {kind: Namespace, metadata: {name: shop, deletionTimestamp: '2026-03-01T12:00:00Z'}, spec: {finalizers: [kubernetes]}}}")
				s.add("deletecollection statefulsets shop/", "{"+controller+"}")
				s.add("update namespaces/finalize shop", "{"+controller+", request: {kind: Namespace}, response: {kind: Namespace, metadata: {name: shop, deletionTimestamp: '2026-03-01T12:00:00Z'}}}")
				s.add("create namespaces shop", "{request: {kind: Namespace, metadata: {name: shop}}}")
				s.add("create statefulsets shop/db", "{request: "+database+"}")
			},
			want: []string{"5 Deny headless-service/missing db"},
		},
		{
			name: "a Pod is force-deleted",
			request: func(s *script) {
				s.add("create nodes node-1", "{request: {kind: Node, metadata: {name: node-1}}}")
				s.add("create pods shop/db-3", `{request: {kind: Pod, metadata: {name: db-3, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]}, spec: {nodeName: node-1}}}`)
				s.add("delete pods shop/db-3", "{query: gracePeriodSeconds=0}")
			},
			want: []string{"3 Warn force-delete/running db-3"},
		},
		{
			name: "labels and status are not judged",
			request: func(s *script) {
				s.add("patch statefulsets shop/db", "{request: {metadata: {labels: {a: b}}}}")
				s.add("patch statefulsets/status shop/db", "{request: {status: {replicas: 3}}}")
			},
		},
		{
			name:    "an invalid object",
			request: func(s *script) { s.add("create statefulsets shop/x", "{request: {spec: {replicas: many}}}") },
			want:    []string{"1 unjudged: " + errUnreadable.Error()},
		},
		{
			name:    "a patch that cannot be applied",
			request: func(s *script) { s.add("patch statefulsets shop/db", "{request: [{op: remove, path: /spec/nothing}]}") },
			want:    []string{"1 unjudged: " + errUnpatchable.Error()},
		},
	} {
		for _, level := range []string{"Request", "RequestResponse"} {
			t.Run(c.name+"/"+level, func(t *testing.T) {
				s := c.prelude
				if s == nil {
					s = threeReady(level)
				} else {
					s = newScript()
				}
				prelude := len(s.lines)
				c.request(s)
				got := told(replayed(t, "baseline", strings.Join(s.lines, "\n")), prelude)
				if diff := cmp.Diff(c.want, keepFrom(got)); diff != "" {
					t.Errorf("want (-), got (+):\n%s", diff)
				}
			})
		}
	}
}

// TestReplayAdvanced checks that requests about Advanced StatefulSets are judged like those about StatefulSets.
func TestReplayAdvanced(t *testing.T) {
	list := "{kind: StatefulSetList, apiVersion: apps.kruise.io/v1beta1, metadata: {}, items: [" + strings.Replace(database, "{kind", "{apiVersion: apps.kruise.io/v1beta1, kind", 1) + "]}"
	for name, test := range map[string]struct {
		request func(*script)
		want    []string
	}{
		"a patch": {
			func(s *script) { s.add("patch statefulsets shop/db", "{request: {spec: {replicas: 1}}}") },
			[]string{"1 Deny scale-down/quorum db"},
		},
		"a scale-down": {
			func(s *script) { s.add("update statefulsets/scale shop/db", "{request: {spec: {replicas: 1}}}") },
			[]string{"1 Deny scale-down/quorum db"},
		},
		"an update that reserves ordinals": {
			func(s *script) {
				s.add("update statefulsets shop/db", "{request: "+strings.Replace(database, "replicas: 3", "replicas: 1, reserveOrdinals: [1]", 1)+"}")
			},
			[]string{"1 Warn scale-down/quorum db"},
		},
		"an object that a list shows": {
			func(s *script) {
				s.lines = nil
				s.add("list statefulsets shop/", "{response: "+list+"}").add("patch statefulsets shop/db", "{request: {spec: {persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}}}}")
			},
			[]string{"2 Warn headless-service/missing db", "2 Warn retention-policy/weakening db"},
		},
		"a deletecollection of built-in StatefulSets": {
			func(s *script) {
				s.add("deletecollection statefulsets shop/", "{}")
				s.lines[len(s.lines)-1] = strings.ReplaceAll(s.lines[len(s.lines)-1], `"apiGroup":"apps"`, `"apiGroup": "apps"`)
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := threeReady("RequestResponse")
			prelude := len(s.lines)
			if test.request(s); len(s.lines) < prelude {
				prelude = 0
			}
			got := keepFrom(told(replayed(t, "baseline", strings.Join(s.advanced().lines, "\n")), prelude))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("want (-), got (+):\n%s", diff)
			}
		})
	}
}

// keepFrom drops warnings about the prelude's own objects.
func keepFrom(told []string) []string {
	var kept []string
	for _, line := range told {
		if !strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "0") && !strings.Contains(line, "readiness") && !strings.Contains(line, "disruption-budget") {
			kept = append(kept, line)
		}
	}
	return kept
}

package compat

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var record = flag.String("record", "", "run each operator once without rules, and write its requests to this `folder`")

// recordedPolicy makes the API server also record the bodies of these requests.
const recordedPolicy = `- level: Request
  verbs: [create, update, patch, delete, deletecollection]
  resources: [{group: "", resources: [services, serviceaccounts, pods, persistentvolumeclaims]}, {group: apps, resources: [statefulsets]}, {group: policy}, {group: acid.zalan.do}, {group: databases.spotahome.com}, {group: monitoring.coreos.com}]
`

// play replays the recorded requests of an operator, and those of the person who used it, in the same order. Like an operator, each
// waits until the effects of the previous request have settled.
const play = `
person() {
  case $1 in
  delete) refused "$DELETE_REFUSED" ask "" "$@" ;;
  *) ask "" "$@" ;;
  esac
}
# A refused request does not stop the operator.
operator() { ask "--as=system:serviceaccount:$NAMESPACE:operator" "$@" || true; }
# ask AS VERB WHAT: sends the body on standard input. NAMESPACE and OWNER stand for values that differ in each run.
ask() {
  retry 60 atrest
  local body
  body=$(sed "s/NAMESPACE/$NAMESPACE/g; s/OWNER/$(kubectl get "$OWNED_BY" -o jsonpath='{.metadata.uid}' --ignore-not-found)/g")
  case $2 in
  create) kubectl create $1 --raw="${3/NAMESPACE/$NAMESPACE}" -f - <<<"$body" ;;
  update) kubectl replace $1 --raw="${3/NAMESPACE/$NAMESPACE}" -f - <<<"$body" ;;
  delete) kubectl delete $1 --raw="${3/NAMESPACE/$NAMESPACE}" ;;
  *) kubectl patch $1 ${3//// } --type="$2" --patch="$body" ;;
  esac
}
# atrest: no Pod is terminating, and all replicas of each StatefulSet are ready.
atrest() {
  [ -z "$(kubectl get pods -o jsonpath='{.items[*].metadata.deletionTimestamp}')" ] &&
    kubectl get statefulsets -o jsonpath='{range .items[*]}{.metadata.generation} {.status.observedGeneration} {.spec.replicas} {.status.replicas} {.status.readyReplicas}{"\n"}{end}' |
    awk 'NF && ($1 != $2 || $3 != $4 || $3 != $5) { exit 1 }'
}
kubectl create clusterrolebinding "$NAMESPACE" --clusterrole=cluster-admin --serviceaccount="$NAMESPACE:operator"
# Another case may create the same definitions at this moment.
retry 30 kubectl apply -f operators.yaml
retry 30 kubectl wait --for=condition=Established --timeout=30s -f operators.yaml
`

// played are the cases that replay the requests of operators.
var played = []compatCase{
	{
		program: "kubectl", name: "replay Zalando's postgres-operator", standIn: true,
		does:    "OWNED_BY=postgresql/acid-pg DELETE_REFUSED=\n" + play + "source ./operators/postgres-operator.sh\nretry 60 atrest\nquiet 3",
		refused: map[string][]refusal{"baseline": {keepsClaims}, "restricted": {keepsClaims}},
	},
	{
		program: "kubectl", name: "replay prometheus-operator", standIn: true,
		does:    "OWNED_BY=prometheus/p DELETE_REFUSED=restricted\n" + play + "source ./operators/prometheus-operator.sh\nretry 60 atrest\nquiet 3",
		refused: map[string][]refusal{"restricted": {losesOwner("prometheuses")}},
	},
	{
		program: "kubectl", name: "replay Spotahome's redis-operator", standIn: true,
		does:    "OWNED_BY=redisfailover/r DELETE_REFUSED='baseline restricted'\n" + play + "source ./operators/redis-operator.sh\nretry 60 atrest\nquiet 3",
		refused: map[string][]refusal{"baseline": {losesOwnersData("redisfailovers")}, "restricted": {losesOwnersData("redisfailovers")}},
	},
}

// TestRecord writes the files that played replays: all requests until the custom resource is created a second time. It leaves out
// requests that write the same object again.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("only with -record")
	}
	for _, c := range operatorCases {
		t.Run(c.program, func(t *testing.T) {
			o, err := c.run(t.Context(), "off")
			if err != nil || o.err != nil {
				t.Fatalf("%v, %v\n%s", err, o.err, o.said)
			}
			version, err := programNamed(c.program).about(t.Context(), "{{.Version}}")
			if err != nil {
				t.Fatal(err)
			}
			file := bytes.NewBufferString(fmt.Sprintf("# The requests of %s %s. Written by make record-operators.\n", c.program, version))
			written, deleted := map[string]string{}, false
			for _, call := range o.calls {
				who, verb, what, body, err := call.asked(c)
				if err != nil {
					t.Fatal(err)
				}
				if deleted && who == "person" {
					break
				}
				deleted = deleted || who == "person" && verb == "delete"
				if who == "" || verb != "delete" && written[what] == body {
					continue
				}
				written[what] = body
				fmt.Fprintf(file, "\n%s %s '%s' <<'END'\n%sEND\n", who, verb, what, body)
			}
			said := strings.ReplaceAll(file.String(), c.namespace("off"), "NAMESPACE")
			if err := os.WriteFile(filepath.Join(*record, c.program+".sh"), []byte(said), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

var ownerUID = regexp.MustCompile(`"uid":"[0-9a-f-]{36}"`)

// asked returns the request of an operator for an object that Mooring judges, or of a person for a custom resource. For any other
// request, who is empty.
func (c call) asked(of compatCase) (who, verb, what, body string, err error) {
	r := c.ObjectRef
	custom := strings.Contains(r.APIGroup, ".") && !strings.HasSuffix(r.APIGroup, ".k8s.io")
	switch {
	case !c.writes() || c.ResponseStatus.Code >= 400 || r.Subresource == "status":
		return
	case strings.HasSuffix(c.User.Username, ":NAMESPACE:"+of.program):
		// Mooring judges these resources, except for serviceaccounts, which Pods need.
		if custom || !slices.Contains([]string{"statefulsets", "services", "serviceaccounts", "persistentvolumeclaims", "pods", "poddisruptionbudgets"}, r.Resource) {
			return
		}
		who = "operator"
	case strings.HasPrefix(c.User.Username, of.program+":") && custom:
		who = "person"
	default:
		return
	}
	uri, err := url.Parse(c.RequestURI)
	if err != nil {
		return
	}
	verb, what = c.Verb, uri.Path
	var object map[string]any
	if len(c.RequestObject) > 0 {
		if err = json.Unmarshal(c.RequestObject, &object); err != nil {
			return
		}
	}
	switch verb {
	case "delete":
		if policy, found, _ := unstructured.NestedString(object, "propagationPolicy"); found {
			what += "?propagationPolicy=" + policy
		}
		object = nil
	case "patch":
		verb, what = "merge", r.Resource+"/"+r.Name
	case "update":
		if r.Resource == "persistentvolumeclaims" {
			// The claim is bound to another volume in each run.
			verb, what = "merge", r.Resource+"/"+r.Name
			unstructured.RemoveNestedField(object, "spec", "volumeName")
		}
	}
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(object, "metadata", field)
	}
	unstructured.RemoveNestedField(object, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
	delete(object, "status")
	if object != nil {
		var data []byte
		data, err = json.Marshal(object)
		body = string(ownerUID.ReplaceAll(data, []byte(`"uid":"OWNER"`))) + "\n"
	}
	return
}

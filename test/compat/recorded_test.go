package compat

import (
	"bytes"
	"cmp"
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

var record = flag.String("record", "", "run each operator once without rules, and write what it asked for to this `folder`")

// recordedPolicy has the API server write down what was asked for, too.
const recordedPolicy = `- level: Request
  verbs: [create, update, patch, delete, deletecollection]
  resources: [{group: "", resources: [services, pods, persistentvolumeclaims]}, {group: apps, resources: [statefulsets]}, {group: policy}, {group: acid.zalan.do}, {group: monitoring.coreos.com}]
`

// play plays what an operator asked for once, and what was asked of it, with the same requests in the same order. Each waits
// until what the one before it set off has come to rest, as operators do.
const play = `
person() { ask "" "$@"; }
operator() { ask "--as=system:serviceaccount:$NAMESPACE:operator" "$@"; }
# ask AS VERB WHAT QUERY, with the body on standard input. NAMESPACE and OWNER stand for what is another each time.
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
# atrest: no Pod is going, and each StatefulSet has the members that it wants.
atrest() {
  [ -z "$(kubectl get pods -o jsonpath='{.items[*].metadata.deletionTimestamp}')" ] &&
    kubectl get statefulsets -o jsonpath='{range .items[*]}{.metadata.generation} {.status.observedGeneration} {.spec.replicas} {.status.replicas} {.status.readyReplicas}{"\n"}{end}' |
    awk 'NF && ($1 != $2 || $3 != $4 || $3 != $5) { exit 1 }'
}
kubectl create clusterrolebinding "$NAMESPACE" --clusterrole=cluster-admin --serviceaccount="$NAMESPACE:operator"
kubectl apply -f operators.yaml
kubectl wait --for=condition=Established --timeout=30s -f operators.yaml
`

// played returns the case that plays an operator's file.
func played(name, file, ownedBy string) compatCase {
	return compatCase{program: "kubectl", name: name, does: play + "OWNED_BY=" + ownedBy + "\nsource ./" + file + "\nretry 60 atrest\nquiet 3"}
}

// TestRecord writes the files that played plays.
func TestRecord(t *testing.T) {
	if *record == "" {
		t.Skip("-record says where to")
	}
	for _, c := range operatorCases {
		if !c.alone {
			continue
		}
		t.Run(c.program, func(t *testing.T) {
			o, err := c.run(t.Context(), "off")
			if err != nil || o.err != nil {
				t.Fatalf("%v, %v\n%s", err, o.err, o.said)
			}
			version, err := programNamed(c.program).about(t.Context(), "{{.Version}}")
			if err != nil {
				t.Fatal(err)
			}
			file := bytes.NewBufferString(fmt.Sprintf("# What %s %s asked for. Written by make record-operators.\n", c.program, version))
			for _, call := range o.calls {
				if err := call.script(file, c); err != nil {
					t.Fatal(err)
				}
			}
			said := strings.ReplaceAll(file.String(), c.namespace("off"), "NAMESPACE")
			if err := os.WriteFile(filepath.Join(*record, c.program+".sh"), []byte(said), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

var ownerUID = regexp.MustCompile(`"uid":"[0-9a-f-]{36}"`)

// script writes the call as a line of a script, if it is one that an operator makes of what Mooring judges, or that is made of an
// operator.
func (c call) script(file *bytes.Buffer, of compatCase) error {
	r := c.ObjectRef
	who, custom := "person", strings.Contains(r.APIGroup, ".")
	switch {
	case !c.writes() || c.ResponseStatus.Code >= 400 || r.Subresource == "status":
		return nil
	case strings.HasSuffix(c.User.Username, ":NAMESPACE:"+of.program):
		who = "operator"
		if custom || !slices.Contains([]string{"statefulsets", "services", "persistentvolumeclaims", "pods", "poddisruptionbudgets"}, r.Resource) {
			return nil
		}
	case !strings.HasPrefix(c.User.Username, of.program+":") || !custom:
		return nil
	}
	uri, err := url.Parse(c.RequestURI)
	if err != nil {
		return err
	}
	verb, what := c.Verb, uri.Path
	var body map[string]any
	if len(c.RequestObject) > 0 {
		if err := json.Unmarshal(c.RequestObject, &body); err != nil {
			return fmt.Errorf("%s %s: %w", c.Verb, c.RequestURI, err)
		}
	}
	switch verb {
	case "delete":
		if policy, found, _ := unstructured.NestedString(body, "propagationPolicy"); found {
			what += "?propagationPolicy=" + policy
		}
		body = nil
	case "patch":
		verb, what = "merge", cmp.Or(r.Resource, "")+"/"+r.Name
	}
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(body, "metadata", field)
	}
	unstructured.RemoveNestedField(body, "metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration")
	delete(body, "status")
	fmt.Fprintf(file, "\n%s %s '%s' <<'END'\n", who, verb, what)
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		file.Write(append(ownerUID.ReplaceAll(data, []byte(`"uid":"OWNER"`)), '\n'))
	}
	file.WriteString("END\n")
	return nil
}

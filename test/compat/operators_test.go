package compat

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
)

// runOperator starts an operator that runs until the script ends.
const runOperator = `
# operate NAME COMMAND…: runs the operator under its own ServiceAccount, with the ClusterRole that it comes with.
operate() {
  local name=$1
  shift
  kubectl create serviceaccount "$name" --dry-run=client -o yaml | kubectl apply -f -
  kubectl create clusterrolebinding "$NAMESPACE" --clusterrole="$name" --serviceaccount="$NAMESPACE:$name" --dry-run=client -o yaml | kubectl apply -f -
  cp "$KUBECONFIG" operator.kubeconfig
  kubectl --kubeconfig=operator.kubeconfig config set-credentials operator --token="$(kubectl create token "$name")"
  kubectl --kubeconfig=operator.kubeconfig config set-context --current --user=operator
  KUBECONFIG=operator.kubeconfig "$@" >> operator.log 2>&1 &
}
# follows STATEFULSET REPLICAS SIZE IMAGE: waits until the operator has set these values, and all members are ready.
follows() {
  retry 90 like "$@"
  settled "$1" "$2"
}
like() {
  [ "$(kubectl get statefulset "$1" -o jsonpath='{.spec.replicas} {.spec.volumeClaimTemplates[0].spec.resources.requests.storage} {.spec.template.spec.containers[0].image}')" = "$2 $3 $4" ]
}
trap 'jobs -p | xargs -r kill -KILL; wait; tail -40 operator.log | cut -c1-400' EXIT
`

// operatorCases are cases of a custom resource's life under its operator.
var operatorCases = []compatCase{
	{
		program: "postgres-operator", name: "create, scale, update, resize, delete; delete the CRD and the namespace",
		does: runOperator + zalando + `
becomes 3 1Gi 1
becomes 4 1Gi 1
becomes 3 1Gi 1
touch handover
becomes 3 1Gi 2
becomes 3 2Gi 2
quiet 10
kubectl delete postgresql acid-pg
[ "$PROFILE" != restricted ] || { retry 60 grep 'denied the request' operator.log; exit 0; }
none statefulsets pods services
becomes 3 1Gi 1
kubectl delete crd postgresqls.acid.zalan.do --timeout=60s
none statefulsets
definitions
becomes 3 1Gi 1
refused "baseline restricted" kubectl delete namespace "$NAMESPACE" --timeout=90s`,
		refused: map[string][]refusal{"baseline": {keepsClaims, losesNamespace}, "restricted": {keepsClaims}},
		slow:    true,
	},
	{
		program: "prometheus-operator", name: "create, scale, update, resize, delete; delete the CRD and the namespace",
		does: runOperator + prometheus + `
becomes 3 1Gi 1
becomes 4 1Gi 1
becomes 3 1Gi 1
becomes 3 1Gi 2
becomes 3 2Gi 2
quiet 10
refused restricted kubectl delete prometheus p
unless restricted none statefulsets pods
becomes 3 1Gi 1
refused restricted kubectl delete crd prometheuses.monitoring.coreos.com --timeout=60s
unless restricted none statefulsets
definitions
becomes 3 1Gi 1
refused "baseline restricted" kubectl delete namespace "$NAMESPACE" --timeout=90s`,
		refused: map[string][]refusal{"baseline": {losesNamespace}, "restricted": {losesOwner("prometheuses"), losesOwner("customresourcedefinitions"), losesNamespace}},
		slow:    true,
	},
	{
		program: "redis-operator", name: "create, scale, update, resize, delete; delete the CRD and the namespace",
		does: runOperator + redis + `
becomes 3 1Gi 1
becomes 4 1Gi 1
becomes 3 1Gi 1
becomes 3 1Gi 2
becomes 3 2Gi 2
# The operator writes all of its objects again every 30 seconds.
quiet 35
refused "baseline restricted" kubectl delete redisfailover r
unless "baseline restricted" none statefulsets pods pvc
becomes 3 2Gi 2
refused "baseline restricted" kubectl delete crd redisfailovers.databases.spotahome.com --timeout=60s
unless "baseline restricted" none statefulsets pvc
definitions
becomes 3 2Gi 2
refused "baseline restricted" kubectl delete namespace "$NAMESPACE" --timeout=90s
# The operator works in every namespace, so its next run must find nothing here.
unless "off warn" kubectl label namespace "$NAMESPACE" --overwrite mooring.dev/profile=off
unless "off warn" kubectl delete redisfailover r`,
		refused: map[string][]refusal{
			"baseline":   {losesOwnersData("redisfailovers"), losesOwnersData("customresourcedefinitions"), losesNamespace},
			"restricted": {losesOwnersData("redisfailovers"), losesOwnersData("customresourcedefinitions"), losesNamespace},
		},
		slow: true,
	},
}

var losesNamespace = refusal{finding: "delete-protection/namespace", request: "delete namespaces", why: "it deletes the claims of three members and their data"}

// keepsClaims is the refusal for Zalando's operator, which sets no owner references. Unless a policy lists the operator, Mooring cannot
// know that it deletes the claims on behalf of a custom resource.
var keepsClaims = refusal{
	finding: "retained-claim/recent or retained-claim/left or delete-protection/in-use", request: "delete persistentvolumeclaims",
	why: "the operator deletes the data with the custom resource; the policy keeps the claims for an hour",
}

func losesOwner(resource string) refusal {
	return refusal{finding: "owner-delete/members", request: "delete " + resource, why: "it stops three ready members"}
}

func losesOwnersData(resource string) refusal {
	return refusal{finding: "owner-delete/data", request: "delete " + resource, why: "the custom resource owns the claims, so they and their data are deleted with it"}
}

// servePatroni starts a proxy that answers requests to the Patroni of any Pod until ctx ends. It returns the proxy's URL.
func servePatroni(ctx context.Context) string {
	answers := map[string]string{
		"/config":  `{"ttl": 30, "loop_wait": 1, "retry_timeout": 10, "maximum_lag_on_failover": 33554432, "postgresql": {"parameters": {"max_connections": 100}}}`,
		"/patroni": `{"state": "running", "role": "replica", "server_version": 170000}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, cmp.Or(answers[r.URL.Path], "{}"))
	}))
	context.AfterFunc(ctx, server.Close)
	return server.URL
}

// zalando runs Zalando's operator. Simulated nodes run no Patroni, so a proxy answers for it, and a loop labels Pods with their roles.
// If the file handover exists, the next new Pod becomes the leader.
const zalando = `
definitions() { retry 60 kubectl apply --server-side -f "$MODULE/manifests/postgresql.crd.yaml"; retry 30 kubectl wait crd/postgresqls.acid.zalan.do --for=condition=Established --timeout=30s; }
definitions
kubectl apply -f "$MODULE/manifests/operator-service-account-rbac.yaml"
kubectl apply -f - <<END
apiVersion: v1
kind: ConfigMap
metadata: {name: postgres-operator}
data:
  watched_namespace: $NAMESPACE
  api_port: "0"
  cluster_labels: application:spilo
  cluster_name_label: cluster-name
  enable_crd_registration: "false"
  enable_pod_disruption_budget: "true"
  enable_readiness_probe: "true"
  enable_teams_api: "false"
  pod_role_label: spilo-role
  pod_label_wait_timeout: 60s
  patroni_api_check_interval: 1s
  patroni_api_check_timeout: 2s
  pod_terminate_grace_period: 5s
  ready_wait_interval: 1s
  repair_period: 15s
  resource_check_interval: 1s
  resync_period: 15s
  storage_resize_mode: pvc
END
roles() {
  while sleep 0.3; do
    for pod in $(kubectl get pods -l 'application=spilo,!spilo-role' -o name); do
      local role=replica leader
      leader=$(kubectl get pods -l spilo-role=master -o name)
      if [ -e handover ]; then
        rm handover
        kubectl label "$leader" --overwrite spilo-role=replica && leader=
      fi
      [ -n "$leader" ] || role=master
      kubectl label "$pod" spilo-role=$role
    done
  done
}
{ roles >/dev/null 2>&1; } &
OPERATOR_NAMESPACE=$NAMESPACE CONFIG_MAP_NAME=$NAMESPACE/postgres-operator CRD_READY_WAIT_INTERVAL=1s HTTP_PROXY=$PATRONI \
  operate postgres-operator postgres-operator -kubeconfig=operator.kubeconfig -outofcluster -nodatabaseaccess -noteamsapi
becomes() {
kubectl apply -f - <<END
apiVersion: acid.zalan.do/v1
kind: postgresql
metadata: {name: acid-pg}
spec:
  teamId: acid
  numberOfInstances: $1
  volume: {size: $2}
  dockerImage: registry.example/spilo:$3
  postgresql: {version: "17"}
END
follows acid-pg "$1" "$2" "registry.example/spilo:$3"
retry 60 runs
}
runs() { kubectl get postgresql acid-pg -o jsonpath='{.status.PostgresClusterStatus}' | grep -qx Running; }
`

// prometheus runs the Prometheus operator.
const prometheus = `
definitions() {
  for of in prometheuses prometheusagents alertmanagers alertmanagerconfigs thanosrulers servicemonitors podmonitors probes prometheusrules scrapeconfigs; do
    retry 60 kubectl apply --server-side -f "$MODULE/example/prometheus-operator-crd/monitoring.coreos.com_$of.yaml"
  done
  retry 30 kubectl wait crd/prometheuses.monitoring.coreos.com --for=condition=Established --timeout=30s
}
definitions
kubectl apply -f "$MODULE/example/rbac/prometheus-operator/prometheus-operator-cluster-role.yaml"
operate prometheus-operator prometheus-operator --namespaces="$NAMESPACE" --web.listen-address=127.0.0.1:0
becomes() {
kubectl apply -f - <<END
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: p}
spec:
  replicas: $1
  version: v3.$3.0
  storage: {volumeClaimTemplate: {spec: {resources: {requests: {storage: $2}}}}}
END
follows prometheus-p "$1" "$2" "quay.io/prometheus/prometheus:v3.$3.0"
}
`

// redis runs Spotahome's Redis operator. Its sentinels fit on no node, so it never contacts Redis, and does not update the StatefulSet,
// which has the update strategy OnDelete. The script deletes the Pods on its behalf. The operator creates no Service for the StatefulSet.
const redis = `
definitions() {
  retry 60 kubectl apply --server-side -f "$MODULE/manifests/databases.spotahome.com_redisfailovers.yaml"
  retry 30 kubectl wait crd/redisfailovers.databases.spotahome.com --for=condition=Established --timeout=30s
}
definitions
sed 's/name: redisoperator/name: redis-operator/' "$MODULE/example/operator/roles.yaml" | kubectl apply -f -
POD_NAMESPACE=$NAMESPACE operate redis-operator redis-operator -development -kubeconfig=operator.kubeconfig -listen-address=127.0.0.1:0
becomes() {
kubectl apply -f - <<END
apiVersion: databases.spotahome.com/v1
kind: RedisFailover
metadata: {name: r}
spec:
  sentinel: {replicas: 3, nodeSelector: {sentinels: nowhere}}
  redis:
    replicas: $1
    image: registry.example/redis:$3
    storage: {persistentVolumeClaim: {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: $2}}}}}
END
retry 90 told "$1" "registry.example/redis:$3"
for pod in $(kubectl get pods -l app.kubernetes.io/component=redis -o jsonpath="{range .items[?(@.spec.containers[0].image!='registry.example/redis:$3')]}{.metadata.name} {end}"); do
  kubectl --kubeconfig=operator.kubeconfig delete pod "$pod"
  retry 60 kubectl wait "pod/$pod" --for=condition=Ready --timeout=60s
done
settled rfr-r "$1"
retry 90 sized "$2"
}
told() { [ "$(kubectl get statefulset rfr-r -o jsonpath='{.spec.replicas} {.spec.template.spec.containers[0].image}')" = "$1 $2" ]; }
sized() { ! kubectl get pvc -o jsonpath='{range .items[*]}{.spec.resources.requests.storage}{"\n"}{end}' | grep -vx "$1"; }
`

package compat

var kubectlCases = []compatCase{
	{
		program: "kubectl", name: "apply and delete a file",
		does: `
kubectl apply -f db.yaml
settled db 3
unchanged kubectl apply -f db.yaml
unchanged kubectl apply --server-side --force-conflicts -f db.yaml
unchanged kubectl apply -f db.yaml
refused restricted kubectl delete -f db.yaml
unless restricted none statefulsets services pods
kubectl apply -f db.yaml
settled db 3`,
		refused: map[string][]refusal{"restricted": {losesAll, losesNames}},
	},
	{
		program: "kubectl", name: "create and replace",
		does: `
kubectl create -f db.yaml
settled db 3
# kubectl reads the resourceVersion first, and a controller can write the status in between.
unchanged retry 10 kubectl replace -f db.yaml
unchanged kubectl apply -f db.yaml
unchanged kubectl apply -f db.yaml`,
	},
	{
		program: "kubectl", name: "use statically provisioned volumes",
		does: `
kubectl create -f - <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: $NAMESPACE}
provisioner: kubernetes.io/no-provisioner
allowVolumeExpansion: true
END
for i in 0 1 2; do cat <<END
apiVersion: v1
kind: PersistentVolume
metadata: {name: $NAMESPACE-$i}
spec:
  storageClassName: $NAMESPACE
  persistentVolumeReclaimPolicy: Delete
  claimRef: {namespace: $NAMESPACE, name: data-db-$i}
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  hostPath: {path: /disks/$i}
---
END
done > volumes.yaml
sed "s/accessModes:/storageClassName: $NAMESPACE, accessModes:/" db.yaml > claims.yaml
kubectl create -f volumes.yaml
kubectl create -f claims.yaml
settled db 3
kubectl apply -f volumes.yaml
quiet 3
[ "$(kubectl get pvc -o jsonpath='{.items[*].status.phase}')" = "Bound Bound Bound" ]
[ "$(kubectl get -f volumes.yaml -o jsonpath='{.items[*].status.phase} {.items[*].spec.persistentVolumeReclaimPolicy}')" = "Bound Bound Bound Delete Delete Delete" ]`,
	},
	{
		program: "kubectl", name: "delete everything",
		does: `
kubectl apply -f db.yaml
settled db 3
refused restricted kubectl delete all --all
unless restricted none statefulsets services pods`,
		refused: map[string][]refusal{"restricted": {losesAll, losesNames, {finding: "pod-disruption/majority", request: "delete pods", why: "another member is not ready yet", maybe: true}}},
	},
	{
		program: "kubectl", name: "scale and restart",
		does: `
kubectl apply -f db.yaml
settled db 3
kubectl scale statefulset db --replicas=5
settled db 5
kubectl rollout restart statefulset db
kubectl rollout status statefulset db --timeout=90s
kubectl scale statefulset db --replicas=4
settled db 4
kubectl scale statefulset db --replicas=3
settled db 3`,
	},
	{
		program: "kubectl", name: "drain a node",
		does: `
# Nodes on which no Pods of other cases run.
for node in a b; do kubectl create -f - <<END
apiVersion: v1
kind: Node
metadata: {name: $NAMESPACE-$node, annotations: {kwok.x-k8s.io/node: fake}, labels: {scene: $NAMESPACE}}
spec: {taints: [{key: scene, effect: NoSchedule}]}
END
done
kubectl apply -f - <<END
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: db}}}
END
sed "s/^    spec:$/    spec:\n      nodeSelector: {scene: $NAMESPACE}\n      tolerations: [{key: scene, operator: Exists}]/" db.yaml | kubectl apply -f -
settled db 3
kubectl drain $NAMESPACE-a --force --ignore-daemonsets --timeout=150s
settled db 3
# An evicted Pod that is replaced at once under the same name counts as disrupted for up to two minutes.
retry 130 disruptable db
kubectl uncordon $NAMESPACE-a
kubectl drain $NAMESPACE-b --force --ignore-daemonsets --timeout=150s
settled db 3
test -z "$(kubectl get pods -o name --field-selector=spec.nodeName=$NAMESPACE-b)"
kubectl delete node $NAMESPACE-b`,
	},
}

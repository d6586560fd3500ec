package compat

// moverCases are cases of programs that scale workloads, evict Pods, provision volumes and restore backups.
var moverCases = []compatCase{
	{
		program: "kubectl", name: "scale up and down with a HorizontalPodAutoscaler",
		does: `
kubectl apply -f db.yaml
settled db 3
autoscale() {
kubectl apply -f - <<END
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  minReplicas: 3
  maxReplicas: $2
  metrics:
  - {type: External, external: {metric: {name: load-$1}, target: {type: AverageValue, averageValue: "1"}}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}
END
}
autoscale 7 7
retry 120 ready db 7
autoscale 3 7
retry 180 ready db 3
autoscale 7 7
retry 120 ready db 7
# An autoscaler does not scale down in steps: it requests the new maximum at once.
autoscale 7 3
retry 180 ready db 3
kubectl get events | tee events
fails grep FailedRescale events
quiet 3`,
	},
	{
		program: "kubectl", name: "scale as KEDA does",
		does: `
keda() { kubectl "$@" --as=system:serviceaccount:keda:keda-operator --as-group=system:masters; }
kubectl apply -f db.yaml
settled db 3
keda scale statefulset db --replicas=5
settled db 5
to() { keda scale statefulset db --replicas=3 && ready db 3; }
retry 90 to
retry 10 keda get statefulset db --subresource=scale`,
	},
	{
		program: "descheduler", name: "evict old Pods",
		does: `
cat > policy.yaml <<END
apiVersion: descheduler/v1alpha2
kind: DeschedulerPolicy
maxNoOfPodsToEvictPerNamespace: 1
profiles:
- name: old
  pluginConfig:
  - {name: DefaultEvictor, args: {evictLocalStoragePods: true}}
  - {name: PodLifeTime, args: {maxPodLifeTimeSeconds: 1, namespaces: {include: [$NAMESPACE]}}}
  plugins: {deschedule: {enabled: [PodLifeTime]}}
END
kubectl apply -f db.yaml
settled db 3
before=$(kubectl get pods -l app=db -o jsonpath='{.items[*].metadata.uid}')
for round in 1 2; do
  sleep 2
  descheduler --kubeconfig="$KUBECONFIG" --policy-config-file=policy.yaml --descheduling-interval=0 --secure-port=0
  settled db 3
done
[ "$before" != "$(kubectl get pods -l app=db -o jsonpath='{.items[*].metadata.uid}')" ]`,
	},
	{
		program: "provisioner", name: "provision and delete volumes",
		does: `
kubectl create -f - <<END
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: $NAMESPACE}
provisioner: example.com/$NAMESPACE
allowVolumeExpansion: true
END
provisioner -cluster="$KUBECONFIG" -name="example.com/$NAMESPACE" > provisioner.log 2>&1 &
trap 'jobs -p | xargs -r kill; wait; tail -40 provisioner.log | cut -c1-400' EXIT
sed "s/accessModes:/storageClassName: $NAMESPACE, accessModes:/" db.yaml > claims.yaml
kubectl apply -f claims.yaml
settled db 3
kubectl scale statefulset db --replicas=4
settled db 4
kubectl scale statefulset db --replicas=3
settled db 3
kubectl create -f - <<END
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: scratch}
spec: {storageClassName: $NAMESPACE, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
END
kubectl wait pvc/scratch --for=jsonpath='{.status.phase}'=Bound --timeout=60s
volume=$(kubectl get pvc scratch -o jsonpath='{.spec.volumeName}')
kubectl delete pvc scratch
# A volume that restricted retains can be used again.
if [ "$PROFILE" = restricted ]; then
  kubectl wait "pv/$volume" --for=jsonpath='{.status.phase}'=Released --timeout=60s
  kubectl patch pv "$volume" --type=json -p='[{"op": "remove", "path": "/spec/claimRef"}]'
  kubectl wait "pv/$volume" --for=jsonpath='{.status.phase}'=Available --timeout=60s
  kubectl delete pv "$volume"
else
  kubectl wait "pv/$volume" --for=delete --timeout=60s
fi
[ "$(kubectl get pvc -o jsonpath='{.items[*].status.phase}')" = "Bound Bound Bound Bound" ]
quiet 3`,
	},
	{
		// Velero restores claims, Pods and Services before their owners, each with its labels and without owner references.
		program: "kubectl", name: "restore a backup",
		does: `
kubectl create -f - <<END
$(for i in 0 1 2; do cat <<CLAIM
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data-db-$i, labels: {app: db, velero.io/restore-name: r, velero.io/backup-name: b}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: db-$i, labels: {app: db, statefulset.kubernetes.io/pod-name: db-$i, apps.kubernetes.io/pod-index: "$i", velero.io/restore-name: r, velero.io/backup-name: b}}
spec:
  hostname: db-$i
  subdomain: db
  volumes: [{name: data, persistentVolumeClaim: {claimName: data-db-$i}}]
  containers: [{name: db, image: "registry.example/db:1", volumeMounts: [{name: data, mountPath: /data}]}]
---
CLAIM
done)
END
sed '/^---$/,$d' db.yaml | kubectl create -f -
sed '1,/^---$/d; s/^  labels: {app: db}/  labels: {app: db, velero.io\/restore-name: r, velero.io\/backup-name: b}/' db.yaml | kubectl create -f -
settled db 3
[ "$(kubectl get pvc -o name | wc -l)" = 3 ]
quiet 3`,
	},
}

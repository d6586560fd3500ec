package main

// Operation is something that people and tools do every day, and that must not be refused.
type Operation struct {
	// Name says what is done.
	Name string
	Stage
	// Do is a shell script in which every command must succeed.
	Do string
}

// Operations is the table. By default the profile is restricted, which refuses the most.
var Operations = strictly([]Operation{
	// New versions.
	{Name: "a restart", Do: `kubectl rollout restart statefulset db
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a new image", Do: `kubectl set image statefulset/db db=registry.example/db:2
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a rollout and its rollback", Do: `kubectl set image statefulset/db db=registry.example/db:2
kubectl rollout status statefulset db --timeout=90s
kubectl rollout undo statefulset db
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a canary rollout: the last member first, then the others", Do: `kubectl patch statefulset db -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}}}}'
kubectl set image statefulset/db db=registry.example/db:2
kubectl rollout status statefulset db --timeout=90s
kubectl patch statefulset db -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}'
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a manual rollout, one Pod after the other", Stage: Stage{Spec: onDelete}, Do: `kubectl set image statefulset/db db=registry.example/db:2
kubectl delete pod db-2
kubectl wait pod/db-2 --for=create --timeout=90s
kubectl wait pod/db-2 --for=condition=Ready --timeout=90s`},
	{Name: "more memory for the members", Do: `kubectl set resources statefulset db --requests=memory=1Gi
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a member that is stuck is deleted with its grace period", Do: `kubectl delete pod db-1
kubectl wait pod/db-1 --for=create --timeout=90s
kubectl wait pod/db-1 --for=condition=Ready --timeout=90s`},

	// More members and fewer.
	{Name: "a scale-up", Do: `kubectl scale statefulset db --replicas=5
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=5 --timeout=90s`},
	{Name: "a scale-up by manifest", Do: `sed -i 's/replicas: 3/replicas: 4/' db.yaml
kubectl apply -f db.yaml`},
	{Name: "a scale-down from five to three, in steps", Stage: Stage{Replicas: 5}, Do: `kubectl scale statefulset db --replicas=4
kubectl rollout status statefulset db --timeout=90s
kubectl wait statefulset/db --for=jsonpath='{.status.replicas}'=4 --timeout=90s
kubectl scale statefulset db --replicas=3
kubectl wait statefulset/db --for=jsonpath='{.status.replicas}'=3 --timeout=90s`},
	{Name: "a scale-down from five to three at once, under baseline", Stage: Stage{Replicas: 5, Profile: "baseline"},
		Do: `kubectl scale statefulset db --replicas=3`},
	{Name: "a scale-up without room is reverted", Stage: Stage{Profile: "baseline", Spec: `podManagementPolicy: Parallel`}, Do: `kubectl patch statefulset db -p '{"spec":{"updateStrategy":{"rollingUpdate":{"partition":3}},"replicas":5,"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'
kubectl wait statefulset/db --for=jsonpath='{.status.replicas}'=5 --timeout=90s
kubectl scale statefulset db --replicas=3`},
	{Name: "a scale-down to zero with a bypass", Do: `kubectl annotate statefulset db mooring.dev/bypass=scale-down mooring.dev/bypass-reason='the site moves'
kubectl scale statefulset db --replicas=0`},
	{Name: "an autoscaler scales up", Do: `kubectl autoscale statefulset db --min=4 --max=5
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=4 --timeout=90s`},
	{Name: "an autoscaler's maximum is below the current size, and it gets there in steps", Stage: Stage{Profile: "baseline", Replicas: 7}, Do: `kubectl autoscale statefulset db --min=3 --max=3
kubectl wait statefulset/db --for=jsonpath='{.status.replicas}'=3 --timeout=90s`},
	{Name: "KEDA asks for less than a majority, and gets a majority", Do: `kubectl --as=system:serviceaccount:keda:keda-operator --as-group=system:masters scale statefulset db --replicas=1
test "$(kubectl get statefulset db -o jsonpath='{.spec.replicas}')" = 2`},
	{Name: "a StatefulSet without data is scaled to zero for the night", Stage: Stage{Profile: "baseline", Empty: true}, Do: `sed -e '/volumeClaimTemplates:/,$d' -e '/volumeMounts:/d' db.yaml > cache.yaml
kubectl apply -f service.yaml -f cache.yaml
kubectl rollout status statefulset db --timeout=90s
kubectl scale statefulset db --replicas=0`},
	{Name: "a scale-up that a quota stops is reverted", Stage: Stage{Profile: "baseline"}, Do: `kubectl create quota pods --hard=pods=4
kubectl scale statefulset db --replicas=5
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=4 --timeout=90s
kubectl scale statefulset db --replicas=3`},
	{Name: "a scale-down to zero with a bypass that is granted in one namespace", Stage: Stage{Given: `kubectl create rolebinding ann --clusterrole=edit --user=ann
kubectl create rolebinding ann-bypass --clusterrole=mooring-bypass --user=ann`}, Do: `kubectl --as=ann annotate statefulset db mooring.dev/bypass=scale-down mooring.dev/bypass-reason='the site moves'
kubectl --as=ann scale statefulset db --replicas=0`},
	{Name: "an autoscaler gets a safe minimum", Do: `kubectl autoscale statefulset db --min=3 --max=5
kubectl patch horizontalpodautoscaler db -p '{"spec":{"minReplicas":2}}'`},
	{Name: "a scale to the present size", Do: `kubectl scale statefulset db --replicas=3`},

	// Claims.
	{Name: "a claim is resized", Do: `kubectl patch pvc data-db-0 -p '{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}'`},
	{Name: "kept claims are cleaned up with a bypass", Stage: Stage{Replicas: 4}, Do: `kubectl scale statefulset db --replicas=3
kubectl wait pod/db-3 --for=delete --timeout=90s
kubectl annotate pvc data-db-3 mooring.dev/bypass=retained-claim mooring.dev/bypass-reason='handed over'
kubectl delete pvc data-db-3 --timeout=90s`},
	{Name: "kept claims are cleaned up, under baseline", Stage: Stage{Replicas: 4, Profile: "baseline"}, Do: `kubectl scale statefulset db --replicas=3
kubectl wait pod/db-3 --for=delete --timeout=90s
kubectl delete pvc data-db-3 --timeout=90s`},
	{Name: "other claims are created and deleted", Stage: Stage{Empty: true}, Do: `echo '{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: scratch}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}' | kubectl apply -f -
kubectl wait pvc/scratch --for=jsonpath='{.status.phase}'=Bound --timeout=90s
kubectl delete pvc scratch --timeout=90s`},
	{Name: "an ephemeral volume is deleted with its Pod", Stage: Stage{Empty: true}, Do: `echo '{apiVersion: v1, kind: Pod, metadata: {name: job-0}, spec: {containers: [{name: job, image: registry.example/job}],
  volumes: [{name: scratch, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]}}' | kubectl apply -f -
kubectl wait pod/job-0 --for=condition=Ready --timeout=90s
kubectl delete pod job-0
kubectl wait pvc/job-0-scratch --for=delete --timeout=90s`},
	{Name: "an unclaimed volume is deleted", Stage: Stage{Empty: true}, Do: `echo '{apiVersion: v1, kind: PersistentVolume, metadata: {name: '$NAMESPACE'},
  spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: by-hand, hostPath: {path: /disks/1}}}' | kubectl apply -f -
kubectl delete pv $NAMESPACE --timeout=90s`},
	{Name: "a claim gets a label, an annotation and a finalizer", Do: `kubectl label pvc data-db-0 tier=hot
kubectl annotate pvc data-db-0 backup.example.com/last=yesterday
kubectl patch pvc data-db-0 --type=json -p '[{"op":"add","path":"/metadata/finalizers/-","value":"backup.example.com/done"}]'`},

	// Nodes.
	{Name: "a node is drained", Stage: Stage{Given: `kubectl create poddisruptionbudget db --selector=app=db --max-unavailable=1
kubectl wait poddisruptionbudget/db --for=jsonpath='{.status.disruptionsAllowed}'=1 --timeout=90s`},
		Do: `node=$(kubectl get pod db-0 -o jsonpath='{.spec.nodeName}')
kubectl drain $node --pod-selector=in=$NAMESPACE --timeout=90s
kubectl uncordon $node`},
	{Name: "a member is evicted", Do: `echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-0"}}' > eviction.json
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/db-0/eviction" -f eviction.json`},
	{Name: "a kubelet reports that a Pod has stopped", Do: `kubectl --as=system:node:node-0 --as-group=system:nodes --as-group=system:masters delete pod db-0 --grace-period=0 --force`},
	{Name: "a Pod of a Deployment is force-deleted", Stage: Stage{Empty: true}, Do: `kubectl create deployment web --image=registry.example/web
kubectl rollout status deployment web --timeout=90s
kubectl delete pods -l app=web --force`},

	{Name: "a node is drained, and then deleted", Stage: Stage{Empty: true, Replicas: 1, Given: ownNode}, Do: `kubectl drain node-$NAMESPACE --timeout=90s
kubectl delete node node-$NAMESPACE`},
	{Name: "Karpenter deletes a node, and drains it first", Stage: Stage{Empty: true, Replicas: 1, Given: ownNode}, Do: `kubectl patch node node-$NAMESPACE --type=merge -p '{"metadata":{"finalizers":["karpenter.sh/termination"]}}'
kubectl delete node node-$NAMESPACE --wait=false
kubectl drain node-$NAMESPACE --timeout=90s
kubectl patch node node-$NAMESPACE --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl wait node/node-$NAMESPACE --for=delete --timeout=90s`},
	{Name: "a node becomes unreachable, and its Pods are evicted", Stage: Stage{Empty: true, Given: ownNode}, Do: `kubectl --as=system:serviceaccount:kube-system:node-controller --as-group=system:masters taint node node-$NAMESPACE off=:NoExecute
until test "$(kubectl get pod db-0 --ignore-not-found -o jsonpath='{.status.phase}')" = Pending; do sleep 0.2; done`},
	{Name: "one member is evicted from a node by a maintenance taint", Stage: Stage{Empty: true, Replicas: 1, Given: ownNode}, Do: `kubectl taint node node-$NAMESPACE maintenance=disk:NoExecute
until test "$(kubectl get pod db-0 --ignore-not-found -o jsonpath='{.status.phase}')" = Pending; do sleep 0.2; done`},
	{Name: "the scheduler preempts a member", Stage: Stage{Empty: true, Given: ownNode}, Do: `kubectl create priorityclass first-$NAMESPACE --value=1000
room=$(kubectl get node node-$NAMESPACE -o jsonpath='{.status.allocatable.pods}')
kubectl patch node node-$NAMESPACE --subresource=status --type=merge -p '{"status":{"allocatable":{"pods":"3"},"capacity":{"pods":"3"}}}'
for i in 1 2; do
  echo '{apiVersion: v1, kind: Pod, metadata: {name: first-'$i'}, spec: {priorityClassName: first-'$NAMESPACE', nodeSelector: {only: '$NAMESPACE'},
    tolerations: [{operator: Exists}], containers: [{name: first, image: registry.example/first}]}}' | kubectl create -f -
done
kubectl wait pod/first-1 pod/first-2 --for=condition=Ready --timeout=90s`},
	{Name: "a member gets a role label, then another", Do: `kubectl label pod db-0 role=primary
kubectl label pod db-0 role=replica --overwrite
kubectl label pod db-0 role-`},
	{Name: "a second StatefulSet with its own labels", Do: `sed -e 's/^  name: db$/  name: replica/' -e 's/matchLabels: {app: db}/matchLabels: {app: db, role: replica}/' -e 's/labels: {app: db, in:/labels: {app: db, role: replica, in:/' db.yaml | kubectl apply -f -
kubectl rollout status statefulset replica --timeout=90s`},
	{Name: "a quota with room is created, raised, and deleted", Do: `kubectl create quota team --hard=pods=10
kubectl patch resourcequota team --type=merge -p '{"spec":{"hard":{"pods":"12","requests.storage":"1Gi"}}}'
kubectl delete quota team`},
	{Name: "a scale-down to zero with a bypass, and back", Do: `kubectl annotate statefulset db mooring.dev/bypass=scale-down mooring.dev/bypass-reason='the site moves'
kubectl scale statefulset db --replicas=0
kubectl wait pods -l app=db --for=delete --timeout=90s
kubectl scale statefulset db --replicas=3
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "all members' nodes are drained at once, and the drains wait", Do: `nodes=$(kubectl get pods -l app=db -o jsonpath='{.items[*].spec.nodeName}')
kubectl drain $nodes --pod-selector=in=$NAMESPACE --timeout=90s
kubectl uncordon $nodes`},

	// Owners, Pods, volumes and what Pods need.
	{Name: "a StatefulSet and a claim get an owner that exists", Do: `kubectl create configmap owner
uid=$(kubectl get configmap owner -o jsonpath='{.metadata.uid}')
for object in statefulset/db pvc/data-db-0; do
  kubectl patch $object --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"'$uid'"}]}}'
done
kubectl patch pvc data-db-0 --type=merge -p '{"metadata":{"ownerReferences":null}}'`},
	{Name: "members are restarted manually, one after the other", Do: `for pod in db-2 db-1 db-0; do
  kubectl delete pod $pod
  kubectl wait pod/$pod --for=create --timeout=90s
  kubectl wait pod/$pod --for=condition=Ready --timeout=90s
done`},
	{Name: "the member that is down is deleted", Stage: Stage{Spec: onDelete, Given: nowhere + `
kubectl delete pod db-2`}, Do: `kubectl wait pod/db-2 --for=create --timeout=90s
kubectl delete pod db-2`},
	{Name: "the only member is restarted", Stage: Stage{Replicas: 1}, Do: `kubectl delete pod db-0`},
	{Name: "both members are restarted, one after the other", Stage: Stage{Replicas: 2}, Do: `for pod in db-1 db-0; do
  kubectl delete pod $pod
  kubectl wait pod/$pod --for=create --timeout=90s
  kubectl wait pod/$pod --for=condition=Ready --timeout=90s
done`},
	{Name: "the reclaim policy of volumes changes to Retain", Do: `kubectl get pvc -o jsonpath='{range .items[*]}{.spec.volumeName}{"\n"}{end}' |
  xargs -I{} kubectl patch pv {} -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'`},
	{Name: "objects that no StatefulSet needs are deleted", Do: `kubectl create secret generic spare --from-literal=a=b
kubectl create configmap spare --from-literal=a=b
kubectl create serviceaccount spare
kubectl create priorityclass spare-$NAMESPACE --value=1
kubectl delete secret/spare configmap/spare serviceaccount/spare priorityclass/spare-$NAMESPACE`},
	{Name: "a Secret that Pods need is updated", Do: `kubectl create secret generic db --from-literal=password=old
kubectl set env statefulset/db --from=secret/db
kubectl rollout status statefulset db --timeout=90s
kubectl create secret generic db --from-literal=password=new --dry-run=client -o yaml | kubectl apply -f -`},

	// Manifests and tools.
	{Name: "Service and StatefulSet are applied in order, as Helm does", Stage: Stage{Empty: true}, Do: `kubectl create serviceaccount db
kubectl create configmap db --from-literal=mode=cluster
kubectl apply -f service.yaml -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a server-side apply", Stage: Stage{Empty: true}, Do: `kubectl apply --server-side -f service.yaml -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "Flux dry-runs everything before it applies anything", Stage: Stage{Empty: true}, Do: `cat db.yaml > all.yaml; echo --- >> all.yaml; cat service.yaml >> all.yaml
kubectl apply --server-side --dry-run=server --field-manager=kustomize-controller -f all.yaml
kubectl apply --server-side --field-manager=kustomize-controller -f service.yaml -f db.yaml`},
	{Name: "another tool takes over the fields", Do: `kubectl apply --server-side --force-conflicts --field-manager=argocd-controller -f service.yaml -f db.yaml`},
	{Name: "the same manifest again", Do: `kubectl apply -f service.yaml -f db.yaml`},
	{Name: "the StatefulSet is replaced by its unchanged manifest", Do: `kubectl replace -f db.yaml`},
	{Name: "kubectl diff", Do: `sed -i 's/db:1/db:2/' db.yaml
kubectl diff -f db.yaml || test $? -eq 1`},
	{Name: "a dry run of a new image", Do: `kubectl set image statefulset/db db=registry.example/db:2 --dry-run=server`},
	{Name: "the StatefulSet gets and loses a label, an annotation and a finalizer", Do: `kubectl label statefulset db team=storage
kubectl annotate statefulset db example.com/note=hello
kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":["example.com/wait"]}}'
kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl label statefulset db team-`},
	{Name: "a StatefulSet with findings that is older than Mooring is updated", Stage: Stage{Empty: true}, Do: `kubectl label namespace $NAMESPACE mooring.dev/profile=off --overwrite
sed -e '/readinessProbe/d' -e 's/serviceName: db/serviceName: nobody/' -e 's/      containers:/      terminationGracePeriodSeconds: 0\n      containers:/' db.yaml > old.yaml
kubectl apply -f old.yaml
kubectl rollout status statefulset db --timeout=90s
kubectl label namespace $NAMESPACE mooring.dev/profile=restricted --overwrite
kubectl label statefulset db team=storage
kubectl scale statefulset db --replicas=4
kubectl rollout status statefulset db --timeout=90s
sed -e 's/db:1/db:2/' -e 's/replicas: 3/replicas: 4/' old.yaml | kubectl apply -f -
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "Velero restores claims and StatefulSet", Stage: Stage{Empty: true}, Do: `for i in 0 1 2; do
  echo "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-$i, labels: {velero.io/restore-name: monday}},
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}" | kubectl create --field-manager=velero-server -f -
done
kubectl create --field-manager=velero-server -f service.yaml
kubectl create --field-manager=velero-server -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "revisionHistoryLimit is lowered", Do: `kubectl patch statefulset db -p '{"spec":{"revisionHistoryLimit":3,"minReadySeconds":1}}'`},
	{Name: "the Service gets a port", Do: `kubectl patch service db -p '{"spec":{"ports":[{"name":"metrics","port":9187}]}}'`},
	{Name: "the Service publishes members that are not ready", Do: `kubectl patch service db -p '{"spec":{"publishNotReadyAddresses":true}}'`},
	{Name: "another Service is created and deleted", Do: `kubectl expose pod db-0 --port=5432 --name=db-primary
kubectl delete service db-primary`},
	{Name: "a budget is created, changed and deleted", Do: `kubectl create poddisruptionbudget db --selector=app=db --max-unavailable=1
kubectl delete poddisruptionbudget db`},

	// Deletes.
	{Name: "a StatefulSet is deleted with its claims kept, and created again", Stage: Stage{Profile: "baseline"}, Do: `kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete --timeout=90s
kubectl apply -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "an immutable field is changed with an orphan delete", Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/replicas: 3/replicas: 3\n  podManagementPolicy: Parallel/' db.yaml
kubectl apply -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "a StatefulSet is deleted, then its Service", Stage: Stage{Profile: "baseline"}, Do: `kubectl delete -f db.yaml
kubectl delete -f service.yaml`},
	{Name: "Service and StatefulSet are deleted in Helm's order, and created again", Stage: Stage{Profile: "baseline"}, Do: `kubectl delete -f service.yaml -f db.yaml
kubectl wait pods -l app=db --for=delete --timeout=90s
kubectl apply -f service.yaml -f db.yaml
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "helm uninstall deletes the Service and the StatefulSet of a release", Do: `for object in service/db statefulset/db; do
  kubectl label $object app.kubernetes.io/managed-by=Helm
  kubectl annotate $object meta.helm.sh/release-name=db meta.helm.sh/release-namespace=$NAMESPACE
done
kubectl delete service db
kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete --timeout=90s`},
	{Name: "kubectl delete all", Stage: Stage{Profile: "baseline"}, Do: `kubectl delete all --all
kubectl wait pods -l app=db --for=delete --timeout=90s`},
	{Name: "a first install that never got ready is removed with its claims", Stage: Stage{Profile: "baseline", Empty: true, Spec: claimsGo}, Do: `sed 's/      containers:/      nodeSelector: {disk: none}\n      containers:/' db.yaml > broken.yaml
kubectl apply -f service.yaml -f broken.yaml
kubectl wait pod/db-0 --for=create --timeout=90s
kubectl wait pvc/data-db-0 --for=jsonpath='{.status.phase}'=Bound --timeout=90s
kubectl delete -f service.yaml -f broken.yaml
kubectl wait pvc --all --for=delete --timeout=90s`},
	{Name: "claims that were never bound are deleted", Stage: Stage{Empty: true}, Do: `sed 's/accessModes:/storageClassName: none, accessModes:/' db.yaml > lost.yaml
kubectl label namespace $NAMESPACE mooring.dev/mode=warn
kubectl apply -f service.yaml -f lost.yaml
kubectl label namespace $NAMESPACE mooring.dev/mode-
kubectl wait pvc/data-db-0 --for=create --timeout=90s
kubectl delete statefulset db
kubectl delete pvc data-db-0 --timeout=90s`},
	{Name: "a finalizer empties a Terminating StatefulSet", Stage: Stage{Profile: "baseline"}, Do: `kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":["example.com/drain"]}}'
kubectl delete statefulset db --wait=false
kubectl scale statefulset db --replicas=0
kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl wait pods -l app=db --for=delete --timeout=90s`},
	{Name: "a finalizer empties a Terminating namespace", Do: `kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":["example.com/drain"]}}'
kubectl annotate namespace $NAMESPACE mooring.dev/bypass=delete-protection mooring.dev/bypass-reason='the customer has left'
kubectl delete namespace $NAMESPACE --wait=false
kubectl scale statefulset db --replicas=0
kubectl patch statefulset db --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl wait namespace/$NAMESPACE --for=delete --timeout=90s`},
	{Name: "a preview is deleted with its claims, with a bypass", Do: `kubectl annotate statefulset db mooring.dev/bypass=delete-protection,retention-policy mooring.dev/bypass-reason='the preview is over'
kubectl patch statefulset db -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}'
kubectl delete statefulset db
kubectl wait pvc --all --for=delete --timeout=90s`},
	{Name: "a namespace is deleted with a bypass", Do: `kubectl annotate namespace $NAMESPACE mooring.dev/bypass=delete-protection mooring.dev/bypass-reason='the customer has left'
kubectl delete namespace $NAMESPACE --timeout=90s`},
	{Name: "a namespace without StatefulSets is deleted", Stage: Stage{Empty: true}, Do: `kubectl create deployment web --image=registry.example/web
kubectl delete namespace $NAMESPACE --timeout=90s`},
	{Name: "a Deployment is scaled to zero and deleted", Stage: Stage{Empty: true}, Do: `kubectl create deployment web --image=registry.example/web --replicas=3
kubectl scale deployment web --replicas=0
kubectl delete deployment web`},

	// Operators.
	{Name: "two StatefulSets of one app, each with a role of its own", Stage: Stage{Empty: true}, Do: `for role in primary replica; do
  echo --- | cat service.yaml - db.yaml | sed -e "s/: db$/: db-$role/" -e "s/app: db/app: db, role: $role/" | kubectl apply -f - 2>&1 | tee said
  if grep pod-selector said; then exit 1; fi
done`},
	{Name: "a StorageClass is made again, and still keeps volumes", Stage: Stage{Empty: true, Given: keeping}, Do: `kubectl delete storageclass kept-$NAMESPACE
kubectl apply -f class.yaml 2>&1 | tee said
if grep volume-retain said; then exit 1; fi`},

	{Name: "a custom resource that owns nothing is deleted, and its CustomResourceDefinition", Stage: Stage{Given: ownDefinition + asked("$NAMESPACE")}, Do: `kubectl patch statefulset db --type=merge -p '{"metadata":{"ownerReferences":null}}'
kubectl delete databases.$NAMESPACE.example.com db
kubectl delete crd databases.$NAMESPACE.example.com`},
	{Name: "a custom resource is deleted with --cascade=orphan", Stage: Stage{Given: owned + guarded}, Do: `kubectl delete database db --cascade=orphan`},
	{Name: "a custom resource is scaled up, and its operator follows", Stage: Stage{Given: owned + guarded}, Do: `kubectl scale databases.db.example.com db --replicas=5
` + follow(5) + `
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=5 --timeout=90s`},
	{Name: "a custom resource is scaled down by one with all members ready", Stage: Stage{Given: owned + guarded}, Do: `kubectl patch database db --type=merge -p '{"spec":{"replicas":2}}'
` + follow(2)},
	{Name: "another field of a custom resource changes while a member is down", Stage: Stage{Given: owned + guarded + `
kubectl label pod db-0 broken=true
kubectl patch pod db-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		Do: `kubectl patch database db --type=merge -p '{"spec":{"version":"2"}}'`},
	{Name: "the node sets of a custom resource are renamed, and one is lowered by one", Stage: Stage{Given: elastic + asked("elasticsearches")}, Do: `kubectl patch elasticsearch es --type=merge -p '{"spec":{"nodeSets":[{"name":"warm","count":1},{"name":"db","count":3}]}}'
kubectl patch elasticsearch es --type=merge -p '{"spec":{"nodeSets":[{"name":"db","count":2},{"name":"warm","count":1}]}}'
` + follow(2)},
	{Name: "one of two custom resources is deleted that own another of their kind", Stage: Stage{Given: resource + tenant + whole + "\n" + adopt("") + guarded}, Do: `echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: other}}' | kubectl create -f -
uid=$(kubectl get database other -o jsonpath='{.metadata.uid}')
kubectl patch database db --type=json -p '[{"op":"add","path":"/metadata/ownerReferences/-","value":{"apiVersion":"db.example.com/v1","kind":"Database","name":"other","uid":"'$uid'"}}]'
kubectl delete database other`},
	{Name: "an autoscaler scales down a custom resource", Stage: Stage{Given: owned + guarded}, Do: `kubectl --as=system:serviceaccount:kube-system:horizontal-pod-autoscaler --as-group=system:masters scale databases.db.example.com db --replicas=1`},
	{Name: "an operator scales down its own custom resource", Stage: Stage{Given: owned + guarded + `
kubectl create role db-operator --verb='*' --resource=databases.db.example.com,databases.db.example.com/status,databases.db.example.com/scale
kubectl create rolebinding db-operator --role=db-operator --serviceaccount=ops:db-operator
until kubectl --as=system:serviceaccount:ops:db-operator get database db; do sleep 1; done`}, Do: `kubectl --as=system:serviceaccount:ops:db-operator patch database db --type=merge -p '{"spec":{"replicas":1}}'`},
	{Name: "a custom resource is scaled to zero with a bypass", Stage: Stage{Given: owned + guarded}, Do: `kubectl annotate database db mooring.dev/bypass=owner-scale mooring.dev/bypass-reason='the site moves'
kubectl patch database db --type=merge -p '{"spec":{"replicas":0}}'`},
	{Name: "an operator's finalizer deletes what its custom resource owns", Stage: Stage{Profile: "baseline", Given: owned + `
kubectl apply -f - <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: mooring-owners-databases, labels: {mooring.dev/aggregate-to-owners: "true"}}
rules: [{apiGroups: [db.example.com], resources: [databases], verbs: [get]}]
END
until kubectl auth can-i get databases --as=system:serviceaccount:mooring-system:mooring; do sleep 1; done
kubectl patch database db --type=merge -p '{"metadata":{"finalizers":["db.example.com/drain"]}}'`}, Do: `kubectl delete database db --wait=false
kubectl delete pvc data-db-0 --wait=false
kubectl scale statefulset db --replicas=0
kubectl delete pvc --all --wait=false
kubectl patch database db --type=merge -p '{"metadata":{"finalizers":null}}'
kubectl wait statefulset/db --for=delete --timeout=90s`},
	{Name: "an operator without owner references replaces a StatefulSet but not its Pods, and writes their endpoints", Stage: Stage{Empty: true, Given: `sed '/selector:/d' service.yaml | kubectl apply -f -
kubectl apply -f db.yaml
kubectl rollout status statefulset db --timeout=90s`}, Do: `export AS='--as=system:serviceaccount:ops:pg-operator --as-group=system:masters'
kubectl $AS delete statefulset db --cascade=orphan
kubectl $AS create -f db.yaml
kubectl $AS delete pod db-0 --wait=false
kubectl rollout status statefulset db --timeout=90s`},
	{Name: "an operator scales down what it owns", Stage: Stage{Given: owned}, Do: `kubectl --as=system:serviceaccount:ops:db-operator --as-group=system:masters scale statefulset db --replicas=1`},
	{Name: "an operator rolls out what it owns", Stage: Stage{Given: owned}, Do: `kubectl --as=system:serviceaccount:ops:db-operator --as-group=system:masters patch statefulset db -p '{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"db","image":"registry.example/db:2"}]}}}}'
kubectl --as=system:serviceaccount:ops:db-operator --as-group=system:masters delete pod db-0`},
})

// strictly fills in the profile that refuses the most.
func strictly(operations []Operation) []Operation {
	for i := range operations {
		if operations[i].Profile == "" {
			operations[i].Profile = "restricted"
		}
	}
	return operations
}

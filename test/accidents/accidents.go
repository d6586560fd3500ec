package main

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Accident is something that a tired person or a tool does, with what is lost without Mooring.
type Accident struct {
	// Name says what happens.
	Name string
	Stage
	// Do is a shell script. It continues after a command fails, as people do.
	Do string
	// Call does the same in Go; Do then only describes it.
	Call func(ctx context.Context, c kubernetes.Interface, namespace string) error
	// Lost is what is lost without Mooring.
	Lost Loss
	// By is the finding that refuses it, as rule/check; any of several if the order is not certain.
	By string
	// Left is what is still lost with Mooring: what was intended, and can be created again.
	Left Loss
}

// nobody is an owner that does not exist; nowhere a template whose Pods fit on no node.
const (
	nobody  = `{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"11111111-2222-3333-4444-555555555555"}`
	nowhere = `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"repaired"}}}}}'`
)

// Accidents is the table. By default the StatefulSet db has three ready members with a claim each, its namespace has no label, and
// the profile baseline refuses the accident.
var Accidents = []Accident{
	// Deletes of a StatefulSet with its claims.
	{
		Name:  "the StatefulSet is deleted",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "the manifest is deleted",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "every StatefulSet is deleted, in the wrong context",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete statefulsets --all`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "everything with a label is deleted",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete all -l app=db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
		Left: Loss{Names: 3},
	},
	{
		Name:  "a collection is deleted through the API",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete --raw "/apis/apps/v1/namespaces/$NAMESPACE/statefulsets?labelSelector=app=db"`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "a cleanup job deletes the collection",
		Stage: Stage{Spec: claimsGo}, Do: `client-go: StatefulSets(ns).DeleteCollection(ctx, DeleteOptions{}, ListOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			return c.AppsV1().StatefulSets(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "an immutable field is changed with replace --force",
		Stage: Stage{Spec: claimsGo}, Do: `sed -i 's/storage: 1Gi/storage: 2Gi/' db.yaml
kubectl replace --force -f db.yaml`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "the StatefulSet is deleted in the foreground",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete statefulset db --cascade=foreground`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "GitOps prunes what was removed from the repository",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl apply -f service.yaml --prune -l app=db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name: "retention is weakened, then the StatefulSet deleted",
		Do: `kubectl patch statefulset db -p '{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Delete"}}}'
kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "a manifest that weakens the retention policy is applied, then deleted",
		Stage: Stage{Profile: "restricted"}, Do: `echo '  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}' >> db.yaml
kubectl apply -f db.yaml && kubectl delete -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "retention-policy/weakening",
	},
	{
		Name:  "a StatefulSet with the protect label is deleted with its claims",
		Stage: Stage{Spec: claimsGo, Given: `kubectl label statefulset db mooring.dev/protect=true`}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/protected",
	},

	// Deletes of claims.
	{
		Name: "the claim of a running member is deleted, and the member restarts",
		Do: `kubectl delete pvc data-db-0 --wait=false
kubectl delete pod db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "the wrong member is reset",
		Do:   `kubectl delete pod/db-0 pvc/data-db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "every claim is deleted, then the StatefulSet is restarted",
		Do: `kubectl delete pvc --all --wait=false
kubectl delete pods --all`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "claims are deleted by label, then their Pods",
		Do: `kubectl delete pvc -l app=db --wait=false
kubectl delete pods -l app=db`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "a cleanup job deletes the collection of claims",
		Do:   `client-go: PersistentVolumeClaims(ns).DeleteCollection(ctx, DeleteOptions{}, ListOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			return c.CoreV1().PersistentVolumeClaims(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		Lost: Loss{Claims: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "a claim that looks unused is deleted while its Pod is away",
		// The Pod must not start before the node selector is removed. A Pod that never ran, created together with its claim, shows
		// that the claim is empty.
		Stage: Stage{Spec: onDelete, Given: `made=$(date +%s -d "$(kubectl get pvc data-db-2 -o jsonpath='{.metadata.creationTimestamp}')")
until test $(($(date +%s) - made)) -gt 3; do sleep 0.2; done
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"repaired"}}}}}'
kubectl delete pod db-2`},
		Do: `kubectl get pods -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\n"}{end}' > running
kubectl get pvc -o name | grep -v -f running | xargs kubectl delete --wait=false`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "a claim is force-replaced to shrink it",
		Do: `kubectl get pvc data-db-1 -o yaml | sed 's/storage: 1Gi/storage: 500Mi/' > claim.yaml
kubectl replace --force --grace-period=0 --timeout=1s -f claim.yaml
kubectl delete pod db-1`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "a claim is stuck in Terminating, and its finalizer is removed",
		// With reclaim policy Delete, kwok deletes a volume when its claim is Terminating, not when it is gone.
		Stage: Stage{Given: `kubectl patch pv $(kubectl get pvc data-db-0 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
kubectl annotate pvc data-db-0 mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete pvc data-db-0 --wait=false
kubectl annotate pvc data-db-0 mooring.dev/bypass-`},
		Do:   `kubectl patch pvc data-db-0 --type=merge -p '{"metadata":{"finalizers":null}}'`,
		Lost: Loss{Claims: 1}, By: "delete-protection/finalizer",
	},
	{
		Name: "the volume is deleted, is stuck, and its finalizers are removed",
		Do: `pv=$(kubectl get pvc data-db-0 -o jsonpath='{.spec.volumeName}')
kubectl delete pv $pv --wait=false
kubectl patch pv $pv --type=merge -p '{"metadata":{"finalizers":null}}'`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/volume",
	},
	{
		Name: "claims that a scale-down kept are cleaned up",
		Stage: Stage{Profile: "restricted", Replicas: 4, Given: `kubectl scale statefulset db --replicas=3
kubectl wait pod/db-3 --for=delete`},
		Do:   `kubectl delete pvc data-db-3`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "retained-claim/kept",
	},
	{
		Name:  "StatefulSet and claims are deleted in one command",
		Stage: Stage{Profile: "restricted"}, Do: `kubectl delete statefulset,pvc -l app=db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/running",
	},
	{
		Name: "the StatefulSet is deleted to be created again, and its claims are cleaned up meanwhile",
		Stage: Stage{Profile: "restricted", Given: `kubectl annotate statefulset db mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete`},
		Do:   `kubectl delete pvc -l app=db`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "retained-claim/left",
	},
	{
		Name:  "a claim with the protect label is deleted",
		Stage: Stage{Empty: true, Given: backup}, Do: `kubectl delete pvc backup`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/protected",
	},

	{
		Name: "GitOps prunes the StatefulSet and its claims, and retries after the Pods have stopped",
		Do: `kubectl delete statefulset,pvc -l app=db --wait=false
kubectl wait pods -l app=db --for=delete --timeout=60s
kubectl delete pvc -l app=db --wait=false`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "retained-claim/recent",
		Left: Loss{Pods: 3, Majority: true},
	},
	{
		Name:  "a claim that a StatefulSet mounts by name is deleted, and the member restarts",
		Stage: Stage{Empty: true, Given: mounted}, Do: `kubectl delete pvc files --wait=false
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1, Majority: true, Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},

	// Deletes of a StatefulSet that keeps its claims, or that an operator owns.
	{
		Name:  "a StatefulSet that keeps its claims is deleted",
		Stage: Stage{Profile: "restricted"}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true}, By: "delete-protection/running",
	},
	{
		Name:  "every StatefulSet of the namespace and its Service is deleted, with claims kept",
		Stage: Stage{Profile: "restricted"}, Do: `kubectl delete statefulsets,services --all`,
		Lost: Loss{Pods: 3, Majority: true}, By: "delete-protection/running",
	},
	{
		Name:  "a person deletes an operator's StatefulSet with its claims",
		Stage: Stage{Spec: claimsGo, Given: owned}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "a person scales an operator's StatefulSet to zero",
		Stage: Stage{Given: owned}, Do: `kubectl scale statefulset db --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "a person adds an owner to the StatefulSet, then deletes it like its operator",
		Stage: Stage{Spec: claimsGo, Given: resource + `
kubectl create rolebinding eve --clusterrole=edit --user=eve`}, Do: adopt("--as=eve") + `
kubectl --as=eve delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},

	{
		Name:  "a custom resource is deleted with the StatefulSet that it owns",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl delete database db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is deleted, with claims kept",
		Stage: Stage{Profile: "restricted", Given: owned + guarded}, Do: `kubectl delete database db`,
		Lost: Loss{Pods: 3, Majority: true}, By: "owner-delete/members",
	},
	{
		Name:  "all custom resources of the namespace are deleted, to create one again",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl delete databases --all --cascade=foreground`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is force-replaced",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl get database db -o yaml > database.yaml
kubectl replace --force -f database.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name: "GitOps prunes a custom resource that was removed from the repository",
		Stage: Stage{Spec: claimsGo, Given: owned + `
echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db, labels: {app: db}}}' | kubectl apply -f -` + guarded},
		Do:   `kubectl apply -f service.yaml --prune -l app=db --prune-allowlist=db.example.com/v1/Database`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource that owns the claims is deleted, although the StatefulSet keeps them",
		Stage: Stage{Given: resource + "\n" + adopting("pvc/data-db-0 pvc/data-db-1 pvc/data-db-2") + guarded},
		Do:    `kubectl delete database db && kubectl wait pvc --all --for=jsonpath='{.metadata.deletionTimestamp}' --timeout=60s && kubectl delete pods -l app=db`,
		Lost:  Loss{Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "the owner of a custom resource is deleted",
		Stage: Stage{Spec: claimsGo, Given: resource + tenant + adopt("") + asked("tenants")}, Do: `kubectl delete tenant db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "the custom resource above the custom resource is deleted, and is of the same kind",
		Stage: Stage{Spec: claimsGo, Given: resource + tenant + whole + "\n" + adopt("") + guarded}, Do: `kubectl delete database all`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "an operator is uninstalled with its CustomResourceDefinition",
		Stage: Stage{Spec: claimsGo, Given: ownDefinition + asked("$NAMESPACE")}, Do: `kubectl delete crd databases.$NAMESPACE.example.com`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is scaled from three to one, and its operator follows",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do:    `kubectl patch database db --type=merge -p '{"spec":{"replicas":1}}' && ` + follow(1),
		Lost:  Loss{Pods: 2, Majority: true}, By: "owner-scale/quorum",
	},
	{
		Name:  "one of the node sets of a custom resource is lowered to one, and its operator follows",
		Stage: Stage{Profile: "restricted", Given: elastic + asked("elasticsearches")},
		Do:    `kubectl patch elasticsearch es --type=merge -p '{"spec":{"nodeSets":[{"name":"hot","count":1},{"name":"db","count":1}]}}' && ` + follow(1),
		Lost:  Loss{Pods: 2, Majority: true}, By: "owner-scale/quorum",
	},
	{
		Name:  "a custom resource is scaled to zero for the weekend",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do:    `kubectl scale databases.db.example.com db --replicas=0 && ` + follow(0),
		Lost:  Loss{Pods: 3, Majority: true}, By: "owner-scale/to-zero",
	},
	{
		Name:  "a custom resource is scaled down by one, which deletes the last member's claim",
		Stage: Stage{Spec: claimsShrink, Given: owned + guarded},
		Do:    `kubectl scale databases.db.example.com db --replicas=2 && ` + follow(2),
		Lost:  Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "owner-scale/data",
	},
	{
		Name:  "GitOps scales a custom resource to one",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do: `echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db}, spec: {replicas: 1}}' > database.yaml
kubectl apply --server-side --force-conflicts -f database.yaml && ` + follow(1),
		Lost: Loss{Pods: 2, Majority: true}, By: "owner-scale/quorum",
	},
	{
		Name: "a StatefulSet gets an owner that does not exist, from another cluster's manifest",
		Do:   `kubectl patch statefulset db --type=merge -p '` + nobodys + `'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "lost-owner/missing",
	},
	{
		Name: "a member's claim gets an owner that does not exist, from another cluster's manifest",
		Do:   `kubectl patch pvc data-db-0 --type=merge -p '` + nobodys + `'`,
		Lost: Loss{Claims: 1}, By: "lost-owner/missing",
	},

	// Losses through owners and volumes.
	{
		Name: "a claim gets an owner that does not exist, then its member restarts",
		Do: `kubectl patch pvc data-db-0 --type=merge -p '{"metadata":{"ownerReferences":[` + nobody + `]}}'
kubectl wait pvc/data-db-0 --for=jsonpath='{.metadata.deletionTimestamp}' --timeout=15s
kubectl delete pod db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "lost-owner/missing",
	},
	{
		Name:  "a manifest with the owners from another cluster is applied",
		Stage: Stage{Spec: claimsGo},
		Do: `sed -i '0,/^  labels:/s/^  labels:/  ownerReferences: [` + nobody + `]\n  labels:/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "lost-owner/missing",
	},
	{
		Name: "a manifest is replaced by one with owners from another namespace",
		Do: `kubectl create namespace of-$NAMESPACE
kubectl -n of-$NAMESPACE create configmap owner
uid=$(kubectl -n of-$NAMESPACE get configmap owner -o jsonpath='{.metadata.uid}')
kubectl patch statefulset db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"'$uid'"}]}}'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "lost-owner/missing",
	},
	{
		Name: "a retained volume is changed to Delete, then its claim is deleted with a bypass",
		Stage: Stage{Profile: "restricted", Replicas: 4, Given: `kubectl patch pv $(kubectl get pvc data-db-3 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
kubectl scale statefulset db --replicas=3
kubectl wait pod/db-3 --for=delete`},
		Do: `kubectl patch pv $(kubectl get pvc data-db-3 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'
kubectl annotate pvc data-db-3 mooring.dev/bypass=retained-claim mooring.dev/bypass-reason='the volume is kept'
kubectl delete pvc data-db-3`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "volume-retain/reclaim", Left: Loss{Claims: 1},
	},
	{
		Name:  "a typing error gives a member's volume to another claim",
		Stage: Stage{Profile: "restricted"},
		Do:    `kubectl patch pv $(kubectl get pvc data-db-1 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"claimRef":{"name":"data-bd-1","uid":null}}}'`,
		Lost:  Loss{Claims: 1}, By: "volume-retain/unbound",
	},

	// Deletes of one Pod too many.
	{
		Name:  "all Pods are deleted for a new template, and its Pods do not start",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere},
		Do:    `kubectl delete pods -l app=db`,
		Lost:  Loss{Pods: 3, Majority: true}, By: "pod-disruption/majority", Left: Loss{Pods: 1},
	},
	{
		Name:  "Pods are deleted as a collection",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere},
		Do:    `kubectl delete --raw "/api/v1/namespaces/$NAMESPACE/pods?labelSelector=app=db"`,
		Lost:  Loss{Pods: 3, Majority: true}, By: "pod-disruption/majority", Left: Loss{Pods: 1},
	},
	{
		Name: "a member is deleted while another is down",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere + `
kubectl delete pod db-2`},
		Do:   `kubectl delete pod db-1`,
		Lost: Loss{Pods: 1, Majority: true}, By: "pod-disruption/majority",
	},
	{
		Name: "a member is evicted while another is down, without a budget",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere + `
kubectl delete pod db-2`},
		Do: `echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-1"}}' > eviction.json
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/db-1/eviction" -f eviction.json`,
		Lost: Loss{Pods: 1, Majority: true}, By: "pod-disruption/majority",
	},
	{
		Name: "a member's node is drained while another member is down",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere + `
kubectl delete pod db-2`},
		Do: `node=$(kubectl get pod db-1 -o jsonpath='{.spec.nodeName}')
kubectl drain $node --pod-selector=statefulset.kubernetes.io/pod-name=db-1,in=$NAMESPACE --timeout=25s
kubectl uncordon $node`,
		Lost: Loss{Pods: 1, Majority: true}, By: "pod-disruption/majority",
	},
	{
		Name: "one of two members is deleted while the other is down",
		Stage: Stage{Profile: "restricted", Replicas: 2, Spec: onDelete, Given: nowhere + `
kubectl delete pod db-1`},
		Do:   `kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "pod-disruption/majority",
	},
	{
		Name: "a delete of a Pod breaks a budget",
		Stage: Stage{Profile: "restricted", Replicas: 5, Spec: onDelete, Given: nowhere + `
kubectl create poddisruptionbudget db --selector=app=db --min-available=4
kubectl wait poddisruptionbudget/db --for=jsonpath='{.status.disruptionsAllowed}'=1 --timeout=90s
kubectl delete pod db-4`},
		Do:   `kubectl delete pod db-3`,
		Lost: Loss{Pods: 1}, By: "pod-disruption/budget",
	},

	// Deletes of what Pods need.
	{
		Name: "a ServiceAccount is deleted, then the StatefulSet is restarted",
		Stage: Stage{Profile: "restricted", Given: `kubectl create serviceaccount db
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"serviceAccountName":"db"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete serviceaccount db
kubectl rollout restart statefulset db`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},
	{
		Name: "every ServiceAccount is deleted, then a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create serviceaccount db
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"serviceAccountName":"db"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete serviceaccounts --all
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},

	{
		Name: "a PriorityClass is deleted, then a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create priorityclass db-$NAMESPACE --value=1
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"priorityClassName":"db-'$NAMESPACE'"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete priorityclass db-$NAMESPACE
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},
	{
		Name: "a quota is created that is too small, then a member restarts", Stage: Stage{Profile: "restricted"},
		Do: `kubectl create quota team --hard=pods=2
until kubectl get quota team -o jsonpath='{.status.used}' | grep -q pods; do kubectl get quota team || break; sleep 0.2; done
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "quota-room/less",
	},
	{
		Name: "a quota is lowered below the current usage, then a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create quota team --hard=pods=5
kubectl wait quota/team --for=jsonpath='{.status.used.pods}'=3 --timeout=90s`},
		Do: `kubectl patch resourcequota team --type=merge -p '{"spec":{"hard":{"pods":"1"}}}' &&
kubectl wait quota/team --for=jsonpath='{.status.hard.pods}'=1 --timeout=30s
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "quota-room/less",
	},

	// Pods or nodes that are changed.
	{
		Name: "a member is relabeled to debug it", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl label pod db-1 app=debug --overwrite`,
		Lost: Loss{Pods: 1}, By: "pod-selector/relabeled",
	},
	{
		Name: "a label that looks unused is removed", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl label pods --all app-`,
		Lost: Loss{Pods: 3, Majority: true}, By: "pod-selector/relabeled",
	},
	{
		Name: "a StatefulSet replaces another with a selector that its Pods do not match, then a member restarts", Stage: Stage{Profile: "restricted"},
		Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/matchLabels: {app: db}/matchLabels: {app: db, tier: data}/; s/labels: {app: db, in:/labels: {app: db, tier: data, in:/' db.yaml
kubectl apply -f db.yaml && kubectl delete pod db-1`,
		Lost: Loss{Pods: 1}, By: "pod-selector/not-selected",
	},
	{
		Name:  "a node is deleted without a drain, to reinstall it",
		Stage: Stage{Profile: "restricted", Empty: true, Given: ownNode}, Do: `kubectl delete node node-$NAMESPACE`,
		Lost: Loss{Pods: 3, Majority: true}, By: "node-disruption/running",
	},
	{
		Name: "a node is tainted for maintenance, which evicts all members at once",
		Stage: Stage{Profile: "restricted", Empty: true, Given: ownNode + `
kubectl create poddisruptionbudget db --selector=app=db --max-unavailable=1`},
		Do:   `kubectl taint node node-$NAMESPACE maintenance=disk:NoExecute`,
		Lost: Loss{Pods: 3, Majority: true}, By: "node-disruption/taint",
	},

	// Deletes of namespaces.
	{
		Name: "the namespace is deleted", Do: `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},
	{
		Name:  "namespaces are deleted by label",
		Stage: Stage{Given: `kubectl label namespace $NAMESPACE team-of=$NAMESPACE`}, Do: `kubectl delete namespaces -l team-of=$NAMESPACE`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},
	{
		Name: "the namespace is deleted with its manifests",
		Do: `kubectl create namespace $NAMESPACE --dry-run=client -o yaml > namespace.yaml
kubectl delete -f namespace.yaml -f service.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
		Left: Loss{Names: 3},
	},
	{
		Name: "a namespace that looks empty, but has a StatefulSet's claims, is deleted",
		Stage: Stage{Given: `kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete`},
		Do:   `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},
	{
		Name:  "a namespace with a claim that has the protect label is deleted",
		Stage: Stage{Empty: true, Given: backup}, Do: `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/protected",
	},
	{
		Name:  "a namespace whose StatefulSet mounts a claim by name is deleted",
		Stage: Stage{Empty: true, Given: mounted}, Do: `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Pods: 1, Majority: true, Claims: 1, Volumes: 1}, By: "delete-protection/namespace",
	},
	{
		Name: "a namespace with claims that Velero restored is deleted",
		Stage: Stage{Empty: true, Given: `for i in 0 1 2; do
  echo "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-$i, labels: {velero.io/restore-name: monday}},
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}" | kubectl create --field-manager=velero-server -f -
done
kubectl wait pvc --all --for=jsonpath='{.status.phase}'=Bound`},
		Do:   `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},

	// Scale-downs.
	{
		Name: "a scale-down from three to one", Do: `kubectl scale statefulset db --replicas=1`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a scale-down to zero to save money at night", Do: `kubectl scale statefulset --all --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "a cron job scales down by label", Do: `kubectl --as=system:serviceaccount:ops:downscaler --as-group=system:masters scale statefulset -l app=db --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "an old manifest is applied", Stage: Stage{Replicas: 5},
		Do: `sed -i 's/replicas: 5/replicas: 1/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 4, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "the replicas field is removed from the manifest",
		Do: `sed -i '/replicas:/d' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "GitOps takes over with fewer replicas in the repository",
		Do: `sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl apply --server-side --force-conflicts --field-manager=kustomize-controller -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "the StatefulSet is replaced by its manifest",
		Do: `sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl replace -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a typing error in kubectl edit", Stage: Stage{Replicas: 5},
		Do:   `KUBE_EDITOR="sed -i s/replicas:.5/replicas:\ 1/" kubectl edit statefulset db`,
		Lost: Loss{Pods: 4, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a script patches the replicas", Do: `kubectl patch statefulset db --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a script patches the scale subresource", Do: `kubectl patch statefulset db --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a homemade autoscaler scales down", Do: `client-go: StatefulSets(ns).UpdateScale(ctx, "db", Scale{Spec: {Replicas: 1}}, UpdateOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			_, err := c.AppsV1().StatefulSets(namespace).UpdateScale(ctx, "db", &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 1},
			}, metav1.UpdateOptions{})
			return err
		},
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "an autoscaler is applied without a safe minimum", Stage: Stage{Replicas: 5, Profile: "restricted"},
		Do: `kubectl autoscale statefulset db --max=2 --dry-run=client -o yaml > autoscaler.yaml
kubectl apply -f autoscaler.yaml`,
		Lost: Loss{Pods: 3, Majority: true}, By: "autoscaler-floor/below",
	},
	{
		Name: "a scale-down by one while another member is down",
		Stage: Stage{Spec: parallel, Given: `kubectl label pod db-0 broken=true
kubectl patch pod db-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 1, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a scale-down during a rollout", Stage: Stage{Replicas: 5, Given: `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'
kubectl wait statefulset/db --for=jsonpath='{.status.updatedReplicas}'=1`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/unsettled",
	},
	{
		Name: "a scale-down deletes the claims", Stage: Stage{Spec: `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "one patch scales down and deletes the claims",
		Do:   `kubectl patch statefulset db -p '{"spec":{"replicas":2,"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}}'`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "a StatefulSet replaces another with fewer replicas",
		Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name:  "a StatefulSet with fewer replicas replaces another, and deletes the other claims",
		Stage: Stage{Spec: `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`}, Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/replicas: 3/replicas: 2/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "one of two members is removed", Stage: Stage{Replicas: 2},
		Do:   `kubectl scale statefulset db --replicas=1`,
		Lost: Loss{Pods: 1, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name:  "a scale-down breaks a budget",
		Stage: Stage{Given: `kubectl create poddisruptionbudget db --selector=app=db --min-available=3`},
		Do:    `kubectl scale statefulset db --replicas=2`,
		Lost:  Loss{Pods: 1}, By: "scale-down/budget",
	},
	{
		Name: "a scale-down by two where one at a time is allowed", Stage: Stage{Replicas: 5, Profile: "restricted"},
		Do:   `kubectl scale statefulset db --replicas=3`,
		Lost: Loss{Pods: 2}, By: "scale-down/step",
	},
	{
		Name:  "a user without the right asks for a bypass",
		Stage: Stage{Given: `kubectl create rolebinding eve --clusterrole=edit --user=eve`},
		Do: `kubectl --as=eve annotate statefulset db mooring.dev/bypass=scale-down mooring.dev/bypass-reason='I know what I do'
kubectl --as=eve scale statefulset db --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "the start ordinal is raised, and db-0 is left behind",
		Do:   `kubectl patch statefulset db -p '{"spec":{"ordinals":{"start":1}}}'`,
		Lost: Loss{Pods: 1}, By: "ordinal-shift/left-behind",
	},

	// Two members with one identity, or none that can be found.
	{
		Name: "a Pod that is stuck is force-deleted", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl delete pod db-0 --force --grace-period=0`,
		Lost: Loss{Unstopped: 1}, By: "force-delete/running",
	},
	{
		Name: "all Pods are force-deleted by label", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl delete pods -l app=db --force`,
		Lost: Loss{Unstopped: 3}, By: "force-delete/running",
	},
	{
		Name: "the collection of Pods is deleted at once", Stage: Stage{Profile: "restricted"},
		Do: `client-go: Pods(ns).DeleteCollection(ctx, DeleteOptions{GracePeriodSeconds: 0}, ListOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			return c.CoreV1().Pods(namespace).DeleteCollection(ctx, *metav1.NewDeleteOptions(0), metav1.ListOptions{})
		},
		Lost: Loss{Unstopped: 3}, By: "force-delete/running",
	},
	{
		Name: "a node is drained in a hurry", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl drain --pod-selector="app=db,in=$NAMESPACE" --force --disable-eviction --grace-period=0 --ignore-daemonsets $(kubectl get pod db-0 -o jsonpath='{.spec.nodeName}')`,
		Lost: Loss{Unstopped: 1}, By: "force-delete/running",
	},
	{
		Name: "a member is evicted without a grace period", Stage: Stage{Profile: "restricted"},
		Do: `echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-0"},"deleteOptions":{"gracePeriodSeconds":0}}' > eviction.json
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/db-0/eviction" -f eviction.json`,
		Lost: Loss{Unstopped: 1}, By: "force-delete/running",
	},
	{
		Name: "members have no grace period, and the StatefulSet is restarted",
		Do: `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}' && kubectl rollout status statefulset db
kubectl delete pods -l app=db`,
		Lost: Loss{Unstopped: 3}, By: "termination-grace/zero",
	},
	{
		Name: "the governing Service is deleted", Stage: Stage{Profile: "restricted"}, Do: `kubectl delete service db`,
		Lost: Loss{Names: 3}, By: "headless-service/in-use",
	},
	{
		Name: "all Services are deleted", Stage: Stage{Profile: "restricted"}, Do: `kubectl delete services --all`,
		Lost: Loss{Names: 3}, By: "headless-service/in-use",
	},
	{
		Name: "the collection of Services is deleted", Stage: Stage{Profile: "restricted"}, Do: `kubectl delete --raw "/api/v1/namespaces/$NAMESPACE/services?labelSelector=app=db"`,
		Lost: Loss{Names: 3}, By: "headless-service/in-use",
	},
	{
		Name: "the Service's selector is changed to other Pods", Do: `kubectl set selector service db app=web`,
		Lost: Loss{Names: 3}, By: "headless-service/selector",
	},
	{
		Name: "the Service is force-replaced by one with a cluster IP", Stage: Stage{Profile: "restricted"},
		Do: `sed -i '/clusterIP: None/d' service.yaml
kubectl replace --force -f service.yaml`,
		Lost: Loss{Names: 3}, By: "headless-service/in-use",
	},
	{
		Name: "a StatefulSet names a Service that is not headless", Stage: Stage{Empty: true},
		Do: `sed -i '/clusterIP: None/d' service.yaml
kubectl apply -f service.yaml -f db.yaml`,
		Lost: Loss{Names: 3}, By: "headless-service/not-headless",
	},
	{
		Name: "a StatefulSet names a Service that does not exist", Stage: Stage{Empty: true},
		Do:   `kubectl apply -f db.yaml`,
		Lost: Loss{Names: 3}, By: "headless-service/missing",
	},

	// Members that do not start, or not with their data.
	{
		Name: "a template requests another cluster's storage class", Stage: Stage{Empty: true, Profile: "restricted"},
		Do: `sed -i 's/accessModes:/storageClassName: fast-ssd, accessModes:/' db.yaml
kubectl apply -f service.yaml -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true}, By: "claim-template/no-class",
	},
	{
		Name: "a StatefulSet starts with existing claims that are too small", Stage: Stage{Empty: true, Profile: "restricted", Given: `kubectl apply -f service.yaml -f db.yaml
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=3 --timeout=90s
kubectl annotate statefulset db mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete statefulset db`},
		Do: `sed -i 's/storage: 1Gi/storage: 100Gi/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Small: 3}, By: "claim-adoption/disagrees",
	},
	{
		Name: "a rollout stops two members while one is down",
		Stage: Stage{Profile: "restricted", Empty: true, Spec: parallel, Given: `kubectl annotate -f db.yaml --local mooring.dev/bypass=update-strategy mooring.dev/bypass-reason=old -o yaml > old.yaml
kubectl apply -f service.yaml -f old.yaml
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=3 --timeout=90s
kubectl label pod db-0 broken=true
kubectl patch pod db-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		Do:   `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'`,
		Lost: Loss{Pods: 1, Majority: true}, By: "unsafe-rollout/quorum",
	},
	{
		Name: "maxUnavailable allows all members to stop, and the new version does not start", Stage: Stage{Profile: "restricted", Spec: `podManagementPolicy: Parallel`},
		Do: `kubectl patch statefulset db -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":3}}}}' &&
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "update-strategy/quorum",
	},
}

// Common parts of stages.
const (
	claimsGo     = `persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}`
	claimsShrink = `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`
	onDelete     = `updateStrategy: {type: OnDelete}`
	parallel     = `podManagementPolicy: Parallel
  updateStrategy: {rollingUpdate: {maxUnavailable: 2}}`
	// resource is a custom resource, of a kind that an operator has.
	resource = `kubectl apply -f - <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.db.example.com}
spec:
  group: db.example.com
  scope: Namespaced
  names: {plural: databases, singular: database, kind: Database}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
END
kubectl wait crd/databases.db.example.com --for=condition=Established --timeout=90s
echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db}, spec: {replicas: 3}}' | kubectl create -f -`
	// tenant is a custom resource that owns the other one. The operator's installer lets Mooring read its kinds.
	tenant = `
kubectl apply -f - <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tenants.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: tenants, singular: tenant, kind: Tenant}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: mooring-owners-example, labels: {mooring.dev/aggregate-to-owners: "true"}}
rules: [{apiGroups: [db.example.com, example.com], resources: [databases, tenants], verbs: [get]}]
END
kubectl wait crd/tenants.example.com --for=condition=Established --timeout=90s
echo '{apiVersion: example.com/v1, kind: Tenant, metadata: {name: db}}' | kubectl create -f -
uid=$(kubectl get tenant db -o jsonpath='{.metadata.uid}')
kubectl patch database db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"example.com/v1","kind":"Tenant","name":"db","uid":"'$uid'"}]}}'
if kubectl get validatingwebhookconfigurations -o name | grep -q mooring-owners; then
  until kubectl auth can-i get databases --as=system:serviceaccount:mooring-system:mooring; do sleep 0.2; done
fi
`
	// whole is a custom resource of the same kind as the one that it owns.
	whole = `
echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: all}}' | kubectl create -f -
uid=$(kubectl get database all -o jsonpath='{.metadata.uid}')
kubectl patch database db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"db.example.com/v1","kind":"Database","name":"all","uid":"'$uid'"}]}}'`
	// elastic is a custom resource with the sizes of its StatefulSets in a list, and owns one of these.
	elastic = `kubectl apply -f - <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: elasticsearches.elasticsearch.k8s.elastic.co}
spec:
  group: elasticsearch.k8s.elastic.co
  scope: Namespaced
  names: {plural: elasticsearches, singular: elasticsearch, kind: Elasticsearch}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
END
kubectl wait crd/elasticsearches.elasticsearch.k8s.elastic.co --for=condition=Established --timeout=90s
echo '{apiVersion: elasticsearch.k8s.elastic.co/v1, kind: Elasticsearch, metadata: {name: es}, spec: {nodeSets: [{name: hot, count: 1}, {name: db, count: 3}]}}' | kubectl create -f -
uid=$(kubectl get elasticsearch es -o jsonpath='{.metadata.uid}')
kubectl patch statefulset db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"elasticsearch.k8s.elastic.co/v1","kind":"Elasticsearch","name":"es","uid":"'$uid'","controller":true}]}}'`
	// ownDefinition is a CustomResourceDefinition with one custom resource, which owns the StatefulSet.
	ownDefinition = `kubectl apply -f - <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: databases.$NAMESPACE.example.com}
spec:
  group: $NAMESPACE.example.com
  scope: Namespaced
  names: {plural: databases, singular: database, kind: Database}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
END
kubectl wait crd/databases.$NAMESPACE.example.com --for=condition=Established --timeout=90s
echo '{apiVersion: '$NAMESPACE'.example.com/v1, kind: Database, metadata: {name: db}}' | kubectl create -f -
` + collected + `
uid=$(kubectl get databases.$NAMESPACE.example.com db -o jsonpath='{.metadata.uid}')
kubectl patch statefulset db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"'$NAMESPACE'.example.com/v1","kind":"Database","name":"db","uid":"'$uid'","controller":true}]}}'`
	// collected waits until the garbage collector, which looks for new kinds twice a minute, knows the kind.
	collected = `echo '{apiVersion: '$NAMESPACE'.example.com/v1, kind: Database, metadata: {name: first}}' | kubectl create -f -
uid=$(kubectl get databases.$NAMESPACE.example.com first -o jsonpath='{.metadata.uid}')
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: first, ownerReferences: [{apiVersion: '$NAMESPACE'.example.com/v1, kind: Database, name: first, uid: '$uid'}]}}' | kubectl create -f -
kubectl delete databases.$NAMESPACE.example.com first
kubectl wait configmap/first --for=delete --timeout=80s`
	// ownNode is a node that runs only the StatefulSet, simulated by kwok like the others.
	ownNode = `kubectl apply -f - <<END
apiVersion: v1
kind: Node
metadata: {name: node-$NAMESPACE, annotations: {kwok.x-k8s.io/node: fake}, labels: {only: $NAMESPACE}}
spec: {taints: [{key: only, value: $NAMESPACE, effect: NoSchedule}]}
END
kubectl wait node/node-$NAMESPACE --for=condition=Ready --timeout=90s
sed "s/      containers:/      nodeSelector: {only: $NAMESPACE}\n      tolerations: [{key: only, operator: Exists}]\n      containers:/" db.yaml > here.yaml
kubectl apply -f service.yaml -f here.yaml
kubectl rollout status statefulset db --timeout=90s`
	// nobodys is a patch with an owner that does not exist.
	nobodys = `{"metadata":{"ownerReferences":[` + nobody + `]}}`
	// mounted is a StatefulSet whose member mounts a claim by name.
	mounted = `echo '{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: files}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}' > files.yaml
sed -e '/volumeClaimTemplates:/,$d' -e 's/replicas: 3/replicas: 1/' db.yaml > one.yaml
echo '      volumes: [{name: data, persistentVolumeClaim: {claimName: files}}]' >> one.yaml
kubectl apply -f files.yaml -f service.yaml -f one.yaml
kubectl wait pvc/files --for=jsonpath='{.status.phase}'=Bound
kubectl rollout status statefulset db --timeout=90s`
	// keeping is a StatefulSet of one member on a volume of a StorageClass that keeps volumes.
	keeping = `echo '{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: kept-'$NAMESPACE'}, provisioner: kwok.x-k8s.io/volume, allowVolumeExpansion: true, reclaimPolicy: Retain}' > class.yaml
echo '{apiVersion: v1, kind: PersistentVolume, metadata: {name: kept-'$NAMESPACE'}, spec: {storageClassName: kept-'$NAMESPACE', persistentVolumeReclaimPolicy: Retain, capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /disks/1}}}' > volume.yaml
sed -e "s/accessModes:/storageClassName: kept-$NAMESPACE, accessModes:/" -e 's/replicas: 3/replicas: 1/' db.yaml > kept.yaml
kubectl apply -f class.yaml -f volume.yaml -f service.yaml -f kept.yaml
kubectl rollout status statefulset db --timeout=90s`
	backup = `echo '{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: backup, labels: {mooring.dev/protect: "true"}},
  spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}' | kubectl apply -f -
kubectl wait pvc/backup --for=jsonpath='{.status.phase}'=Bound`
)

// adopt makes the custom resource the owner of the StatefulSet, as the user in the flag.
func adopt(as string) string { return adopting("statefulset/db " + as) }

// adopting makes the custom resource the owner of objects.
func adopting(objects string) string {
	return `uid=$(kubectl get database db -o jsonpath='{.metadata.uid}')
kubectl patch ` + objects + ` --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"db.example.com/v1","kind":"Database","name":"db","uid":"'$uid'","controller":true}]}}'`
}

// follow is the reaction of the custom resource's operator.
func follow(replicas int) string {
	return fmt.Sprintf("kubectl --as=system:serviceaccount:ops:db-operator --as-group=system:masters scale statefulset db --replicas=%d", replicas)
}

// asked waits until the API server calls Mooring for a kind of custom resource, after the first one that owns a StatefulSet.
func asked(resource string) string {
	return `
kubectl get validatingwebhookconfigurations -o name | grep -q mooring-owners || exit 0
timeout 15 sh -c 'until kubectl get validatingwebhookconfiguration mooring-owners -o yaml | grep -q ` + resource + `; do sleep 0.2; done'`
}

var guarded = asked("databases")

// owned makes a custom resource the owner of the StatefulSet.
var owned = resource + "\n" + adopt("")

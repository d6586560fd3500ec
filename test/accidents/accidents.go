package main

import (
	"context"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Accident is something that a tired person or a tool really sends, and what it costs where nobody stops it.
type Accident struct {
	// Name says what happened, as somebody tells it the next day.
	Name string
	Stage
	// Do is what is typed: a shell script that goes on after a command fails, as people do.
	Do string
	// Call is the same for a program; Do then only describes it.
	Call func(ctx context.Context, c kubernetes.Interface, namespace string) error
	// Lost is what an onlooker finds missing in the end, without Mooring.
	Lost Loss
	// By is the finding that refuses it, in the form rule/check; any of several where it depends on who comes first.
	By string
	// Left is what is lost with Mooring all the same: what was asked for, and can be made again.
	Left Loss
}

// nobody is an owner that does not exist, and nowhere a template whose Pods no node takes.
const (
	nobody  = `{"apiVersion":"v1","kind":"ConfigMap","name":"gone","uid":"11111111-2222-3333-4444-555555555555"}`
	nowhere = `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"repaired"}}}}}'`
)

// Accidents is the table. Where nothing else is said, StatefulSet db has three ready members with a claim each, its namespace
// has no label, and what refuses the accident is the profile baseline.
var Accidents = []Accident{
	// A StatefulSet goes, and takes its claims along.
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
		Name:  "a clean-up job deletes the collection",
		Stage: Stage{Spec: claimsGo}, Do: `client-go: StatefulSets(ns).DeleteCollection(ctx, DeleteOptions{}, ListOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			return c.AppsV1().StatefulSets(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "an immutable field is changed by force",
		Stage: Stage{Spec: claimsGo}, Do: `sed -i 's/storage: 1Gi/storage: 2Gi/' db.yaml
kubectl replace --force -f db.yaml`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "the delete waits for what it deletes",
		Stage: Stage{Spec: claimsGo}, Do: `kubectl delete statefulset db --cascade=foreground`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "GitOps prunes what is not in the repository any more",
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
		Name:  "a manifest without its retention lines is applied, and the rest is pruned later",
		Stage: Stage{Profile: "restricted"}, Do: `echo '  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}' >> db.yaml
kubectl apply -f db.yaml && kubectl delete -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "retention-policy/weakening",
	},
	{
		Name:  "a StatefulSet that is labelled against deletes is deleted, claims and all",
		Stage: Stage{Spec: claimsGo, Given: `kubectl label statefulset db mooring.dev/protect=true`}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/protected",
	},

	// Claims go.
	{
		Name: "the claim of a running member is deleted, and the member restarts",
		Do: `kubectl delete pvc data-db-0 --wait=false
kubectl delete pod db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "a member is reset, which was the wrong one",
		Do:   `kubectl delete pod/db-0 pvc/data-db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "every claim is deleted, and a restart follows",
		Do: `kubectl delete pvc --all --wait=false
kubectl delete pods --all`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "claims are deleted by label, and their Pods after them",
		Do: `kubectl delete pvc -l app=db --wait=false
kubectl delete pods -l app=db`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "a clean-up job deletes the collection of claims",
		Do:   `client-go: PersistentVolumeClaims(ns).DeleteCollection(ctx, DeleteOptions{}, ListOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			return c.CoreV1().PersistentVolumeClaims(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
		},
		Lost: Loss{Claims: 3}, By: "delete-protection/in-use",
	},
	{
		Name: "what looks unused is tidied away while its Pod is away",
		// The Pod cannot come back before the node selector is taken away again. A Pod that never ran and was made together with its
		// claim would prove that the claim is empty.
		Stage: Stage{Spec: onDelete, Given: `made=$(date +%s -d "$(kubectl get pvc data-db-2 -o jsonpath='{.metadata.creationTimestamp}')")
until test $(($(date +%s) - made)) -gt 3; do sleep 0.2; done
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"repaired"}}}}}'
kubectl delete pod db-2`},
		Do: `kubectl get pods -o jsonpath='{range .items[?(@.status.phase=="Running")]}{.metadata.name}{"\n"}{end}' > running
kubectl get pvc -o name | grep -v -f running | xargs kubectl delete --wait=false`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "a claim is replaced by force, to change its size downwards",
		Do: `kubectl get pvc data-db-1 -o yaml | sed 's/storage: 1Gi/storage: 500Mi/' > claim.yaml
kubectl replace --force --grace-period=0 --timeout=1s -f claim.yaml
kubectl delete pod db-1`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},
	{
		Name: "a claim hangs in Terminating, and its finalizer is taken off",
		// kwok would take a volume with reclaim policy Delete back as soon as its claim is on its way, and not when it is gone.
		Stage: Stage{Given: `kubectl patch pv $(kubectl get pvc data-db-0 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
kubectl annotate pvc data-db-0 mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete pvc data-db-0 --wait=false
kubectl annotate pvc data-db-0 mooring.dev/bypass-`},
		Do:   `kubectl patch pvc data-db-0 --type=merge -p '{"metadata":{"finalizers":null}}'`,
		Lost: Loss{Claims: 1}, By: "delete-protection/finalizer",
	},
	{
		Name: "the volume is deleted, hangs, and its finalizers are taken off",
		Do: `pv=$(kubectl get pvc data-db-0 -o jsonpath='{.spec.volumeName}')
kubectl delete pv $pv --wait=false
kubectl patch pv $pv --type=merge -p '{"metadata":{"finalizers":null}}'`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/volume",
	},
	{
		Name: "claims that a scale-down kept are tidied away",
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
		Name: "the StatefulSet was deleted to be made again, and its claims are tidied away meanwhile",
		Stage: Stage{Profile: "restricted", Given: `kubectl annotate statefulset db mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete`},
		Do:   `kubectl delete pvc -l app=db`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "retained-claim/left",
	},
	{
		Name:  "a claim that is labelled against deletes is deleted",
		Stage: Stage{Empty: true, Given: backup}, Do: `kubectl delete pvc backup`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/protected",
	},

	{
		Name: "GitOps prunes StatefulSet and claims, and tries again when the Pods have stopped",
		Do: `kubectl delete statefulset,pvc -l app=db --wait=false
kubectl wait pods -l app=db --for=delete --timeout=60s
kubectl delete pvc -l app=db --wait=false`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "retained-claim/recent",
		Left: Loss{Pods: 3, Majority: true},
	},
	{
		Name:  "the claim that a StatefulSet mounts by its name is deleted, and the member restarts",
		Stage: Stage{Empty: true, Given: mounted}, Do: `kubectl delete pvc files --wait=false
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1, Majority: true, Claims: 1, Volumes: 1}, By: "delete-protection/in-use",
	},

	// A StatefulSet goes that keeps its claims, as every one does whose owner says nothing, or that an operator owns.
	{
		Name:  "a StatefulSet is deleted that keeps its claims",
		Stage: Stage{Profile: "restricted"}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true}, By: "delete-protection/running",
	},
	{
		Name:  "every StatefulSet of the namespace is deleted, and its Service; they keep their claims",
		Stage: Stage{Profile: "restricted"}, Do: `kubectl delete statefulsets,services --all`,
		Lost: Loss{Pods: 3, Majority: true}, By: "delete-protection/running",
	},
	{
		Name:  "a person deletes the StatefulSet of an operator, claims and all",
		Stage: Stage{Spec: claimsGo, Given: owned}, Do: `kubectl delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},
	{
		Name:  "a person scales the StatefulSet of an operator to zero",
		Stage: Stage{Given: owned}, Do: `kubectl scale statefulset db --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "somebody gives the StatefulSet an owner, and deletes it as if an operator did",
		Stage: Stage{Spec: claimsGo, Given: resource + `
kubectl create rolebinding eve --clusterrole=edit --user=eve`}, Do: adopt("--as=eve") + `
kubectl --as=eve delete statefulset db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/data",
	},

	{
		Name:  "a custom resource is deleted, and the StatefulSet that it owns with it",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl delete database db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is deleted whose members keep their claims",
		Stage: Stage{Profile: "restricted", Given: owned + guarded}, Do: `kubectl delete database db`,
		Lost: Loss{Pods: 3, Majority: true}, By: "owner-delete/members",
	},
	{
		Name:  "all custom resources of the namespace are deleted, to make one of them anew",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl delete databases --all --cascade=foreground`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is replaced by force",
		Stage: Stage{Spec: claimsGo, Given: owned + guarded}, Do: `kubectl get database db -o yaml > database.yaml
kubectl replace --force -f database.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name: "GitOps prunes a custom resource that is not in the repository any more",
		Stage: Stage{Spec: claimsGo, Given: owned + `
echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db, labels: {app: db}}}' | kubectl apply -f -` + guarded},
		Do:   `kubectl apply -f service.yaml --prune -l app=db --prune-allowlist=db.example.com/v1/Database`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is deleted that owns the claims, whatever the StatefulSet says of them",
		Stage: Stage{Given: resource + "\n" + adopting("pvc/data-db-0 pvc/data-db-1 pvc/data-db-2") + guarded},
		Do:    `kubectl delete database db && kubectl wait pvc --all --for=jsonpath='{.metadata.deletionTimestamp}' --timeout=60s && kubectl delete pods -l app=db`,
		Lost:  Loss{Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "the custom resource above the custom resource is deleted",
		Stage: Stage{Spec: claimsGo, Given: resource + tenant + adopt("") + asked("tenants")}, Do: `kubectl delete tenant db`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "an operator is uninstalled, and its CustomResourceDefinition with it",
		Stage: Stage{Spec: claimsGo, Given: ownDefinition + asked("$NAMESPACE")}, Do: `kubectl delete crd databases.$NAMESPACE.example.com`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "owner-delete/data",
	},
	{
		Name:  "a custom resource is lowered from three to one, and its operator follows",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do:    `kubectl patch database db --type=merge -p '{"spec":{"replicas":1}}' && ` + follow(1),
		Lost:  Loss{Pods: 2, Majority: true}, By: "owner-scale/quorum",
	},
	{
		Name:  "a custom resource is scaled to zero for the weekend",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do:    `kubectl scale databases.db.example.com db --replicas=0 && ` + follow(0),
		Lost:  Loss{Pods: 3, Majority: true}, By: "owner-scale/to-zero",
	},
	{
		Name:  "a custom resource is lowered by one, and the claim of the last member goes with it",
		Stage: Stage{Spec: claimsShrink, Given: owned + guarded},
		Do:    `kubectl scale databases.db.example.com db --replicas=2 && ` + follow(2),
		Lost:  Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "owner-scale/data",
	},
	{
		Name:  "Git lowers a custom resource to one",
		Stage: Stage{Profile: "restricted", Given: owned + guarded},
		Do: `echo '{apiVersion: db.example.com/v1, kind: Database, metadata: {name: db}, spec: {replicas: 1}}' > database.yaml
kubectl apply --server-side --force-conflicts -f database.yaml && ` + follow(1),
		Lost: Loss{Pods: 2, Majority: true}, By: "owner-scale/quorum",
	},
	{
		Name: "a StatefulSet gets an owner that does not exist, as in a manifest of another cluster",
		Do:   `kubectl patch statefulset db --type=merge -p '` + nobodys + `'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "lost-owner/missing",
	},
	{
		Name: "a member's claim gets an owner that does not exist, as in a manifest of another cluster",
		Do:   `kubectl patch pvc data-db-0 --type=merge -p '` + nobodys + `'`,
		Lost: Loss{Claims: 1}, By: "lost-owner/missing",
	},

	// Claims, StatefulSets and volumes go by what names them.
	{
		Name: "a claim gets an owner that does not exist, and its member restarts",
		Do: `kubectl patch pvc data-db-0 --type=merge -p '{"metadata":{"ownerReferences":[` + nobody + `]}}'
kubectl wait pvc/data-db-0 --for=jsonpath='{.metadata.deletionTimestamp}' --timeout=15s
kubectl delete pod db-0`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "lost-owner/missing",
	},
	{
		Name:  "a manifest is applied with the owners that it had in another cluster",
		Stage: Stage{Spec: claimsGo},
		Do: `sed -i '0,/^  labels:/s/^  labels:/  ownerReferences: [` + nobody + `]\n  labels:/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "lost-owner/missing",
	},
	{
		Name: "a manifest is replaced by one with the owners of another namespace",
		Do: `kubectl create namespace of-$NAMESPACE
kubectl -n of-$NAMESPACE create configmap owner
uid=$(kubectl -n of-$NAMESPACE get configmap owner -o jsonpath='{.metadata.uid}')
kubectl patch statefulset db --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":"'$uid'"}]}}'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "lost-owner/missing",
	},
	{
		Name: "a claim may go because its volume is kept, which somebody takes back",
		Stage: Stage{Profile: "restricted", Replicas: 4, Given: `kubectl patch pv $(kubectl get pvc data-db-3 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}'
kubectl scale statefulset db --replicas=3
kubectl wait pod/db-3 --for=delete`},
		Do: `kubectl patch pv $(kubectl get pvc data-db-3 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'
kubectl annotate pvc data-db-3 mooring.dev/bypass=retained-claim mooring.dev/bypass-reason='the volume is kept'
kubectl delete pvc data-db-3`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "volume-retain/reclaim", Left: Loss{Claims: 1},
	},
	{
		Name:  "the volume of a member is given to a claim that is mistyped",
		Stage: Stage{Profile: "restricted"},
		Do:    `kubectl patch pv $(kubectl get pvc data-db-1 -o jsonpath='{.spec.volumeName}') -p '{"spec":{"claimRef":{"name":"data-bd-1","uid":null}}}'`,
		Lost:  Loss{Claims: 1}, By: "volume-retain/unbound",
	},

	// Pods go, one too many.
	{
		Name:  "all Pods are deleted for a new template, which does not start",
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
		Name: "a member is evicted while another is down, and there is no budget",
		Stage: Stage{Profile: "restricted", Spec: onDelete, Given: nowhere + `
kubectl delete pod db-2`},
		Do: `echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-1"}}' > eviction.json
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/db-1/eviction" -f eviction.json`,
		Lost: Loss{Pods: 1, Majority: true}, By: "pod-disruption/majority",
	},
	{
		Name: "the node of a member is drained while another is down",
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
		Name: "a Pod is deleted that a budget has promised",
		Stage: Stage{Profile: "restricted", Replicas: 5, Spec: onDelete, Given: nowhere + `
kubectl create poddisruptionbudget db --selector=app=db --min-available=4
kubectl wait poddisruptionbudget/db --for=jsonpath='{.status.disruptionsAllowed}'=1 --timeout=90s
kubectl delete pod db-4`},
		Do:   `kubectl delete pod db-3`,
		Lost: Loss{Pods: 1}, By: "pod-disruption/budget",
	},

	// What Pods need goes.
	{
		Name: "a ServiceAccount is tidied away, and a restart follows",
		Stage: Stage{Profile: "restricted", Given: `kubectl create serviceaccount db
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"serviceAccountName":"db"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete serviceaccount db
kubectl rollout restart statefulset db`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},
	{
		Name: "every ServiceAccount is deleted, and a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create serviceaccount db
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"serviceAccountName":"db"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete serviceaccounts --all
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},

	{
		Name: "a PriorityClass is tidied away, and a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create priorityclass db-$NAMESPACE --value=1
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"priorityClassName":"db-'$NAMESPACE'"}}}}'
kubectl rollout status statefulset db --timeout=90s`},
		Do: `kubectl delete priorityclass db-$NAMESPACE
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "needed-object/in-use",
	},
	{
		Name: "a quota is made for what the team should need, and a member restarts", Stage: Stage{Profile: "restricted"},
		Do: `kubectl create quota team --hard=pods=2
until kubectl get quota team -o jsonpath='{.status.used}' | grep -q pods; do kubectl get quota team || break; sleep 0.2; done
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "quota-room/less",
	},
	{
		Name: "a quota is lowered below what runs, and a member restarts",
		Stage: Stage{Profile: "restricted", Given: `kubectl create quota team --hard=pods=5
kubectl wait quota/team --for=jsonpath='{.status.used.pods}'=3 --timeout=90s`},
		Do: `kubectl patch resourcequota team --type=merge -p '{"spec":{"hard":{"pods":"1"}}}' &&
kubectl wait quota/team --for=jsonpath='{.status.hard.pods}'=1 --timeout=30s
kubectl delete pod db-0`,
		Lost: Loss{Pods: 1}, By: "quota-room/less",
	},

	// Pods go their own way, or their node does.
	{
		Name: "a member is relabelled to be looked at in peace", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl label pod db-1 app=debug --overwrite`,
		Lost: Loss{Pods: 1}, By: "pod-selector/relabelled",
	},
	{
		Name: "a label that seems to be of no use is taken off", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl label pods --all app-`,
		Lost: Loss{Pods: 3, Majority: true}, By: "pod-selector/relabelled",
	},
	{
		Name: "a StatefulSet takes the place of another, with a selector that its Pods do not match, and a member restarts", Stage: Stage{Profile: "restricted"},
		Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/matchLabels: {app: db}/matchLabels: {app: db, tier: data}/; s/labels: {app: db, in:/labels: {app: db, tier: data, in:/' db.yaml
kubectl apply -f db.yaml && kubectl delete pod db-1`,
		Lost: Loss{Pods: 1}, By: "pod-selector/not-selected",
	},
	{
		Name:  "a node is deleted to be installed anew, and nobody drained it",
		Stage: Stage{Profile: "restricted", Empty: true, Given: ownNode}, Do: `kubectl delete node node-$NAMESPACE`,
		Lost: Loss{Pods: 3, Majority: true}, By: "node-disruption/running",
	},
	{
		Name: "a node is tainted for its maintenance, and evicts all members at once",
		Stage: Stage{Profile: "restricted", Empty: true, Given: ownNode + `
kubectl create poddisruptionbudget db --selector=app=db --max-unavailable=1`},
		Do:   `kubectl taint node node-$NAMESPACE maintenance=disk:NoExecute`,
		Lost: Loss{Pods: 3, Majority: true}, By: "node-disruption/taint",
	},

	// Namespaces go.
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
		Name: "the namespace is deleted along with its manifests",
		Do: `kubectl create namespace $NAMESPACE --dry-run=client -o yaml > namespace.yaml
kubectl delete -f namespace.yaml -f service.yaml`,
		Lost: Loss{Pods: 3, Majority: true, Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
		Left: Loss{Names: 3},
	},
	{
		Name: "a namespace looks empty, but the claims of a StatefulSet are left in it",
		Stage: Stage{Given: `kubectl delete statefulset db
kubectl wait pods -l app=db --for=delete`},
		Do:   `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},
	{
		Name:  "a namespace is deleted with a claim in it that is labelled against deletes",
		Stage: Stage{Empty: true, Given: backup}, Do: `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 1, Volumes: 1}, By: "delete-protection/protected",
	},
	{
		Name:  "a namespace is deleted in which a StatefulSet mounts a claim by its name",
		Stage: Stage{Empty: true, Given: mounted}, Do: `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Pods: 1, Majority: true, Claims: 1, Volumes: 1}, By: "delete-protection/namespace",
	},
	{
		Name: "a namespace is deleted with claims in it that Velero brought back",
		Stage: Stage{Empty: true, Given: `for i in 0 1 2; do
  echo "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-db-$i, labels: {velero.io/restore-name: monday}},
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}" | kubectl create --field-manager=velero-server -f -
done
kubectl wait pvc --all --for=jsonpath='{.status.phase}'=Bound`},
		Do:   `kubectl delete namespace $NAMESPACE`,
		Lost: Loss{Claims: 3, Volumes: 3}, By: "delete-protection/namespace",
	},

	// Members go, and the majority with them.
	{
		Name: "three to one", Do: `kubectl scale statefulset db --replicas=1`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "the night shift saves money", Do: `kubectl scale statefulset --all --replicas=0`,
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
		Name: "the line with the replicas is dropped from the manifest",
		Do: `sed -i '/replicas:/d' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "GitOps takes over with what is in the repository",
		Do: `sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl apply --server-side --force-conflicts --field-manager=kustomize-controller -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "the manifest replaces what is there",
		Do: `sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl replace -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a typing error in an editor", Stage: Stage{Replicas: 5},
		Do:   `KUBE_EDITOR="sed -i s/replicas:.5/replicas:\ 1/" kubectl edit statefulset db`,
		Lost: Loss{Pods: 4, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a script patches", Do: `kubectl patch statefulset db --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a script patches the scale subresource", Do: `kubectl patch statefulset db --subresource=scale --type=merge -p '{"spec":{"replicas":1}}'`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a home-made autoscaler", Do: `client-go: StatefulSets(ns).UpdateScale(ctx, "db", Scale{Spec: {Replicas: 1}}, UpdateOptions{})`,
		Call: func(ctx context.Context, c kubernetes.Interface, namespace string) error {
			_, err := c.AppsV1().StatefulSets(namespace).UpdateScale(ctx, "db", &autoscalingv1.Scale{
				ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 1},
			}, metav1.UpdateOptions{})
			return err
		},
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "an autoscaler is applied whose floor nobody thought about", Stage: Stage{Replicas: 5, Profile: "restricted"},
		Do: `kubectl autoscale statefulset db --max=2 --dry-run=client -o yaml > autoscaler.yaml
kubectl apply -f autoscaler.yaml`,
		Lost: Loss{Pods: 3, Majority: true}, By: "autoscaler-floor/below",
	},
	{
		Name: "a step down while another member is down",
		Stage: Stage{Spec: parallel, Given: `kubectl label pod db-0 broken=true
kubectl patch pod db-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 1, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name: "a scale-down in the middle of a rollout", Stage: Stage{Replicas: 5, Given: `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'
kubectl wait statefulset/db --for=jsonpath='{.status.updatedReplicas}'=1`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/unsettled",
	},
	{
		Name: "a scale-down takes the claims along", Stage: Stage{Spec: `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`},
		Do:   `kubectl scale statefulset db --replicas=2`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "a scale-down and the loss of the claims come in one patch",
		Do:   `kubectl patch statefulset db -p '{"spec":{"replicas":2,"persistentVolumeClaimRetentionPolicy":{"whenScaled":"Delete"}}}'`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "a StatefulSet takes the place of another, with fewer replicas",
		Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/replicas: 3/replicas: 1/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 2, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name:  "a StatefulSet takes the place of another, and the claims of the replicas that it does not have",
		Stage: Stage{Spec: `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`}, Do: `kubectl delete statefulset db --cascade=orphan
sed -i 's/replicas: 3/replicas: 2/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Pods: 1, Claims: 1, Volumes: 1}, By: "scale-down/data",
	},
	{
		Name: "one of a pair is let go, as if two were one too many", Stage: Stage{Replicas: 2},
		Do:   `kubectl scale statefulset db --replicas=1`,
		Lost: Loss{Pods: 1, Majority: true}, By: "scale-down/quorum",
	},
	{
		Name:  "a budget promises more than a scale-down leaves",
		Stage: Stage{Given: `kubectl create poddisruptionbudget db --selector=app=db --min-available=3`},
		Do:    `kubectl scale statefulset db --replicas=2`,
		Lost:  Loss{Pods: 1}, By: "scale-down/budget",
	},
	{
		Name: "two steps at once where one is allowed", Stage: Stage{Replicas: 5, Profile: "restricted"},
		Do:   `kubectl scale statefulset db --replicas=3`,
		Lost: Loss{Pods: 2}, By: "scale-down/step",
	},
	{
		Name:  "somebody without the right to says that it is meant",
		Stage: Stage{Given: `kubectl create rolebinding eve --clusterrole=edit --user=eve`},
		Do: `kubectl --as=eve annotate statefulset db mooring.dev/bypass=scale-down mooring.dev/bypass-reason='I know what I do'
kubectl --as=eve scale statefulset db --replicas=0`,
		Lost: Loss{Pods: 3, Majority: true}, By: "scale-down/to-zero",
	},
	{
		Name: "the ordinals are moved, and db-0 is left behind",
		Do:   `kubectl patch statefulset db -p '{"spec":{"ordinals":{"start":1}}}'`,
		Lost: Loss{Pods: 1}, By: "ordinal-shift/left-behind",
	},

	// Two members of one identity, or none that can be found.
	{
		Name: "a Pod is forced away that hangs", Stage: Stage{Profile: "restricted"},
		Do:   `kubectl delete pod db-0 --force --grace-period=0`,
		Lost: Loss{Unstopped: 1}, By: "force-delete/running",
	},
	{
		Name: "all Pods are forced away by label", Stage: Stage{Profile: "restricted"},
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
		Name: "a member is evicted without time to stop", Stage: Stage{Profile: "restricted"},
		Do: `echo '{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"db-0"},"deleteOptions":{"gracePeriodSeconds":0}}' > eviction.json
kubectl create --raw "/api/v1/namespaces/$NAMESPACE/pods/db-0/eviction" -f eviction.json`,
		Lost: Loss{Unstopped: 1}, By: "force-delete/running",
	},
	{
		Name: "members get no time to stop, and a restart follows",
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
		Name: "the Service is turned to other Pods", Do: `kubectl set selector service db app=web`,
		Lost: Loss{Names: 3}, By: "headless-service/selector",
	},
	{
		Name: "the Service is made an ordinary one by force", Stage: Stage{Profile: "restricted"},
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
		Name: "a StatefulSet names a Service that nobody made", Stage: Stage{Empty: true},
		Do:   `kubectl apply -f db.yaml`,
		Lost: Loss{Names: 3}, By: "headless-service/missing",
	},

	// Members that never come up, or not on their data.
	{
		Name: "a template asks for a storage class of another cluster", Stage: Stage{Empty: true, Profile: "restricted"},
		Do: `sed -i 's/accessModes:/storageClassName: fast-ssd, accessModes:/' db.yaml
kubectl apply -f service.yaml -f db.yaml`,
		Lost: Loss{Pods: 3, Majority: true}, By: "claim-template/no-class",
	},
	{
		Name: "a StatefulSet comes up on claims that are too small", Stage: Stage{Empty: true, Profile: "restricted", Given: `kubectl apply -f service.yaml -f db.yaml
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=3 --timeout=90s
kubectl annotate statefulset db mooring.dev/bypass=delete-protection mooring.dev/bypass-reason=drill
kubectl delete statefulset db`},
		Do: `sed -i 's/storage: 1Gi/storage: 100Gi/' db.yaml
kubectl apply -f db.yaml`,
		Lost: Loss{Small: 3}, By: "claim-adoption/disagrees",
	},
	{
		Name: "a rollout takes two while one is down",
		Stage: Stage{Profile: "restricted", Empty: true, Spec: parallel, Given: `kubectl annotate -f db.yaml --local mooring.dev/bypass=update-strategy mooring.dev/bypass-reason=old -o yaml > old.yaml
kubectl apply -f service.yaml -f old.yaml
kubectl wait statefulset/db --for=jsonpath='{.status.readyReplicas}'=3 --timeout=90s
kubectl label pod db-0 broken=true
kubectl patch pod db-0 --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"Ready","status":"False"}]}}'`},
		Do:   `kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'`,
		Lost: Loss{Pods: 1, Majority: true}, By: "unsafe-rollout/quorum",
	},
	{
		Name: "all members may be away at a time, and the new version does not start", Stage: Stage{Profile: "restricted", Spec: `podManagementPolicy: Parallel`},
		Do: `kubectl patch statefulset db -p '{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":3}}}}' &&
kubectl patch statefulset db -p '{"spec":{"template":{"spec":{"nodeSelector":{"disk":"new"}}}}}'`,
		Lost: Loss{Pods: 3, Majority: true}, By: "update-strategy/quorum",
	},
}

// What stages have in common.
const (
	claimsGo     = `persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}`
	claimsShrink = `persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}`
	onDelete     = `updateStrategy: {type: OnDelete}`
	parallel     = `podManagementPolicy: Parallel
  updateStrategy: {rollingUpdate: {maxUnavailable: 2}}`
	// resource is a custom resource, of a kind that somebody's operator has.
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
	// tenant is a custom resource that owns the other one. Whoever installs such an operator lets Mooring read its kinds.
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
	// ownDefinition has a kind of custom resources of which there is one, that owns the StatefulSet.
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
	// collected waits until the garbage collector, which looks for new kinds twice a minute, knows of the kind.
	collected = `echo '{apiVersion: '$NAMESPACE'.example.com/v1, kind: Database, metadata: {name: first}}' | kubectl create -f -
uid=$(kubectl get databases.$NAMESPACE.example.com first -o jsonpath='{.metadata.uid}')
echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: first, ownerReferences: [{apiVersion: '$NAMESPACE'.example.com/v1, kind: Database, name: first, uid: '$uid'}]}}' | kubectl create -f -
kubectl delete databases.$NAMESPACE.example.com first
kubectl wait configmap/first --for=delete --timeout=80s`
	// ownNode is a node that runs the StatefulSet and nothing else. kwok plays it, as it does the others.
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
	// nobodys names an owner that nobody has made.
	nobodys = `{"metadata":{"ownerReferences":[` + nobody + `]}}`
	// mounted is a StatefulSet whose member mounts a claim by its name.
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

// adopt gives the StatefulSet to the custom resource, as whoever the flag says.
func adopt(as string) string { return adopting("statefulset/db " + as) }

// adopting gives objects to the custom resource.
func adopting(objects string) string {
	return `uid=$(kubectl get database db -o jsonpath='{.metadata.uid}')
kubectl patch ` + objects + ` --type=merge -p '{"metadata":{"ownerReferences":[{"apiVersion":"db.example.com/v1","kind":"Database","name":"db","uid":"'$uid'","controller":true}]}}'`
}

// follow is what the custom resource's operator does then.
func follow(replicas int) string {
	return fmt.Sprintf("kubectl --as=system:serviceaccount:ops:db-operator --as-group=system:masters scale statefulset db --replicas=%d", replicas)
}

// asked waits until Mooring is asked about a kind of custom resource, which it learns from the first StatefulSet that one owns.
func asked(resource string) string {
	return `
kubectl get validatingwebhookconfigurations -o name | grep -q mooring-owners || exit 0
timeout 15 sh -c 'until kubectl get validatingwebhookconfiguration mooring-owners -o yaml | grep -q ` + resource + `; do sleep 0.2; done'`
}

var guarded = asked("databases")

// owned gives the StatefulSet to a custom resource.
var owned = resource + "\n" + adopt("")

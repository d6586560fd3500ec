package compat

import "strings"

// gitopsCases returns the cases of a GitOps tool, which are the same for Flux and Argo CD.
func gitopsCases(program string) []compatCase {
	// sync FILE applies the file, prune FILE deletes its objects, and insync FILE fails if the tool finds a difference between the
	// file and the cluster.
	tool := `
sync() { flux -cluster "$KUBECONFIG" -namespace "$NAMESPACE" sync < "$1"; }
prune() { flux -cluster "$KUBECONFIG" -namespace "$NAMESPACE" delete < "$1"; }
insync() { flux -cluster "$KUBECONFIG" -namespace "$NAMESPACE" diff < "$1" > diff; ! grep -v ' unchanged$' diff; }
`
	if program == "argocd" {
		tool = `
sync() { argocd -cluster "$KUBECONFIG" -namespace "$NAMESPACE" sync < "$1"; }
prune() { echo '{apiVersion: v1, kind: ConfigMap, metadata: {name: rest}}' > rest.yaml; sync rest.yaml; }
insync() { argocd -cluster "$KUBECONFIG" -namespace "$NAMESPACE" diff < "$1" > diff; ! grep . diff; }
`
	}
	all := []compatCase{
		{
			name: "sync, self-heal, update, prune",
			does: `
sync db.yaml
settled db 3
unchanged sync db.yaml
insync db.yaml
kubectl scale statefulset db --replicas=4
settled db 4
fails insync db.yaml
sync db.yaml
settled db 3
sed s/db:1/db:2/ db.yaml > next.yaml
sync next.yaml
settled db 3
unchanged sync next.yaml
insync next.yaml
refused restricted prune next.yaml
unless restricted none statefulsets services pods
sync db.yaml
settled db 3
quiet 3`,
			refused: map[string][]refusal{"restricted": {losesAll, losesNames}},
		},
		{
			name: "apply a StatefulSet before its Service",
			does: `
{ sed '1,/^---$/d' db.yaml; echo ---; sed '/^---$/,$d' db.yaml; } > turned.yaml
sync turned.yaml
settled db 3
unchanged sync turned.yaml
insync turned.yaml`,
		},
		{
			// The tool must neither revert nor report a default that it does not know.
			name: "keep a policy's defaults",
			does: `
[ "$PROFILE" = off ] || {
kubectl apply -f - <<END
apiVersion: mooring.dev/v1alpha1
kind: StatefulPolicy
metadata: {name: $NAMESPACE}
spec:
  match: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: $NAMESPACE}}}
  priority: 1
  rules:
    updateStrategy: {action: Warn, default: {partition: 1}}
    retentionPolicy: {action: Warn, default: {whenScaled: Retain, whenDeleted: Retain}}
END
kubectl wait statefulpolicy/$NAMESPACE --for=condition=Ready --timeout=30s
retry 30 grown
}
sync db.yaml
settled db 3
unless off has db .spec.updateStrategy.rollingUpdate.partition 1
unchanged sync db.yaml
insync db.yaml
unchanged sync db.yaml
kubectl label statefulset db touched=1
unchanged sync db.yaml
insync db.yaml
unless off has db .spec.updateStrategy.rollingUpdate.partition 1
quiet 3
unless off kubectl delete statefulpolicy $NAMESPACE`,
		},
	}
	// grown checks with a dry run that the default is in force.
	tool += `
grown() { kubectl apply --dry-run=server -f db.yaml -o jsonpath='{.items[*].spec.updateStrategy.rollingUpdate.partition}' | grep -qx 1; }
`
	for i := range all {
		all[i].program = program
		all[i].does = tool + strings.TrimPrefix(all[i].does, "\n")
	}
	return all
}

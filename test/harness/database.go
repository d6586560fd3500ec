package harness

import "strings"

// AdvancedStatefulSets is a CustomResourceDefinition of OpenKruise's Advanced StatefulSets, as far as Mooring reads them. No controller
// runs them: tests make their Pods and claims.
const AdvancedStatefulSets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: statefulsets.apps.kruise.io}
spec:
  group: apps.kruise.io
  scope: Namespaced
  names: {kind: StatefulSet, plural: statefulsets, singular: statefulset}
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
`

// Database has the objects of a load, in the namespace load: a StatefulSet of three with claims, and one with the protect label.
var Database = `
apiVersion: v1
kind: Namespace
metadata: {name: load}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: load}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}
---
` + StatefulSet("load", "replicas: 3") + `
---
apiVersion: v1
kind: Service
metadata: {name: kept, namespace: load, labels: {mooring.dev/protect: "true"}}
spec: {clusterIP: None, selector: {app: kept}, ports: [{port: 5432}]}
`

// StatefulSet returns the manifest of the StatefulSet db with a claim template and these lines in its spec.
func StatefulSet(namespace string, lines ...string) string {
	return `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: ` + namespace + `}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, image: example/db, volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
  ` + strings.Join(lines, "\n  ") + "\n"
}

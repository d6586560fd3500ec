{{/* The rules of guard: what is taken away, and cannot be put right later. */}}
{{- define "mooring.guardRules" -}}
- operations: [UPDATE]
  apiGroups: [apps]
  apiVersions: [v1]
  resources: [statefulsets, statefulsets/scale]
  scope: Namespaced
- operations: [DELETE]
  apiGroups: [apps]
  apiVersions: [v1]
  resources: [statefulsets]
  scope: Namespaced
- operations: [DELETE]
  apiGroups: [""]
  apiVersions: [v1]
  resources: [persistentvolumeclaims, pods, services]
  scope: Namespaced
# The finalizer of a claim that waits for its Pod, and an eviction that gives its Pod no time to stop.
- operations: [UPDATE]
  apiGroups: [""]
  apiVersions: [v1]
  resources: [persistentvolumeclaims]
  scope: Namespaced
- operations: [CREATE]
  apiGroups: [""]
  apiVersions: [v1]
  resources: [pods/eviction]
  scope: Namespaced
- operations: [DELETE]
  apiGroups: [""]
  apiVersions: [v1]
  resources: [namespaces, persistentvolumes]
  scope: Cluster
{{- end }}

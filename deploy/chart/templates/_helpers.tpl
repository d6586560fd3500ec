{{/* The labels of every object. */}}
{{- define "mooring.labels" -}}
{{ include "mooring.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* The labels by which Services, the Deployment and the PodDisruptionBudget know the Pods. They never change. */}}
{{- define "mooring.podLabels" -}}
app.kubernetes.io/name: mooring
{{- end }}

{{/* Where the API server finds the webhook: the Service, or a process outside of the cluster. Takes root and path. The
     caBundle is missing on purpose: `mooring serve` writes it, and a value here would take it away again. */}}
{{- define "mooring.clientConfig" -}}
{{- with .root.Values.webhook.url -}}
url: {{ printf "%s%s" . $.path | quote }}
{{- else -}}
service:
  name: mooring-webhook
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path }}
  port: 443
{{- end }}
{{- end }}

{{/* The namespaces that the webhook looks after: not the ones that the cluster and Mooring itself need to come up. */}}
{{- define "mooring.namespaceSelector" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- concat (list "kube-system" "kube-node-lease" .Release.Namespace) .Values.webhook.excludedNamespaces | uniq | toYaml | nindent 6 }}
{{- end }}

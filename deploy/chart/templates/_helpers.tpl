{{/* The labels of every object. */}}
{{- define "mooring.labels" -}}
{{ include "mooring.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The labels by which Services, the Deployment and the PodDisruptionBudget know the Pods. They never change. */}}
{{- define "mooring.podLabels" -}}
app.kubernetes.io/name: mooring
{{- end }}

{{/* Where the API server finds the webhook: the Service, or a process outside of the cluster. Takes root and path. The
     caBundle is missing on purpose, but with certs.mode files: it is written in the cluster, and a value here would take it
     away again. */}}
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
{{- if and (eq .root.Values.certs.mode "files") .root.Values.certs.files.caBundle }}
caBundle: {{ .root.Values.certs.files.caBundle }}
{{- end }}
{{- end }}

{{/* The namespaces that the webhook looks after: not the ones that the cluster and Mooring itself need to come up. */}}
{{- define "mooring.namespaceSelector" -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
      {{- include "mooring.excludedNamespaces" . | fromJsonArray | toYaml | nindent 6 }}
{{- end }}

{{/* Whether a name is an IP address. */}}
{{- define "mooring.isAddress" -}}
{{- if regexMatch "^[0-9.]+$|:" . -}}true{{- end -}}
{{- end }}

{{/* Who signs, as `mooring serve` takes it. */}}
{{- define "mooring.issuer" -}}
{{- with .Values.certs.issuer -}}
{{- if not .name -}}
Issuer/mooring-ca
{{- else if eq .group "cert-manager.io" -}}
{{ .kind }}/{{ .name }}
{{- else -}}
{{ .kind }}.{{ .group }}/{{ .name }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Who writes the caBundles: `mooring serve`, or cert-manager's cainjector, from the Secret that mooring serve keeps. */}}
{{- define "mooring.injection" -}}
{{- if eq .Values.certs.mode "cert-manager" -}}
cert-manager.io/inject-ca-from-secret: {{ .Release.Namespace }}/mooring-webhook-cert-ca
{{- end -}}
{{- end }}

{{/* The image, by digest where one is given. */}}
{{- define "mooring.image" -}}
{{- with .Values.image -}}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end }}

{{/* How Prometheus asks for metrics: over TLS, with its own token. The certificate is for the API server's eyes. */}}
{{- define "mooring.endpoint" -}}
- port: metrics
  scheme: https
  {{- with .interval }}
  interval: {{ . }}
  {{- end }}
  tlsConfig:
    insecureSkipVerify: true
{{- end }}

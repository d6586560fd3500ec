{{/* What the rules make of the webhooks, the rights and the users. */}}
{{- define "mooring.generated" -}}
{{ .Files.Get "generated.yaml" }}
{{- end }}

{{/* Users whose own writes carry out what was judged when somebody asked for it. */}}
{{- define "mooring.controllers" -}}
{{ concat (include "mooring.generated" . | fromYaml).controllers .Values.webhook.controllers | uniq | toJson }}
{{- end }}

{{/* Namespaces whose requests never reach the webhook. */}}
{{- define "mooring.excludedNamespaces" -}}
{{ concat (include "mooring.generated" . | fromYaml).excludedNamespaces (list .Release.Namespace) .Values.webhook.excludedNamespaces | uniq | toJson }}
{{- end }}

{{/* A controller is judged where it scales, like anybody, and in nothing else. */}}
{{- define "mooring.condition.notByController" -}}
!(request.userInfo.username in {{ include "mooring.controllers" . }}) ||
  request.operation == 'UPDATE' && request.resource.resource == 'statefulsets'
{{- end }}

{{/* Whether Mooring is installed: its namespace, or whoever uninstalls it, takes this right first. What may be left of its
webhook configurations then calls nobody. */}}
{{- define "mooring.condition.isInstalled" -}}
authorizer.serviceAccount({{ .Release.Namespace | squote }}, 'mooring').group('coordination.k8s.io').resource('leases')
  .namespace({{ .Release.Namespace | squote }}).name('mooring-leader').check('update').allowed()
{{- end }}

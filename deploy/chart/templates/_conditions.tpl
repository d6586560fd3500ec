{{/*
The CEL conditions under which the API server calls a webhook. They run inside the API server for every request of the
entry's rules, and they must never err: with failurePolicy Fail an error refuses the request. So

  - an entry that has several resources branches on them before it reads a field: object is null in a DELETE, oldObject
    in a CREATE, and request.subResource is absent where there is none;
  - a field that may be absent is read as object.spec.?field.
*/}}

{{/* A StatefulSet that is new, or whose spec changes: labels, annotations, finalizers and owners are not judged. */}}
{{- define "mooring.condition.statefulSetSpecChanges" -}}
request.operation == 'CREATE' || object.spec != oldObject.spec
{{- end }}

{{/* A Service that is turned away from its Pods, or stops naming them: ports and the like are not judged. */}}
{{- define "mooring.condition.serviceChanges" -}}
object.spec.?selector != oldObject.spec.?selector ||
object.spec.?clusterIP != oldObject.spec.?clusterIP ||
object.spec.?type != oldObject.spec.?type ||
object.spec.?publishNotReadyAddresses != oldObject.spec.?publishNotReadyAddresses
{{- end }}

{{/* An update of a StatefulSet that may take a Pod away: fewer replicas, or other ordinals. */}}
{{- define "mooring.condition.statefulSetShrinks" -}}
object.spec.?replicas.orValue(1) < oldObject.spec.?replicas.orValue(1) ||
object.spec.?ordinals.?start.orValue(0) != oldObject.spec.?ordinals.?start.orValue(0)
{{- end }}

{{/* The same through the scale subresource. A Scale has no replicas field when it asks for none. */}}
{{- define "mooring.condition.scaleShrinks" -}}
object.?spec.?replicas.orValue(0) < oldObject.?spec.?replicas.orValue(0)
{{- end }}

{{/* A Service that can give Pods their names, and whose delete can take them. */}}
{{- define "mooring.condition.serviceIsHeadless" -}}
oldObject.spec.?clusterIP.orValue('') == 'None'
{{- end }}

{{/* What lint judges: all that changes … */}}
{{- define "mooring.condition.changes" -}}
request.resource.resource == 'services'
  ? (
    {{- include "mooring.condition.serviceChanges" . | nindent 4 }}
  ) : (
    {{- include "mooring.condition.statefulSetSpecChanges" . | nindent 4 }}
  )
{{- end }}

{{/* … but for what guard takes. Both call /validate, which judges every rule, so one call is enough. */}}
{{- define "mooring.condition.notForGuard" -}}
!(request.resource.resource == 'statefulsets' && request.operation == 'UPDATE' && (
    {{- include "mooring.condition.statefulSetShrinks" . | nindent 4 }}
))
{{- end }}

{{/* What guard judges: all that takes something away … */}}
{{- define "mooring.condition.takesAway" -}}
request.resource.resource == 'services'
  ? (
    {{- include "mooring.condition.serviceIsHeadless" . | nindent 4 }}
  ) : request.?subResource.orValue('') == 'scale' ? (
    {{- include "mooring.condition.scaleShrinks" . | nindent 4 }}
  ) : (
    {{- include "mooring.condition.statefulSetShrinks" . | nindent 4 }}
  )
{{- end }}

{{/* … but for the deletes that controllers carry out for a user who was asked already. */}}
{{- define "mooring.condition.notByController" -}}
!(request.operation == 'DELETE' && request.userInfo.username in {{ .Values.webhook.controllers | toJson }})
{{- end }}

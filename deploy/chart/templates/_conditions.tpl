{{/*
The CEL conditions under which the API server calls a webhook. They run inside the API server for every request of the
entry's rules, and they must never err: with failurePolicy Fail an error refuses the request. So

  - an entry that has several resources branches on them before it reads a field: object is null in a DELETE, oldObject
    in a CREATE, and request.subResource is absent where there is none;
  - a field that may be absent is read as object.spec.?field.
*/}}

{{/* A StatefulSet that is new or goes, or whose spec changes: labels, annotations, finalizers and owners are not judged. */}}
{{- define "mooring.condition.statefulSetSpecChanges" -}}
request.operation != 'UPDATE' || object.spec != oldObject.spec
{{- end }}

{{/* What is filled in: a StatefulSet that is new or changes, a volume that is made for a claim, and the replicas that an
autoscaler may have instead of those it asks for. */}}
{{- define "mooring.condition.fills" -}}
request.resource.resource == 'persistentvolumes'
  ? has(object.spec.claimRef)
  : request.?subResource.orValue('') == 'scale' ? (
    request.userInfo.username in {{ .Values.webhook.autoscalers | toJson }} && (
    {{- include "mooring.condition.scaleShrinks" . | nindent 4 }}
  )) : (
    {{- include "mooring.condition.statefulSetSpecChanges" . | nindent 4 }}
  )
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

{{/* A Service that can give Pods their names, and whose delete can take them; or one that is labelled against deletes. */}}
{{- define "mooring.condition.serviceMatters" -}}
oldObject.spec.?clusterIP.orValue('') == 'None' ||
oldObject.metadata.?labels[?'mooring.dev/protect'].orValue('') == 'true'
{{- end }}

{{/* A claim that is deleted, or on its way and about to lose the finalizer that keeps it while a Pod uses it. */}}
{{- define "mooring.condition.claimGoes" -}}
request.operation == 'DELETE' || (
  oldObject.metadata.?deletionTimestamp.hasValue() &&
  'kubernetes.io/pvc-protection' in oldObject.metadata.?finalizers.orValue([]) &&
  !('kubernetes.io/pvc-protection' in object.metadata.?finalizers.orValue([])) &&
  !(request.userInfo.username in {{ .Values.webhook.controllers | toJson }})
)
{{- end }}

{{/* A Pod of a StatefulSet that is deleted without waiting for it to stop, but for node agents, who know that it has. An
eviction does not say whose the Pod is. */}}
{{- define "mooring.condition.podIsForced" -}}
request.operation == 'CREATE' ? object.?deleteOptions.?gracePeriodSeconds.orValue(-1) == 0 :
request.options.?gracePeriodSeconds.orValue(-1) == 0 &&
oldObject.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'StatefulSet') &&
!request.userInfo.username.startsWith('system:node:')
{{- end }}

{{/* What lint judges: all that changes … */}}
{{- define "mooring.condition.changes" -}}
request.resource.resource == 'services'
  ? (
    {{- include "mooring.condition.serviceChanges" . | nindent 4 }}
  ) : (
    {{- /* Claims, autoscalers and policies have a spec like StatefulSets. */ -}}
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
    {{- include "mooring.condition.serviceMatters" . | nindent 4 }}
  ) : request.resource.resource == 'pods' ? (
    {{- include "mooring.condition.podIsForced" . | nindent 4 }}
  ) : request.resource.resource == 'persistentvolumeclaims' ? (
    {{- include "mooring.condition.claimGoes" . | nindent 4 }}
  ) : request.resource.resource == 'persistentvolumes' ? (
    oldObject.?status.?phase.orValue('') == 'Bound'
  ) : request.operation == 'DELETE' || (request.?subResource.orValue('') == 'scale' ? (
    {{- include "mooring.condition.scaleShrinks" . | nindent 4 }}
  ) : (
    {{- include "mooring.condition.statefulSetShrinks" . | nindent 4 }}
  ))
{{- end }}

{{/* … but for what controllers make and delete for a user who was asked already. They are judged on scaling like anybody. */}}
{{- define "mooring.condition.notByController" -}}
!(request.operation != 'UPDATE' && request.userInfo.username in {{ .Values.webhook.controllers | toJson }})
{{- end }}

{{/* Whether Mooring is installed: its namespace, or whoever uninstalls it, takes this right first. What may be left of its
webhook configurations then calls nobody. */}}
{{- define "mooring.condition.isInstalled" -}}
authorizer.serviceAccount({{ .Release.Namespace | squote }}, 'mooring').group('coordination.k8s.io').resource('leases')
  .namespace({{ .Release.Namespace | squote }}).name('mooring-leader').check('update').allowed()
{{- end }}

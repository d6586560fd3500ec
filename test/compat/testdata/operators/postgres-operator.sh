# The requests of postgres-operator v1.15.1. Written by make record-operators.

person create '/apis/acid.zalan.do/v1/namespaces/NAMESPACE/postgresqls' <<'END'
{"apiVersion":"acid.zalan.do/v1","kind":"postgresql","metadata":{"annotations":{},"name":"acid-pg","namespace":"NAMESPACE"},"spec":{"dockerImage":"registry.example/spilo:1","numberOfInstances":3,"postgresql":{"version":"17"},"teamId":"acid","volume":{"size":"1Gi"}}}
END

operator create '/api/v1/namespaces/NAMESPACE/serviceaccounts' <<'END'
{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"postgres-pod"}}
END

operator create '/api/v1/namespaces/NAMESPACE/services' <<'END'
{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{"external-dns.alpha.kubernetes.io/hostname":"acid-pg.NAMESPACE.db.example.com,pg.acid.db.example.com","service.beta.kubernetes.io/aws-load-balancer-connection-idle-timeout":"3600"},"labels":{"application":"spilo","cluster-name":"acid-pg","spilo-role":"master","team":"acid"},"name":"acid-pg","namespace":"NAMESPACE"},"spec":{"allocateLoadBalancerNodePorts":true,"externalTrafficPolicy":"Cluster","internalTrafficPolicy":"Cluster","loadBalancerSourceRanges":["127.0.0.1/32"],"ports":[{"name":"postgresql","port":5432,"protocol":"TCP","targetPort":5432}],"sessionAffinity":"None","type":"LoadBalancer"}}
END

operator create '/api/v1/namespaces/NAMESPACE/services' <<'END'
{"apiVersion":"v1","kind":"Service","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","spilo-role":"replica","team":"acid"},"name":"acid-pg-repl","namespace":"NAMESPACE"},"spec":{"internalTrafficPolicy":"Cluster","ports":[{"name":"postgresql","port":5432,"protocol":"TCP","targetPort":5432}],"selector":{"application":"spilo","cluster-name":"acid-pg","spilo-role":"replica"},"sessionAffinity":"None","type":"ClusterIP"}}
END

operator create '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets' <<'END'
{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"postgres-acid-pg-pdb","namespace":"NAMESPACE"},"spec":{"minAvailable":1,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg","spilo-role":"master"}}}}
END

operator create '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets' <<'END'
{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"postgres-acid-pg-critical-op-pdb","namespace":"NAMESPACE"},"spec":{"minAvailable":3,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg","critical-operation":"true"}}}}
END

operator create '/apis/apps/v1/namespaces/NAMESPACE/statefulsets' <<'END'
{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"acid-pg","namespace":"NAMESPACE"},"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":3,"revisionHistoryLimit":10,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg"}},"serviceName":"acid-pg","template":{"metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"namespace":"NAMESPACE"},"spec":{"containers":[{"env":[{"name":"SCOPE","value":"acid-pg"},{"name":"PGROOT","value":"/home/postgres/pgdata/pgroot"},{"name":"POD_IP","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}},{"name":"PGUSER_SUPERUSER","value":"postgres"},{"name":"KUBERNETES_SCOPE_LABEL","value":"cluster-name"},{"name":"KUBERNETES_ROLE_LABEL","value":"spilo-role"},{"name":"PGPASSWORD_SUPERUSER","valueFrom":{"secretKeyRef":{"key":"password","name":"postgres.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PGUSER_STANDBY","value":"standby"},{"name":"PGPASSWORD_STANDBY","valueFrom":{"secretKeyRef":{"key":"password","name":"standby.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PAM_OAUTH2","value":"https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"},{"name":"HUMAN_ROLE","value":"zalandos"},{"name":"PGVERSION","value":"17"},{"name":"KUBERNETES_LABELS","value":"{\"application\":\"spilo\"}"},{"name":"SPILO_CONFIGURATION","value":"{\"postgresql\":{},\"bootstrap\":{\"initdb\":[{\"auth-host\":\"md5\"},{\"auth-local\":\"trust\"}],\"dcs\":{\"failsafe_mode\":false}}}"},{"name":"DCS_ENABLE_KUBERNETES_API","value":"true"},{"name":"KUBERNETES_BOOTSTRAP_LABELS","value":"{\"critical-operation\":\"true\"}"}],"image":"registry.example/spilo:1","imagePullPolicy":"IfNotPresent","name":"postgres","ports":[{"containerPort":8008,"protocol":"TCP"},{"containerPort":5432,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],"readinessProbe":{"failureThreshold":3,"httpGet":{"path":"/readiness","port":8008,"scheme":"HTTP"},"initialDelaySeconds":6,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5},"resources":{},"securityContext":{"allowPrivilegeEscalation":true,"privileged":false,"readOnlyRootFilesystem":false},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","volumeMounts":[{"mountPath":"/home/postgres/pgdata","name":"pgdata"},{"mountPath":"/dev/shm","name":"dshm"}]}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"serviceAccount":"postgres-pod","serviceAccountName":"postgres-pod","terminationGracePeriodSeconds":5,"volumes":[{"emptyDir":{"medium":"Memory"},"name":"dshm"}]}},"updateStrategy":{"type":"OnDelete"},"volumeClaimTemplates":[{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}]}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-0' <<'END'
{"metadata":{}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-1' <<'END'
{"metadata":{}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-2' <<'END'
{"metadata":{}}
END

person merge 'postgresqls/acid-pg' <<'END'
{"metadata":{"annotations":{}},"spec":{"numberOfInstances":4}}
END

operator merge 'statefulsets/acid-pg' <<'END'
{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":4,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg"}},"serviceName":"acid-pg","template":{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"namespace":"NAMESPACE"},"spec":{"containers":[{"env":[{"name":"SCOPE","value":"acid-pg"},{"name":"PGROOT","value":"/home/postgres/pgdata/pgroot"},{"name":"POD_IP","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}},{"name":"PGUSER_SUPERUSER","value":"postgres"},{"name":"KUBERNETES_SCOPE_LABEL","value":"cluster-name"},{"name":"KUBERNETES_ROLE_LABEL","value":"spilo-role"},{"name":"PGPASSWORD_SUPERUSER","valueFrom":{"secretKeyRef":{"key":"password","name":"postgres.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PGUSER_STANDBY","value":"standby"},{"name":"PGPASSWORD_STANDBY","valueFrom":{"secretKeyRef":{"key":"password","name":"standby.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PAM_OAUTH2","value":"https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"},{"name":"HUMAN_ROLE","value":"zalandos"},{"name":"PGVERSION","value":"17"},{"name":"KUBERNETES_LABELS","value":"{\"application\":\"spilo\"}"},{"name":"SPILO_CONFIGURATION","value":"{\"postgresql\":{},\"bootstrap\":{\"initdb\":[{\"auth-host\":\"md5\"},{\"auth-local\":\"trust\"}],\"dcs\":{\"failsafe_mode\":false}}}"},{"name":"DCS_ENABLE_KUBERNETES_API","value":"true"},{"name":"KUBERNETES_BOOTSTRAP_LABELS","value":"{\"critical-operation\":\"true\"}"}],"image":"registry.example/spilo:1","imagePullPolicy":"IfNotPresent","name":"postgres","ports":[{"containerPort":8008,"protocol":"TCP"},{"containerPort":5432,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],"readinessProbe":{"failureThreshold":3,"httpGet":{"path":"/readiness","port":8008,"scheme":"HTTP"},"initialDelaySeconds":6,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5},"resources":{},"securityContext":{"allowPrivilegeEscalation":true,"privileged":false,"readOnlyRootFilesystem":false},"volumeMounts":[{"mountPath":"/home/postgres/pgdata","name":"pgdata"},{"mountPath":"/dev/shm","name":"dshm"}]}],"securityContext":{},"serviceAccountName":"postgres-pod","terminationGracePeriodSeconds":5,"volumes":[{"emptyDir":{"medium":"Memory"},"name":"dshm"}]}},"updateStrategy":{"type":"OnDelete"},"volumeClaimTemplates":[{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeMode":"Filesystem"},"status":{}}]}}
END

operator delete '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets/postgres-acid-pg-critical-op-pdb?propagationPolicy=Orphan' <<'END'
END

operator create '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets' <<'END'
{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"postgres-acid-pg-critical-op-pdb","namespace":"NAMESPACE"},"spec":{"minAvailable":4,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg","critical-operation":"true"}}}}
END

person merge 'postgresqls/acid-pg' <<'END'
{"metadata":{"annotations":{}},"spec":{"numberOfInstances":3}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-3' <<'END'
{"metadata":{}}
END

operator merge 'statefulsets/acid-pg' <<'END'
{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":3,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg"}},"serviceName":"acid-pg","template":{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"namespace":"NAMESPACE"},"spec":{"containers":[{"env":[{"name":"SCOPE","value":"acid-pg"},{"name":"PGROOT","value":"/home/postgres/pgdata/pgroot"},{"name":"POD_IP","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}},{"name":"PGUSER_SUPERUSER","value":"postgres"},{"name":"KUBERNETES_SCOPE_LABEL","value":"cluster-name"},{"name":"KUBERNETES_ROLE_LABEL","value":"spilo-role"},{"name":"PGPASSWORD_SUPERUSER","valueFrom":{"secretKeyRef":{"key":"password","name":"postgres.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PGUSER_STANDBY","value":"standby"},{"name":"PGPASSWORD_STANDBY","valueFrom":{"secretKeyRef":{"key":"password","name":"standby.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PAM_OAUTH2","value":"https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"},{"name":"HUMAN_ROLE","value":"zalandos"},{"name":"PGVERSION","value":"17"},{"name":"KUBERNETES_LABELS","value":"{\"application\":\"spilo\"}"},{"name":"SPILO_CONFIGURATION","value":"{\"postgresql\":{},\"bootstrap\":{\"initdb\":[{\"auth-host\":\"md5\"},{\"auth-local\":\"trust\"}],\"dcs\":{\"failsafe_mode\":false}}}"},{"name":"DCS_ENABLE_KUBERNETES_API","value":"true"},{"name":"KUBERNETES_BOOTSTRAP_LABELS","value":"{\"critical-operation\":\"true\"}"}],"image":"registry.example/spilo:1","imagePullPolicy":"IfNotPresent","name":"postgres","ports":[{"containerPort":8008,"protocol":"TCP"},{"containerPort":5432,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],"readinessProbe":{"failureThreshold":3,"httpGet":{"path":"/readiness","port":8008,"scheme":"HTTP"},"initialDelaySeconds":6,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5},"resources":{},"securityContext":{"allowPrivilegeEscalation":true,"privileged":false,"readOnlyRootFilesystem":false},"volumeMounts":[{"mountPath":"/home/postgres/pgdata","name":"pgdata"},{"mountPath":"/dev/shm","name":"dshm"}]}],"securityContext":{},"serviceAccountName":"postgres-pod","terminationGracePeriodSeconds":5,"volumes":[{"emptyDir":{"medium":"Memory"},"name":"dshm"}]}},"updateStrategy":{"type":"OnDelete"},"volumeClaimTemplates":[{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeMode":"Filesystem"},"status":{}}]}}
END

operator delete '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets/postgres-acid-pg-critical-op-pdb?propagationPolicy=Orphan' <<'END'
END

operator create '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets' <<'END'
{"apiVersion":"policy/v1","kind":"PodDisruptionBudget","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"postgres-acid-pg-critical-op-pdb","namespace":"NAMESPACE"},"spec":{"minAvailable":3,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg","critical-operation":"true"}}}}
END

person merge 'postgresqls/acid-pg' <<'END'
{"metadata":{"annotations":{}},"spec":{"dockerImage":"registry.example/spilo:2"}}
END

operator merge 'pods/acid-pg-0' <<'END'
{"metadata":{"annotations":{"zalando-postgres-operator-rolling-update-required":"true"}}}
END

operator merge 'pods/acid-pg-1' <<'END'
{"metadata":{"annotations":{"zalando-postgres-operator-rolling-update-required":"true"}}}
END

operator merge 'pods/acid-pg-2' <<'END'
{"metadata":{"annotations":{"zalando-postgres-operator-rolling-update-required":"true"}}}
END

operator merge 'statefulsets/acid-pg' <<'END'
{"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":3,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg"}},"serviceName":"acid-pg","template":{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"namespace":"NAMESPACE"},"spec":{"containers":[{"env":[{"name":"SCOPE","value":"acid-pg"},{"name":"PGROOT","value":"/home/postgres/pgdata/pgroot"},{"name":"POD_IP","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}},{"name":"PGUSER_SUPERUSER","value":"postgres"},{"name":"KUBERNETES_SCOPE_LABEL","value":"cluster-name"},{"name":"KUBERNETES_ROLE_LABEL","value":"spilo-role"},{"name":"PGPASSWORD_SUPERUSER","valueFrom":{"secretKeyRef":{"key":"password","name":"postgres.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PGUSER_STANDBY","value":"standby"},{"name":"PGPASSWORD_STANDBY","valueFrom":{"secretKeyRef":{"key":"password","name":"standby.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PAM_OAUTH2","value":"https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"},{"name":"HUMAN_ROLE","value":"zalandos"},{"name":"PGVERSION","value":"17"},{"name":"KUBERNETES_LABELS","value":"{\"application\":\"spilo\"}"},{"name":"SPILO_CONFIGURATION","value":"{\"postgresql\":{},\"bootstrap\":{\"initdb\":[{\"auth-host\":\"md5\"},{\"auth-local\":\"trust\"}],\"dcs\":{\"failsafe_mode\":false}}}"},{"name":"DCS_ENABLE_KUBERNETES_API","value":"true"},{"name":"KUBERNETES_BOOTSTRAP_LABELS","value":"{\"critical-operation\":\"true\"}"}],"image":"registry.example/spilo:2","imagePullPolicy":"IfNotPresent","name":"postgres","ports":[{"containerPort":8008,"protocol":"TCP"},{"containerPort":5432,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],"readinessProbe":{"failureThreshold":3,"httpGet":{"path":"/readiness","port":8008,"scheme":"HTTP"},"initialDelaySeconds":6,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5},"resources":{},"securityContext":{"allowPrivilegeEscalation":true,"privileged":false,"readOnlyRootFilesystem":false},"volumeMounts":[{"mountPath":"/home/postgres/pgdata","name":"pgdata"},{"mountPath":"/dev/shm","name":"dshm"}]}],"securityContext":{},"serviceAccountName":"postgres-pod","terminationGracePeriodSeconds":5,"volumes":[{"emptyDir":{"medium":"Memory"},"name":"dshm"}]}},"updateStrategy":{"type":"OnDelete"},"volumeClaimTemplates":[{"metadata":{"creationTimestamp":null,"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeMode":"Filesystem"},"status":{}}]}}
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-1?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-2?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-0?propagationPolicy=Orphan' <<'END'
END

person merge 'postgresqls/acid-pg' <<'END'
{"metadata":{"annotations":{}},"spec":{"volume":{"size":"2Gi"}}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-0' <<'END'
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume","volume.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume"},"finalizers":["kubernetes.io/pvc-protection"],"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata-acid-pg-0","namespace":"NAMESPACE"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}},"storageClassName":"kwok-volume","volumeMode":"Filesystem"}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-0' <<'END'
{"metadata":{}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-1' <<'END'
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume","volume.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume"},"finalizers":["kubernetes.io/pvc-protection"],"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata-acid-pg-1","namespace":"NAMESPACE"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}},"storageClassName":"kwok-volume","volumeMode":"Filesystem"}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-1' <<'END'
{"metadata":{}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-2' <<'END'
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume","volume.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume"},"finalizers":["kubernetes.io/pvc-protection"],"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata-acid-pg-2","namespace":"NAMESPACE"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}},"storageClassName":"kwok-volume","volumeMode":"Filesystem"}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-2' <<'END'
{"metadata":{}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-3' <<'END'
{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"annotations":{"pv.kubernetes.io/bind-completed":"yes","pv.kubernetes.io/bound-by-controller":"yes","volume.beta.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume","volume.kubernetes.io/storage-provisioner":"kwok.x-k8s.io/volume"},"finalizers":["kubernetes.io/pvc-protection"],"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata-acid-pg-3","namespace":"NAMESPACE"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}},"storageClassName":"kwok-volume","volumeMode":"Filesystem"}}
END

operator merge 'persistentvolumeclaims/pgdata-acid-pg-3' <<'END'
{"metadata":{}}
END

operator delete '/apis/apps/v1/namespaces/NAMESPACE/statefulsets/acid-pg?propagationPolicy=Orphan' <<'END'
END

operator create '/apis/apps/v1/namespaces/NAMESPACE/statefulsets' <<'END'
{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"acid-pg","namespace":"NAMESPACE"},"spec":{"persistentVolumeClaimRetentionPolicy":{"whenDeleted":"Retain","whenScaled":"Retain"},"podManagementPolicy":"OrderedReady","replicas":3,"revisionHistoryLimit":10,"selector":{"matchLabels":{"application":"spilo","cluster-name":"acid-pg"}},"serviceName":"acid-pg","template":{"metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"namespace":"NAMESPACE"},"spec":{"containers":[{"env":[{"name":"SCOPE","value":"acid-pg"},{"name":"PGROOT","value":"/home/postgres/pgdata/pgroot"},{"name":"POD_IP","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"POD_NAMESPACE","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}},{"name":"PGUSER_SUPERUSER","value":"postgres"},{"name":"KUBERNETES_SCOPE_LABEL","value":"cluster-name"},{"name":"KUBERNETES_ROLE_LABEL","value":"spilo-role"},{"name":"PGPASSWORD_SUPERUSER","valueFrom":{"secretKeyRef":{"key":"password","name":"postgres.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PGUSER_STANDBY","value":"standby"},{"name":"PGPASSWORD_STANDBY","valueFrom":{"secretKeyRef":{"key":"password","name":"standby.acid-pg.credentials.postgresql.acid.zalan.do"}}},{"name":"PAM_OAUTH2","value":"https://info.example.com/oauth2/tokeninfo?access_token= uid realm=/employees"},{"name":"HUMAN_ROLE","value":"zalandos"},{"name":"PGVERSION","value":"17"},{"name":"KUBERNETES_LABELS","value":"{\"application\":\"spilo\"}"},{"name":"SPILO_CONFIGURATION","value":"{\"postgresql\":{},\"bootstrap\":{\"initdb\":[{\"auth-host\":\"md5\"},{\"auth-local\":\"trust\"}],\"dcs\":{\"failsafe_mode\":false}}}"},{"name":"DCS_ENABLE_KUBERNETES_API","value":"true"},{"name":"KUBERNETES_BOOTSTRAP_LABELS","value":"{\"critical-operation\":\"true\"}"}],"image":"registry.example/spilo:2","imagePullPolicy":"IfNotPresent","name":"postgres","ports":[{"containerPort":8008,"protocol":"TCP"},{"containerPort":5432,"protocol":"TCP"},{"containerPort":8080,"protocol":"TCP"}],"readinessProbe":{"failureThreshold":3,"httpGet":{"path":"/readiness","port":8008,"scheme":"HTTP"},"initialDelaySeconds":6,"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5},"resources":{},"securityContext":{"allowPrivilegeEscalation":true,"privileged":false,"readOnlyRootFilesystem":false},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","volumeMounts":[{"mountPath":"/home/postgres/pgdata","name":"pgdata"},{"mountPath":"/dev/shm","name":"dshm"}]}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"serviceAccount":"postgres-pod","serviceAccountName":"postgres-pod","terminationGracePeriodSeconds":5,"volumes":[{"emptyDir":{"medium":"Memory"},"name":"dshm"}]}},"updateStrategy":{"type":"OnDelete"},"volumeClaimTemplates":[{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"labels":{"application":"spilo","cluster-name":"acid-pg","team":"acid"},"name":"pgdata"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"2Gi"}},"volumeMode":"Filesystem"},"status":{"phase":"Pending"}}]}}
END

person delete '/apis/acid.zalan.do/v1/namespaces/NAMESPACE/postgresqls/acid-pg?propagationPolicy=Background' <<'END'
END

operator delete '/apis/apps/v1/namespaces/NAMESPACE/statefulsets/acid-pg?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-0?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-1?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/pods/acid-pg-2?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims/pgdata-acid-pg-0?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims/pgdata-acid-pg-1?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims/pgdata-acid-pg-2?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/persistentvolumeclaims/pgdata-acid-pg-3?propagationPolicy=Orphan' <<'END'
END

operator delete '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets/postgres-acid-pg-pdb?propagationPolicy=Orphan' <<'END'
END

operator delete '/apis/policy/v1/namespaces/NAMESPACE/poddisruptionbudgets/postgres-acid-pg-critical-op-pdb?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/services/acid-pg?propagationPolicy=Orphan' <<'END'
END

operator delete '/api/v1/namespaces/NAMESPACE/services/acid-pg-repl?propagationPolicy=Orphan' <<'END'
END

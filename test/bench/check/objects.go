package main

import (
	"fmt"
	"strings"
)

// application returns the manifests of an application, in the proportions of rendered public charts: about a tenth of the objects
// and half of the text are StatefulSets. Every fourth names a Service that is not headless.
func application(n int) []string {
	name := fmt.Sprintf("db-%d", n)
	clusterIP := "clusterIP: None"
	if n%4 == 3 {
		clusterIP = "type: ClusterIP"
	}
	return []string{
		object("v1", "Namespace", name, ""),
		object("v1", "ServiceAccount", name, "automountServiceAccountToken: false\n"),
		object("v1", "Secret", name, "stringData:\n"+lines("  key-%d: dmFsdWUtdGhhdC1pcy1ub3Qtc2VjcmV0LWF0LWFsbA==\n", 24)),
		object("v1", "ConfigMap", name, "data:\n  db.conf: |\n"+lines("    setting_%d = some value that goes on for a while\n", 90)),
		object("v1", "Service", name, service(name, clusterIP)),
		object("v1", "Service", name+"-client", service(name, "type: ClusterIP")),
		object("v1", "Service", name+"-metrics", service(name, "type: ClusterIP")),
		object("policy/v1", "PodDisruptionBudget", name, fmt.Sprintf("spec:\n  maxUnavailable: 1\n  selector:\n    matchLabels:\n      app: %s\n", name)),
		object("networking.k8s.io/v1", "NetworkPolicy", name, networkPolicy(name)),
		object("networking.k8s.io/v1", "NetworkPolicy", name+"-client", networkPolicy(name)),
		object("apps/v1", "StatefulSet", name, workload(name, 60, fmt.Sprintf("  serviceName: %s\n", name), `  volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes:
      - ReadWriteOnce
      resources:
        requests:
          storage: 8Gi
`)),
		object("apps/v1", "Deployment", name+"-client", workload(name+"-client", 40, "", "")),
	}
}

func object(apiVersion, kind, name, rest string) string {
	return fmt.Sprintf(`# Source: app/templates/%s.yaml
apiVersion: %s
kind: %s
metadata:
  name: %s
  namespace: %s
  labels:
    app: %[4]s
    app.kubernetes.io/name: database
    app.kubernetes.io/instance: %[4]s
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: database-1.2.3
%[6]s`, strings.ToLower(kind), apiVersion, kind, name, strings.Join(strings.SplitN(name, "-", 3)[:2], "-"), rest)
}

func service(name, clusterIP string) string {
	return fmt.Sprintf("spec:\n  %s\n  ports:\n  - name: db\n    port: 5432\n    targetPort: db\n  - name: metrics\n    port: 9090\n    targetPort: metrics\n  selector:\n    app: %s\n", clusterIP, name)
}

func networkPolicy(name string) string {
	return fmt.Sprintf("spec:\n  podSelector:\n    matchLabels:\n      app: %s\n  policyTypes:\n  - Ingress\n  - Egress\n  egress:\n  - {}\n  ingress:\n  - ports:\n    - port: 5432\n    - port: 9090\n", name)
}

func workload(name string, variables int, spec, claims string) string {
	return fmt.Sprintf(`spec:
  replicas: 3
%[2]s  selector:
    matchLabels:
      app: %[1]s
  template:
    metadata:
      labels:
        app: %[1]s
    spec:
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 1
            podAffinityTerm:
              topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels:
                  app: %[1]s
      containers:
      - name: db
        image: registry.example/database:1.2.3
        imagePullPolicy: IfNotPresent
        securityContext:
          allowPrivilegeEscalation: false
          readOnlyRootFilesystem: true
          runAsNonRoot: true
          runAsUser: 1001
          capabilities:
            drop:
            - ALL
        command:
        - /bin/bash
        args:
        - -ec
        - |
%[3]s        env:
%[4]s        ports:
        - name: db
          containerPort: 5432
        readinessProbe:
          periodSeconds: 10
          timeoutSeconds: 5
          exec:
            command:
            - /bin/sh
            - -c
            - exec pg_isready -h 127.0.0.1 -p 5432
        resources:
          limits:
            cpu: 500m
            memory: 512Mi
          requests:
            cpu: 250m
            memory: 256Mi
        volumeMounts:
        - name: data
          mountPath: /data
%[5]s`, name, spec, lines("          echo step %d of what the container does before it starts\n", 40), lines("        - name: SETTING_%d\n          value: \"some value\"\n", variables), claims)
}

func lines(format string, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

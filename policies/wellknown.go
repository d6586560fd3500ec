package policies

import (
	"slices"

	"github.com/mooring-dev/mooring/policies/v1alpha1"
)

// WellKnown returns the fields of well-known operators, grouped by kind.
func WellKnown() []v1alpha1.Owner { return slices.Clone(wellKnown) }

// wellKnown are the fields of well-known operators. An operator whose only field is that of its scale subresource needs no entry,
// because its CustomResourceDefinition names it. Numbers that are not the replicas of a StatefulSet (Prometheus' shards, CrunchyData's
// instances, each of which is a StatefulSet) are left out.
var wellKnown = []v1alpha1.Owner{
	// https://github.com/zalando/postgres-operator/blob/master/manifests/postgresql.crd.yaml; it owns them with enable_owner_references.
	{Group: "acid.zalan.do", Kind: "postgresql", ReplicasPath: "spec.numberOfInstances"},
	// https://github.com/k8ssandra/cass-operator/blob/master/config/crd/bases/cassandra.datastax.com_cassandradatacenters.yaml
	{Group: "cassandra.datastax.com", Kind: "CassandraDatacenter", ReplicasPath: "spec.size"},
	// https://github.com/cockroachdb/cockroach-operator/blob/master/config/crd/bases/crdb.cockroachlabs.com_crdbclusters.yaml
	{Group: "crdb.cockroachlabs.com", Kind: "CrdbCluster", ReplicasPath: "spec.nodes"},
	// https://github.com/spotahome/redis-operator/blob/master/manifests/databases.spotahome.com_redisfailovers.yaml
	{Group: "databases.spotahome.com", Kind: "RedisFailover", ReplicasPath: "spec.redis.replicas"},
	// https://github.com/elastic/cloud-on-k8s/blob/main/config/crds/v1/bases/elasticsearch.k8s.elastic.co_elasticsearches.yaml
	{Group: "elasticsearch.k8s.elastic.co", Kind: "Elasticsearch", ReplicasPath: "spec.nodeSets[*].count"},
	// https://github.com/minio/operator/blob/master/resources/base/crds/minio.min.io_tenants.yaml
	{Group: "minio.min.io", Kind: "Tenant", ReplicasPath: "spec.pools[*].servers"},
	// https://github.com/prometheus-operator/prometheus-operator/blob/main/example/prometheus-operator-crd/monitoring.coreos.com_prometheuses.yaml
	{Group: "monitoring.coreos.com", Kind: "Prometheus", ReplicasPath: "spec.replicas"},
	// https://github.com/prometheus-operator/prometheus-operator/blob/main/example/prometheus-operator-crd/monitoring.coreos.com_thanosrulers.yaml
	{Group: "monitoring.coreos.com", Kind: "ThanosRuler", ReplicasPath: "spec.replicas"},
	// https://github.com/mongodb/mongodb-kubernetes-operator/blob/master/config/crd/bases/mongodbcommunity.mongodb.com_mongodbcommunity.yaml
	{Group: "mongodbcommunity.mongodb.com", Kind: "MongoDBCommunity", ReplicasPath: "spec.arbiters"},
	{Group: "mongodbcommunity.mongodb.com", Kind: "MongoDBCommunity", ReplicasPath: "spec.members"},
	// https://github.com/mysql/mysql-operator/blob/trunk/deploy/deploy-crds.yaml
	{Group: "mysql.oracle.com", Kind: "InnoDBCluster", ReplicasPath: "spec.instances"},
	// https://github.com/opensearch-project/opensearch-k8s-operator/tree/main/opensearch-operator/config/crd/bases, under either group
	{Group: "opensearch.opster.io", Kind: "OpenSearchCluster", ReplicasPath: "spec.nodePools[*].replicas"},
	{Group: "opensearch.org", Kind: "OpenSearchCluster", ReplicasPath: "spec.nodePools[*].replicas"},
	// https://github.com/etcd-io/etcd-operator/blob/main/config/crd/bases/operator.etcd.io_etcdclusters.yaml
	{Group: "operator.etcd.io", Kind: "EtcdCluster", ReplicasPath: "spec.size"},
	// https://github.com/VictoriaMetrics/operator/blob/master/api/operator/v1beta1/vmalertmanager_types.go
	{Group: "operator.victoriametrics.com", Kind: "VMAlertmanager", ReplicasPath: "spec.replicaCount"},
	// https://github.com/VictoriaMetrics/operator/blob/master/api/operator/v1beta1/vmcluster_types.go
	{Group: "operator.victoriametrics.com", Kind: "VMCluster", ReplicasPath: "spec.vmselect.replicaCount"},
	{Group: "operator.victoriametrics.com", Kind: "VMCluster", ReplicasPath: "spec.vmstorage.replicaCount"},
	// https://github.com/percona/percona-server-mysql-operator/blob/main/config/crd/bases/ps.percona.com_perconaservermysqls.yaml
	{Group: "ps.percona.com", Kind: "PerconaServerMySQL", ReplicasPath: "spec.mysql.size"},
	{Group: "ps.percona.com", Kind: "PerconaServerMySQL", ReplicasPath: "spec.orchestrator.size"},
	{Group: "ps.percona.com", Kind: "PerconaServerMySQL", ReplicasPath: "spec.proxy.haproxy.size"},
	// https://github.com/percona/percona-xtradb-cluster-operator/blob/main/config/crd/bases/pxc.percona.com_perconaxtradbclusters.yaml
	{Group: "pxc.percona.com", Kind: "PerconaXtraDBCluster", ReplicasPath: "spec.haproxy.size"},
	{Group: "pxc.percona.com", Kind: "PerconaXtraDBCluster", ReplicasPath: "spec.proxysql.size"},
	{Group: "pxc.percona.com", Kind: "PerconaXtraDBCluster", ReplicasPath: "spec.pxc.size"},
	// https://github.com/rabbitmq/cluster-operator/blob/main/config/crd/bases/rabbitmq.com_rabbitmqclusters.yaml
	{Group: "rabbitmq.com", Kind: "RabbitmqCluster", ReplicasPath: "spec.replicas"},
	// https://github.com/OT-CONTAINER-KIT/redis-operator/blob/main/config/crd/bases/redis.redis.opstreelabs.in_redisclusters.yaml, and beside it
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisCluster", ReplicasPath: "spec.clusterSize"},
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisCluster", ReplicasPath: "spec.redisFollower.replicas"},
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisCluster", ReplicasPath: "spec.redisLeader.replicas"},
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisReplication", ReplicasPath: "spec.clusterSize"},
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisReplication", ReplicasPath: "spec.sentinel.size"},
	{Group: "redis.redis.opstreelabs.in", Kind: "RedisSentinel", ReplicasPath: "spec.clusterSize"},
	// https://github.com/pravega/zookeeper-operator/blob/master/config/crd/bases/zookeeper.pravega.io_zookeeperclusters.yaml
	{Group: "zookeeper.pravega.io", Kind: "ZookeeperCluster", ReplicasPath: "spec.replicas"},
}

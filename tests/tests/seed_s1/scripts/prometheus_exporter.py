# prometheus_exporter.py - Export cluster metrics to Prometheus

import time
from cluster_cli import ClusterCLI
from prometheus_client import start_http_server, Gauge

# Create metrics
cluster_nodes = Gauge('jadevectordb_cluster_nodes', 'Total cluster nodes')
cluster_shards = Gauge('jadevectordb_cluster_shards', 'Total shards')

cli = ClusterCLI(host='localhost', port=8080)

def collect_metrics():
    status = cli.cluster_status()
    cluster_nodes.set(status.get('total_nodes', 0))
    cluster_shards.set(status.get('total_shards', 0))

if __name__ == '__main__':
    start_http_server(9091)
    while True:
        collect_metrics()
        time.sleep(15)

import requests
import time

class ClusterManager:
    def __init__(self, base_url="http://127.0.0.1:8080"):
        self.base_url = base_url
    
    def add_node(self, node_id=None, port=None, host="127.0.0.1"):
        """Add a new node to the cluster"""
        data = {"host": host}
        if node_id:
            data["node_id"] = node_id
        if port:
            data["port"] = port
            
        response = requests.post(f"{self.base_url}/cluster/add-node", json=data)
        return response.json()
    
    def remove_node(self, node_address, stop_process=True):
        """Remove a node from the cluster"""
        data = {
            "node_address": node_address,
            "stop_process": stop_process
        }
        response = requests.post(f"{self.base_url}/cluster/remove-node", json=data)
        return response.json()
    
    def get_status(self):
        """Get cluster status"""
        response = requests.get(f"{self.base_url}/cluster/status")
        return response.json()
    
    def list_nodes(self):
        """List all nodes"""
        response = requests.get(f"{self.base_url}/cluster/list-nodes")
        return response.json()

# Usage
manager = ClusterManager()

# Add nodes
result = manager.add_node("db-node-4", 8083)
print(f"Added node: {result}")

# Check status
status = manager.get_status()
print(f"Cluster size: {status['cluster_size']}")

# Remove node
result = manager.remove_node("127.0.0.1:8083")
print(f"Removed node: {result}")

# Verify master node is accessible
curl http://localhost:8080/health

# Get detailed node health
jettra node-health --node-id <node-id>

# Check cluster diagnostics
jettra diagnostics | grep <node-id>

# Check migration status
jettra shard-status --shard-id <shard-id>

# View cluster diagnostics for errors
jettra diagnostics --format json | jq '.errors'

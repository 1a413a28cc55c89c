# Get all node health and shard status for backup verification
jettra diagnostics --format json > cluster-backup-$(date +%Y%m%d).json

# Verify all shards have minimum replica count
jettra shards --format json | jq '[.[] | select(.replicas < 2)]'

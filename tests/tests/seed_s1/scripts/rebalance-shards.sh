#!/bin/bash
# rebalance-shards.sh - Redistribute shards evenly

# Get current shard distribution
jettra shards --format json > current-shards.json

# Identify overloaded nodes and migrate shards
# (Custom logic based on your requirements)

jettra migrate-shard \
  --shard-id shard-05 \
  --from-node overloaded-node \
  --to-node underutilized-node \
  --strategy LIVE_COPY

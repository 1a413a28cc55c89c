#!/bin/bash
# auto-scale.sh - Add nodes based on load

LOAD=$(jettra metrics --format json | jq -r '.cpu_usage')

if (( $(echo "$LOAD > 80" | bc -l) )); then
  echo "High load detected: ${LOAD}%"

  # Add new worker node
  NEW_NODE="node-worker-$(date +%s)"
  jettra add-node \
    --node-id "$NEW_NODE" \
    --address "auto-scaled-node:8080"

  echo "Added new node: $NEW_NODE"
fi

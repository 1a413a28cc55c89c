#!/bin/bash
# health-check.sh - Monitor cluster and alert on issues

while true; do
  STATUS=$(jettra status --format json | jq -r '.status')

  if [ "$STATUS" != "HEALTHY" ]; then
    echo "ALERT: Cluster is $STATUS" | mail -s "Cluster Alert" admin@example.com

    # Get diagnostics
    jettra diagnostics --format json > cluster-diagnostics.json
  fi

  sleep 60
done

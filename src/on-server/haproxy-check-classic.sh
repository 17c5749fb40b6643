#!/bin/sh
# Healthy (0) as long as a process named haproxy exists, failed (1) otherwise.
SERVICE=haproxy
STATUS="$(pidof "$SERVICE" | wc -w)"

if [ "$STATUS" -eq 0 ]
then
    exit 1
else
    exit 0
fi

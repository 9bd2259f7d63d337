#!/bin/sh
# Submit a run, stream its events, download its history. Requires a running server: fitwell serve
URL=${FITWELL_URL:-http://127.0.0.1:8000}
RUN=$(curl -s $URL/v1/runs -H 'Content-Type: application/json' -d '{
  "dataset": {"kind": "digits"},
  "model": {"kind": "mlp", "hidden": [128, 128]},
  "regularizers": [{"kind": "dropout", "p": 0.4}],
  "optimizer": {"kind": "sgd", "lr": 0.1},
  "epochs": 20, "seed": 0}' | sed 's/.*"id":"\(run_[^"]*\)".*/\1/')
curl -sN $URL/v1/runs/$RUN/events -H 'Accept: text/event-stream' | grep '^event'   # live, to the end
curl -s "$URL/v1/runs/$RUN/history?format=csv"
curl -s $URL/v1/runs/$RUN/diagnosis    # fits, underfits, overfits, …, and what to try next

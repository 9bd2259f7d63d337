#!/bin/sh
# Compare three arms over eight paired seeds. Requires a running server: fitwell serve
URL=${FITWELL_URL:-http://127.0.0.1:8000}
STUDY=$(curl -s $URL/v1/studies -H 'Content-Type: application/json' -d '{
  "base": {"dataset": {"kind": "digits", "train_size": 200}, "model": {"kind": "mlp", "hidden": [128, 128]},
           "optimizer": {"kind": "momentum", "lr": 0.05}, "epochs": 60, "batch_size": 20},
  "arms": {"plain": {}, "dropout": {"regularizers_add": [{"kind": "dropout", "p": 0.5}]},
           "l2": {"regularizers_add": [{"kind": "l2", "strength": 0.01}]}},
  "seeds": 8, "at": "last"}' | sed 's/.*"id":"\(study_[^"]*\)".*/\1/')
until curl -s $URL/v1/studies/$STUDY | grep -q '"terminal":true'; do sleep 1; done
curl -s $URL/v1/studies/$STUDY/compare | python3 -m json.tool   # paired differences, p, verdicts
RUN=$(curl -s "$URL/v1/runs?study_id=$STUDY&fields=id&limit=1" | sed 's/.*"id":"\(run_[^"]*\)".*/\1/')
curl -s $URL/v1/runs/$RUN/diagnosis                             # fits, underfits, overfits, …, and what to try next

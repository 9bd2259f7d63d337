"""Submit a run, stream its losses, print its best epoch. Requires a running server: fitwell serve."""

import fitwell

client = fitwell.Client()
run = client.runs.create(
    dataset="digits", model={"kind": "mlp", "hidden": [128, 128]}, optimizer={"kind": "sgd", "lr": 0.1}, epochs=20
)
for event in run.stream():  # reconnects if the connection drops
    if event.type == "epoch":
        print(event.data["epoch"], event.data["metrics"]["train.loss"], event.data["metrics"]["val.loss"])
print(run.refresh().best)

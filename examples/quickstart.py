"""Submit a run, follow it, see its best epoch. Needs a server: fitwell serve."""

import fitwell

client = fitwell.Client()
run = client.runs.create(
    dataset="digits", model={"kind": "mlp", "hidden": [128, 128]}, optimizer={"kind": "sgd", "lr": 0.1}, epochs=20
)
for event in run.stream():  # resumes by itself where a connection is cut
    if event.type == "epoch":
        print(event.data["epoch"], event.data["metrics"]["train.loss"], event.data["metrics"]["val.loss"])
print(run.refresh().best)

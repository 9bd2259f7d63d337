"""A hyperparameter search with pruning: Optuna proposes, Fitwell trains, and pruned trials are cancelled.

pip install 'fitwell' optuna; fitwell serve; python examples/optuna_search.py
"""

import optuna

import fitwell

TRIALS, EPOCHS = 12, 30
client = fitwell.Client()


def objective(trial: optuna.Trial) -> float:
    """Return the lowest validation loss of one run."""
    run = client.runs.create(
        name=f"trial {trial.number}",
        dataset={"kind": "digits", "train_size": 300},
        model={"kind": "mlp", "hidden": [64]},
        optimizer={"kind": "sgd", "lr": trial.suggest_float("lr", 1e-4, 1.0, log=True)},
        regularizers=[{"kind": "dropout", "p": trial.suggest_float("dropout", 0.0, 0.6)}],
        epochs=EPOCHS,
    )
    for event in run.stream():
        loss = (event.data["metrics"] or {}).get("val.loss") if event.type == "epoch" else None
        if loss is not None:
            trial.report(loss, event.data["epoch"])
            if trial.should_prune():
                run.cancel()
                raise optuna.TrialPruned
    run = run.refresh()
    if run.best is None:  # the run diverged
        raise optuna.TrialPruned
    return run.best.value


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=3)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=TRIALS)
    pruned = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    print(f"val.loss {study.best_value:.4f} with {study.best_params}; {len(pruned)} of {TRIALS} trials were pruned")

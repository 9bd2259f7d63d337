"""The metrics of an epoch of training: losses and scores of its batches, and the terms of the objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from worker.engine.evaluation import loss_weights, predictions, weights_of
from worker.engine.evaluator import Evaluator, rows_of
from worker.engine.hooks import EvaluationHooks
from worker.spec.families.hooks import defines
from worker.spec.families.model import CHUNK_ROWS
from worker.spec.families.regularizer import adds_penalty
from worker.spec.sums import ordered_sum, weighted

if TYPE_CHECKING:
    from worker.engine.progress import Progress


def measure(progress: Progress, evaluator: Evaluator) -> list[dict[str, float]]:
    """Return the metrics of each run after the steps of ``progress``."""
    stack = progress.stack
    norm, zeros = weights_of(stack)
    batches = evaluator.batch_metrics(stack, progress.losses())
    columns = {**batches, "weights.norm": norm, "weights.zeros": zeros}
    shared = rows_of(columns, len(stack))
    terms, recovered = penalties(progress), rows_of(evaluator.recovered(stack), len(stack))
    teacher_losses = progress.teacher_losses().tolist()
    measured = []
    for i, member in enumerate(stack.members):
        metrics, parts = shared[i], member.spec.regularizers
        kinds = sorted({part.kind for part in parts if adds_penalty(part)})
        own = {f"penalty.{kind}": terms[kind][i].item() if kind in terms else 0.0 for kind in kinds}
        metrics["train.objective"] = metrics["train.loss"] + sum(own.values())
        metrics |= own
        metrics |= {f"{part.kind}.loss": teacher_losses[i] for part in parts if defines(type(part), "teach")}
        if not any(part.changes_evaluation for part in parts):
            metrics |= recovered[i]
        measured.append({**metrics, "lr": progress.learning_rates.recorded[i]})
    return measured


def penalties(progress: Progress) -> dict[str, Tensor]:
    """Return the penalty of each kind of regularizer for the current weights; (K,) each.

    Penalties of activations or outputs are measured in evaluation mode on the first rows of the training set.
    """
    stack, sums = progress.stack, dict[str, Tensor]()

    def add(kind: str, terms: Tensor) -> None:
        term = ordered_sum(terms)
        sums[kind] = sums[kind] + term if kind in sums else term

    for part, _ in stack.with_hook("penalty"):
        for w, _ in stack.penalized_weights(part):
            add(part.kind, part.penalty(w).flatten(1))
    for part, runs in stack.teaching_parts():
        means = (mean.index_select(0, runs) for mean in (progress.losses()[0], progress.teacher_losses()))
        changed = torch.zeros(len(stack), 1, dtype=torch.float64, device=runs.device)
        add(part.kind, changed.index_copy_(0, runs, part.objective_change(*means).unsqueeze(1)))
    of_activations, of_outputs, of_inputs = (
        stack.with_hook(f"penalty_of_{name}") for name in ("activations", "outputs", "inputs")
    )
    if of_activations or of_outputs or of_inputs:
        rows = progress.data.training(min(CHUNK_ROWS, len(progress.data)))
        split = next(rows.chunks(stack.members, CHUNK_ROWS))

        def look(a: Tensor) -> None:
            for part, _ in of_activations:
                add(part.kind, part.penalty_of_activations(a))

        log_p, y = predictions(stack, split, EvaluationHooks(stack, look)), split.y.expand(len(stack), -1)
        own = split.weights if split.weights is None else split.weights.expand(y.shape)
        weights = loss_weights(y, own, progress.class_weights)
        total = y.shape[1] if weights is None else ordered_sum(weights).unsqueeze(1)
        for part, _ in of_outputs:
            add(part.kind, weighted(part.penalty_of_outputs(log_p, y), weights) / total)
        stack.seek(progress.epoch, 0, y.shape[1])
        for part, draws in of_inputs:
            add(part.kind, part.penalty_of_inputs(stack.network, draws, log_p.shape[2]) / y.shape[1])
    return sums

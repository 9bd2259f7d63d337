"""The keys of a run, computed from its spec: of its result, of its epochs, and of the stacks that it can join."""

from __future__ import annotations

from typing import Any, NamedTuple

from worker.spec.canonical import sha256_of
from worker.spec.run import NATURAL, RunSpec

ENGINE_VERSION = "5"
"""Increased whenever the same spec gives other bits. Runs of other versions are not reused."""


def spec_hash(spec: RunSpec) -> str:
    """Return the hash of the resolved spec and the data's digest, without metadata and device."""
    return sha256_of({"spec": spec.result_fields(), "dataset_digest": spec.dataset.digest()})


def reuse_key(spec: RunSpec) -> str:
    """Return the key of the result: the spec's hash and the engine's version."""
    return _with_engine(spec_hash(spec))


def _with_engine(hashed: str) -> str:
    return sha256_of({"spec_hash": hashed, "engine": ENGINE_VERSION})


def trajectory_key(spec: RunSpec) -> str:
    """Return the key of the sequence of epochs: runs with equal keys have equal epochs as far as both go.

    Excludes the number of epochs, unless epochs depend on it, and stop rules that end after whole epochs.
    """
    fields = spec.result_fields()
    if not spec.depends_on_epochs:
        del fields["epochs"]
    fields["stop"] = [rule.model_dump(mode="json") for rule in spec.stop if rule.step_limit() is not None]
    return sha256_of({"spec": fields, "dataset_digest": spec.dataset.digest(), "engine": ENGINE_VERSION})


def stack_key(spec: RunSpec) -> str:
    """Return the key of the stacks that this run can join: runs with equal keys differ only in per-run values.

    Excludes the seed, PerRun fields, epochs, schedule and stop rules (they are followed run by run, outside the
    step), and regularizers that have a neutral value and no order: a run without one takes the neutral value. The
    split is excluded too, except for rows in order of time, large tables, and models that are not trained.
    """
    splits_alike = spec.model.trains and spec.dataset.splits_stack
    split_seed = 0 if splits_alike else spec.dataset.split_seed  # 0, so that keys are those from before splits mixed
    return sha256_of(
        {
            "engine": ENGINE_VERSION,
            "dataset": {**spec.dataset.structure(), "split_seed": split_seed, "digest": spec.dataset.digest()},
            "model": spec.model.structure(),
            **({} if spec.effective_loss == NATURAL[spec.dataset.task] else {"loss": spec.effective_loss.structure()}),
            "regularizers": [part.structure() for part in spec.regularizers if part.neutral is None or part.ordered],
            "optimizer": None if spec.optimizer is None else spec.optimizer.structure(),
            **_structures(spec, "gradient_clipping", "averaging"),
            "batch_size": spec.batch_size,
            "evaluate": spec.evaluate.model_dump(mode="json"),
            "device": spec.device,
            "precision": spec.precision,
        }
    )


def _structures(spec: RunSpec, *names: str) -> dict[str, Any]:
    """Return the structures of optional parts by name, without those that are unset."""
    parts = {name: getattr(spec, name) for name in names}
    return {name: part.structure() for name, part in parts.items() if part is not None}


class Keys(NamedTuple):
    """All keys of a run."""

    spec_hash: str
    reuse_key: str
    stack_key: str


def keys_of(spec: RunSpec) -> Keys:
    """Return all keys of a run, computing the spec's hash once."""
    hashed = spec_hash(spec)
    return Keys(hashed, _with_engine(hashed), stack_key(spec))

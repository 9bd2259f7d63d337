"""Laws 1 to 3 for networks on sequences, and for every model and layer that the other laws do not list."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from torch import Tensor

from tests.laws import architectures
from tests.laws.strategies import SMALL_MODELS, example, parsed
from tests.laws.test_stack import law_1, laws_1_to_3
from tests.laws.training import reproducible
from worker.spec.families.layer import LayerState
from worker.spec.layers.self_attention import SelfAttentionLayer
from worker.spec.models import KINDS as MODELS
from worker.spec.run import RunSpec

TOKENS = {"kind": "modular_arithmetic", "modulus": 13, "train_size": 70}
IMAGES = {"kind": "digits", "train_size": 70, "validation_size": 30}
NETWORKS = [(TOKENS, architectures.tokens(15, layers)) for layers in architectures.TOKENS] + [
    (IMAGES, {"kind": "sequential", "layers": layers}) for layers in architectures.SEQUENCES
]
UNLISTED = architectures.unlisted() | {
    kind: example(part) for kind, part in MODELS.items() if part.trains and kind not in SMALL_MODELS
}
"""Models around layers, and models with their defaults, by the kind of the layer or model."""


def runs(dataset: dict[str, Any], model: dict[str, Any]) -> list[RunSpec]:
    """Three runs of one stack."""
    common = {"dataset": dataset, "model": model, "batch_size": 64, "epochs": 2}
    return [
        parsed({**common, "seed": seed, "optimizer": {"kind": "adam", "lr": 0.01 * (seed + 1)}}) for seed in range(3)
    ]


@pytest.mark.parametrize(("dataset", "model"), NETWORKS)
def test_network_on_sequences_has_the_same_bits_alone_threaded_and_resumed(
    dataset: dict[str, Any], model: dict[str, Any]
) -> None:
    laws(runs(dataset, model))


@pytest.mark.parametrize("kind", UNLISTED)
def test_run_has_the_same_bits_alone_threaded_and_resumed(kind: str) -> None:
    specs = runs(IMAGES, UNLISTED[kind])
    objections = list(specs[0].objections())
    assert not objections, f"add {kind!r} to SMALL_MODELS and PAIRS, with a dataset that it can learn: {objections}"
    laws(specs)


def laws(specs: list[RunSpec]) -> None:
    """Check laws 1 to 3 for the runs of a stack."""
    assert reproducible(specs[0])
    laws_1_to_3(specs, [1, 2], 1)


def test_attention_that_depends_on_earlier_pieces_breaks_law_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug: rows are shifted by the number of pieces so far."""
    specs, pieces = runs(*NETWORKS[1]), itertools.count()
    forward = SelfAttentionLayer.forward

    def leaking(self: SelfAttentionLayer, x: Tensor, state: LayerState) -> Tensor:
        return forward(self, x + 1e-3 * next(pieces), state)

    monkeypatch.setattr(SelfAttentionLayer, "forward", leaking)
    with pytest.raises(AssertionError):
        law_1(specs, [2])

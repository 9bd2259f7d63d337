"""The body of a stack on a GPU: all rows of all runs together, vectorized over the runs by ``torch.func``.

Reference: Horace He and Richard Zou, 2021, "functorch: JAX-like composable function transforms for PyTorch".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from worker.spec.families.layer import LayerState, RowDraws
from worker.spec.networks.chain import forward

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.networks.network import LayerNetwork


class NotVectorized(Exception):
    """A layer draws random numbers, which differ between the runs."""


class AllRuns:
    """The body on a GPU: all rows of all runs together, vectorized over the runs where only tensors differ.

    Laws 1 and 2 hold on a GPU only where the probe finds so (:mod:`worker.engine.gemm_backend`).
    """

    def __init__(self, network: LayerNetwork) -> None:
        self._network = network
        self.vectorized = network.runs_alike
        self._features: Tensor | None = None
        self._parameters: list[Tensor] = []

    def forward(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the features (K, N, features) of rows ``x`` (K, N, D)."""
        import torch

        with torch.set_grad_enabled(training):
            parameters = {name: tensor.detach() for name, tensor in self._network.parameters().items()}
            if training:
                parameters = {name: tensor.requires_grad_() for name, tensor in parameters.items()}
            self._parameters = list(parameters.values())
            self._features = self._computed(parameters, x, training=training)
        return self._features.detach()

    def _computed(self, parameters: Mapping[str, Tensor], x: Tensor, *, training: bool) -> Tensor:
        """Return the features; in training, change the buffers."""
        if self.vectorized:
            try:
                return self._all_at_once(parameters, x, training=training)
            except NotVectorized:
                self.vectorized = False
        return self._one_by_one(parameters, x, training=training)

    def _all_at_once(self, parameters: Mapping[str, Tensor], x: Tensor, *, training: bool) -> Tensor:
        import torch

        def of_run(own: Mapping[str, Tensor], rows: Tensor) -> Tensor:
            return self._of_run(0, own, rows, _refuse, training=training)

        buffers = self._network.buffers()
        changed = {name: tensor.clone() for name, tensor in buffers.items()}  # vmap writes to contiguous tensors only
        features: Tensor = torch.func.vmap(of_run)({**parameters, **changed}, x)
        for name, tensor in buffers.items():
            tensor.copy_(changed[name])
        return features

    def _one_by_one(self, parameters: Mapping[str, Tensor], x: Tensor, *, training: bool) -> Tensor:
        import torch

        tensors, runs = {**parameters, **self._network.buffers()}, []
        for k, rows in enumerate(x):
            own = {name: tensor[k] for name, tensor in tensors.items()}
            draws = partial(self._network.draws_of, k, first=0, rows=len(rows))
            runs.append(self._of_run(k, own, rows, draws, training=training))
        return torch.stack(runs)

    def _of_run(
        self, k: int, own: Mapping[str, Tensor], rows: Tensor, draws: Callable[[str], RowDraws], *, training: bool
    ) -> Tensor:
        state = LayerState(own, draws, training=training)
        return forward(self._network.layers_of(k), self._network.rows_of(rows), state).flatten(1)

    def backward(self, g: Tensor) -> None:
        """Write the gradients, given that of the features, (K, N, features)."""
        import torch

        assert self._features is not None
        gradients = torch.autograd.grad(self._features, self._parameters, g)
        for target, gradient in zip(self._network.gradients(), gradients, strict=True):
            target.copy_(gradient)
        self._features = None


def _refuse(prefix: str) -> RowDraws:
    raise NotVectorized(prefix)

"""A stack: K runs whose parameters, optimizer state and batches carry a leading dimension K. One run is K = 1.

All parameters of a run lie in one row of a matrix (K, P), padded so that every parameter begins on a 256-byte border:
an optimizer updates the whole matrix at once, and strides and alignment are the same at every K.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from worker.engine.moves import Moves, Operation
from worker.engine.streams import StackDraws, stream_key, uniform
from worker.spec.canonical import sha256_of
from worker.spec.families import Optimizer, Regularizer, defines
from worker.spec.part import Part, Stacked
from worker.spec.run import RunSpec

BORDER = 64
"""Parameters begin at multiples of so many floats."""


@dataclass(frozen=True)
class Member:
    """One run of a stack."""

    run_id: str
    spec: RunSpec


class Layout:
    """Where each parameter lies in a run's row of the matrix (K, P)."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = dict(shapes)
        self.offsets: dict[str, int] = {}
        self.width = 0
        for name, shape in self.shapes.items():
            self.offsets[name] = self.width
            self.width += -(-math.prod(shape) // BORDER) * BORDER

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Each parameter's view, (K, *shape), into ``rows`` (K, P)."""
        return {
            name: rows[:, self.offsets[name] : self.offsets[name] + math.prod(shape)].view(-1, *shape)
            for name, shape in self.shapes.items()
        }


class Stack:
    """K runs on one device, with everything that differs between them as tensors over K."""

    def __init__(
        self,
        members: Sequence[Member],
        device: torch.device,
        *,
        weights: Tensor | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        """The runs as they begin, or as ``weights`` and the optimizer's ``state``, all (K, P), have them."""
        self.members = list(members)
        self.device = device
        self.layout, self.weights, self.state = Layout({}), torch.empty((0, 0)), dict[str, Tensor]()
        if not self.members:
            self.regularizers: list[Operation] = []
            return
        spec = members[0].spec
        self.layout = Layout(spec.model.parameters(spec.dataset.shape, len(spec.dataset.classes)))
        self.weights = self._initial() if weights is None else weights
        self.state = (
            dict(state) if state is not None else {n: torch.zeros_like(self.weights) for n in spec.optimizer.state}
        )
        self._bind()

    def __len__(self) -> int:
        return len(self.members)

    def _initial(self) -> Tensor:
        """Weights and biases uniform in ±1/√fan_in, each run's from its own stream; the padding is zero."""
        weights = torch.zeros((len(self), self.layout.width), device=self.device)
        views = self.layout.views(weights)
        fan_in = 1
        for name, shape in self.layout.shapes.items():
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else fan_in  # a bias has its weight's
            keys = torch.tensor([stream_key(m.spec.seed, "init", name) for m in self.members], device=self.device)
            drawn = uniform(keys, 0, math.prod(shape))
            views[name].copy_(drawn.mul_(2).sub_(1).mul_(fan_in**-0.5).view(-1, *shape))
        return weights

    def _bind(self) -> None:
        """Make what depends on who is in the stack: views, gathered parts, draws."""
        spec = self.members[0].spec
        self.parameters = self.layout.views(self.weights)
        self.gradient = torch.zeros_like(self.weights)
        self.gradients = self.layout.views(self.gradient)
        self.network = spec.model.network(
            self._stacked([m.spec.model for m in self.members]), self.parameters, self.gradients
        )
        self.optimizer: Stacked[Optimizer] = self._stacked([m.spec.optimizer for m in self.members])
        self.regularizers = self._regularizers()
        moving = [(part, draws) for part, draws in self.regularizers if defines(part.maths, "moves")]
        self.moves = Moves(moving, spec.dataset.shape, self.device) if moving else None
        matrices = [name for name, shape in self.layout.shapes.items() if len(shape) > 1]
        self.matrices = [(self.parameters[name], self.gradients[name]) for name in matrices]

    def _stacked(self, parts: Sequence[Any]) -> Stacked[Any]:
        return Stacked(parts, device=self.device, dtype=torch.float32)

    def _regularizers(self) -> list[Operation]:
        """Every regularizer that any run has, gathered over all; a run without one takes its neutral values.

        Ordered ones keep the list's order; the others follow sorted, so that a sum of penalties is the same sum
        whoever shares the stack.
        """
        owned = [_slots(member.spec.regularizers) for member in self.members]
        slots: dict[Slot, Regularizer] = {}
        for own in owned:
            slots = {**own, **slots}
        listed = [slot for slot, part in slots.items() if part.ordered]
        unordered = sorted(slot for slot, part in slots.items() if not part.ordered)
        return [
            self._gathered(slot, [own.get(slot, _neutral(slots[slot])) for own in owned]) for slot in listed + unordered
        ]

    def _gathered(self, slot: Slot, parts: Sequence[Part | None]) -> Operation:
        """One regularizer over all runs, with its draws."""
        kind, occurrence, _ = slot
        assert all(part is not None for part in parts), f"{kind} has no neutral value with which to share a stack"
        seeds = [member.spec.seed for member in self.members]
        draws = StackDraws(seeds, f"regularizer/{kind}/{occurrence}", self.device, torch.float32)
        return self._stacked(parts), draws

    def having(self, hook: str) -> list[Operation]:
        """The regularizers that bring this hook."""
        return [(part, draws) for part, draws in self.regularizers if defines(part.maths, hook)]

    def seek(self, epoch: int, first: int, rows: int) -> None:
        """Point every draw at the batch of ``rows`` rows that begins at position ``first`` of ``epoch``."""
        for _, draws in self.regularizers:
            draws.seek(epoch, first, rows)

    def take(self, positions: Sequence[int]) -> Stack:
        """A stack of its own with the runs at ``positions``, as they are now; the whole stack is itself."""
        if list(positions) == list(range(len(self))):
            return self
        index = torch.tensor(list(positions), dtype=torch.int64, device=self.device)
        return Stack(
            [self.members[i] for i in positions],
            self.device,
            weights=self.weights.index_select(0, index),
            state={name: tensor.index_select(0, index) for name, tensor in self.state.items()},
        )

    def restore(self, position: int, tensors: Mapping[str, Tensor]) -> None:
        """Put one run into the state that ``tensors`` gave of it."""
        for name, view in self.tensors(position).items():
            view.copy_(tensors[name])

    def tensors(self, position: int) -> dict[str, Tensor]:
        """One run's parameters and optimizer state by name, views without the leading dimension."""
        named = {name: view[position] for name, view in self.parameters.items()}
        for state, rows in self.state.items():
            views = self.layout.views(rows)
            named |= {f"optimizer.{state}.{name}": view[position] for name, view in views.items()}
        return named


Slot = tuple[str, int, str]
"""Which regularizers of different runs are one part of the stack: kind, how many of the kind came before, structure."""


def _slots(parts: Sequence[Regularizer]) -> dict[Slot, Regularizer]:
    slots: dict[Slot, Regularizer] = {}
    seen: dict[str, int] = {}
    for part in parts:
        structure = part.structure()
        kind = structure["kind"]
        slots[(kind, seen.get(kind, 0), sha256_of(structure))] = part
        seen[kind] = seen.get(kind, 0) + 1
    return slots


def _neutral(part: Part) -> Part | None:
    assert isinstance(part, Regularizer)
    return part.model_copy(update=dict(part.neutral)) if part.neutral is not None else None

"""A stack: K runs whose parameters, optimizer state and batches carry a leading dimension K. One run is K = 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from worker.engine.averages import Averages
from worker.engine.checkpoints import AVERAGING
from worker.engine.images import Images, Operation
from worker.engine.layout import Layout
from worker.engine.rng import StackRng, row_draws, uniform
from worker.spec.canonical import sha256_of
from worker.spec.families.hooks import defines
from worker.spec.families.loss import Loss
from worker.spec.families.model import InstanceBased, Model, ParameterViews
from worker.spec.families.optimizer import Optimizer
from worker.spec.families.regularizer import Regularizer
from worker.spec.gradient_clipping import GradientClipping
from worker.spec.part import Stacked
from worker.spec.rng import stream_key
from worker.spec.run import RunSpec


@dataclass(frozen=True)
class Member:
    """One run of a stack."""

    run_id: str
    spec: RunSpec


class StackValues(NamedTuple):
    """The tensors of a stack by name, each (K, *shape)."""

    parameters: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    state: Mapping[str, Mapping[str, Tensor]]
    """State of the optimizer: by the names in ``Optimizer.state``, then by parameter."""
    averages: Mapping[str, Tensor] | None
    """Averaged parameters and buffers; None if weights are not averaged."""


class UpdatedBlock(NamedTuple):
    """A block of parameters and what an optimizer's step on it needs; every tensor is (K, width)."""

    w: Tensor
    g: Tensor
    state: Mapping[str, Tensor]
    matrices: Callable[[Tensor], Sequence[Tensor]]


class Stack:
    """K runs on one device, with everything that differs between them as tensors over K."""

    def __init__(
        self,
        members: Sequence[Member],
        device: torch.device,
        *,
        values: StackValues | None = None,
    ) -> None:
        """The runs as they begin, or with ``values``."""
        self.members = list(members)
        self.device = device
        self.layout, self.buffer_layout = Layout({}, 0), Layout({}, 0)
        self.weights, self.buffers, self.state = torch.empty(0), torch.empty(0), dict[str, Tensor]()
        self.regularizers: list[Operation] = []
        self.images: Images | None = None
        self.averages: Averages | None = None
        self.clipping: Stacked[GradientClipping] | None = None
        self._slots: dict[Slot, list[Regularizer | None]] = {}
        self._operations: dict[Slot, Operation] = {}
        self._epoch = 0
        if not self.members:
            return
        spec = members[0].spec
        model = spec.effective_model
        shapes = model.parameters(spec.dataset.shape, spec.dataset.outputs)
        self.layout = Layout(shapes, len(self), joint=spec.optimizer is not None and spec.optimizer.couples)
        self.buffer_layout = Layout(model.buffers(spec.dataset.shape), len(self))
        if values is None:
            self.weights, self.buffers = self._initial(self.layout), self._initial(self.buffer_layout)
            names = spec.optimizer.state_names if spec.optimizer is not None else ()
            self.state = {name: torch.zeros_like(self.weights) for name in names}
        else:
            self.weights = self.layout.filled(values.parameters, device)
            self.buffers = self.buffer_layout.filled(values.buffers, device)
            self.state = {name: self.layout.filled(views, device) for name, views in values.state.items()}
        self._bind()
        if spec.averaging is not None:
            part = self._stacked([member.spec.averaging for member in self.members])
            self.averages = Averages(self, part, None if values is None else values.averages)

    def __len__(self) -> int:
        return len(self.members)

    def _initial(self, layout: Layout) -> Tensor:
        """Everything in ``layout`` as the model says it begins, each run's from its own stream; the padding is zero."""
        buffer = layout.zeros(self.device)
        views, fan_in = layout.views(buffer), 1
        models: dict[Model, int] = {}  # different ones, often one
        places = [models.setdefault(member.spec.effective_model, len(models)) for member in self.members]
        for name, shape in layout.shapes.items():
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else fan_in  # a bias has its weight's
            inits = [model.initialization(name, shape, fan_in) for model in models]
            init = inits[0]
            if init.distribution == "constant":
                views[name].fill_(init.scale)
                continue
            keys = torch.tensor([stream_key(m.spec.seed, "init", name) for m in self.members], device=self.device)
            drawn = uniform(keys, 0, math.prod(shape))
            if init.distribution == "uniform":
                drawn.mul_(2).sub_(1)
            else:
                drawn = torch.special.ndtri(drawn.double() + 2.0**-25).to(drawn.dtype)
            scales = torch.tensor([[inits[place].scale] for place in places], dtype=drawn.dtype, device=self.device)
            views[name].copy_(drawn.mul_(scales).view(-1, *shape))
        return buffer

    def _bind(self) -> None:
        """Make what depends on who is in the stack: views, gathered parts, draws."""
        spec = self.members[0].spec
        self.parameters = self.layout.views(self.weights)
        self.gradient = torch.zeros_like(self.weights)
        self.gradients = self.layout.views(self.gradient)
        self.blocks = self._blocks()
        material = ParameterViews(
            self.parameters,
            self.gradients,
            self.buffer_layout.views(self.buffers),
            spec.dataset.shape,
            spec.precision,
            spec.dataset.outputs,
            row_draws([member.spec.seed for member in self.members], self.device),
        )
        model = self._stacked([member.spec.effective_model for member in self.members])
        self.network = model.implementation.network(model, material)
        self.loss: Stacked[Loss] = self._stacked([m.spec.effective_loss for m in self.members])
        if spec.model.trains:
            self.optimizer: Stacked[Optimizer] = self._stacked([m.spec.required_optimizer for m in self.members])
        if spec.gradient_clipping is not None:
            self.clipping = self._stacked([m.spec.gradient_clipping for m in self.members])
        self._slots = self._gathered()
        self.enter(1)
        self.matrices = list(zip(self.layout.matrices(self.weights), self.layout.matrices(self.gradient), strict=True))
        vectors = [name for name, shape in self.layout.shapes.items() if len(shape) == 1]
        self.vectors = [(self.parameters[n].unsqueeze(2), self.gradients[n].unsqueeze(2)) for n in vectors]

    def _blocks(self) -> list[UpdatedBlock]:
        weights, gradients = self.layout.split(self.weights), self.layout.split(self.gradient)
        states = {name: self.layout.split(buffer) for name, buffer in self.state.items()}
        return [
            UpdatedBlock(w, g, {name: parts[i] for name, parts in states.items()}, block.matrices)
            for i, (block, w, g) in enumerate(zip(self.layout.blocks, weights, gradients, strict=True))
        ]

    def penalized_weights(self, part: Stacked[Any]) -> list[tuple[Tensor, Tensor]]:
        """Return weights and gradients of a penalty: (K, out, in), and biases (K, out, 1) if it penalizes them."""
        return self.matrices + self.vectors if getattr(part.parts[0], "biases", False) else self.matrices

    def _stacked(self, parts: Sequence[Any]) -> Stacked[Any]:
        return Stacked(parts, device=self.device, dtype=torch.float32)

    def _gathered(self) -> dict[Slot, list[Regularizer | None]]:
        """Every regularizer that any run has, over all runs; a run without one takes its neutral values.

        Ordered ones keep the list's order; the others follow sorted, so that a sum of penalties is the same sum
        whichever runs share the stack.
        """
        owned = [_slots(member.spec.regularizers) for member in self.members]
        slots: dict[Slot, Regularizer] = {}
        for own in owned:
            slots = {**own, **slots}
        listed = [slot for slot, part in slots.items() if part.ordered]
        unordered = sorted(slot for slot, part in slots.items() if not part.ordered)
        return {slot: [own.get(slot, _neutral(slots[slot])) for own in owned] for slot in listed + unordered}

    def enter(self, epoch: int) -> None:
        """Bind the regularizers of ``epoch``, without those that are inactive in all runs."""
        if epoch == self._epoch or not self.members:
            return
        self._epoch = epoch
        before = [part for part, _ in self.regularizers if _changes_images(part)]
        self.regularizers = []
        for slot, parts in self._slots.items():
            kind, occurrence, _ = slot
            assert all(part is not None for part in parts), f"{kind} has no neutral value with which to share a stack"
            present = [part for part in parts if part is not None]
            if not any(part.is_active(epoch) for part in present):
                continue
            now = [part.in_epoch(epoch) if part.is_active(epoch) else _neutral(part) for part in present]
            known = self._operations.get(slot)
            if known is None or list(known[0].parts) != now:
                seeds = [member.spec.seed for member in self.members]
                rng = StackRng(seeds, f"regularizer/{kind}/{occurrence}", self.device, torch.float32)
                known = self._operations[slot] = self._stacked(now), rng
            self.regularizers.append(known)
        changing = [(part, rng) for part, rng in self.regularizers if _changes_images(part)]
        if [part for part, _ in changing] != before:
            shape = self.members[0].spec.dataset.shape
            self.images = Images(changing, shape, self.device) if changing else None

    def with_hook(self, hook: str) -> list[Operation]:
        """The regularizers that bring this hook."""
        return [(part, rng) for part, rng in self.regularizers if defines(part.implementation, hook)]

    def teaching_parts(self) -> list[tuple[Stacked[Any], Tensor]]:
        """The parts that teach, each over the runs that it does teach, and those runs' places."""
        teaching = []
        for part, _ in self.with_hook("teach"):
            runs = [i for i, one in enumerate(part.parts) if not one.is_neutral]
            if runs:
                teaching.append((self._stacked([part.parts[i] for i in runs]), torch.tensor(runs, device=self.device)))
        return teaching

    def seek(self, epoch: int, first: int, rows: int) -> None:
        """Point every draw at the batch of ``rows`` rows that begins at position ``first`` of ``epoch``."""
        self.enter(epoch)
        self.network.seek(epoch, first)
        for _, rng in self.regularizers:
            rng.seek(epoch, first, rows)

    def advance(self) -> None:
        """Advance to the next epoch of a model that is not trained."""
        model = self.members[0].spec.model
        assert isinstance(model, InstanceBased)
        model.advance(self.buffer_layout.views(self.buffers))

    def take(self, positions: Sequence[int]) -> Stack:
        """A stack of its own with the runs at ``positions``, as they are now; the whole stack is itself."""
        if list(positions) == list(range(len(self))):
            return self
        index = torch.tensor(list(positions), dtype=torch.int64, device=self.device)

        def selected(views: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: view.index_select(0, index) for name, view in views.items()}

        values = StackValues(
            selected(self.parameters),
            selected(self.buffer_layout.views(self.buffers)),
            {name: selected(self.layout.views(buffer)) for name, buffer in self.state.items()},
            None if self.averages is None else selected(self.averages.views),
        )
        return Stack([self.members[i] for i in positions], self.device, values=values)

    def restore(self, position: int, tensors: Mapping[str, Tensor]) -> None:
        """Put one run into the state that ``tensors`` gave of it."""
        for name, view in self.tensors(position).items():
            view.copy_(tensors[name])

    def tensors(self, position: int) -> dict[str, Tensor]:
        """One run's parameters, optimizer state and averages by name, views without the leading dimension."""
        named = {name: view[position] for name, view in self.parameters.items()}
        named |= {name: view[position] for name, view in self.buffer_layout.views(self.buffers).items()}
        for state, buffer in self.state.items():
            views = self.layout.views(buffer)
            named |= {f"optimizer.{state}.{name}": view[position] for name, view in views.items()}
        if self.averages is not None:
            named |= {f"{AVERAGING}{name}": view[position] for name, view in self.averages.views.items()}
        return named


Slot = tuple[str, int, str]
"""Which regularizers of different runs are one part of the stack: kind, how many of the kind came before, structure."""


def _slots(parts: Sequence[Regularizer]) -> dict[Slot, Regularizer]:
    slots: dict[Slot, Regularizer] = {}
    positions: dict[str, int] = {}
    for part in parts:
        structure = part.structure()
        kind = structure["kind"]
        slots[(kind, positions.get(kind, 0), sha256_of(structure))] = part
        positions[kind] = positions.get(kind, 0) + 1
    return slots


def _changes_images(part: Stacked[Any]) -> bool:
    return defines(part.implementation, "pixel_maps") or defines(part.implementation, "image")


def _neutral(part: Regularizer) -> Regularizer | None:
    """The part with its neutral values; None where it has none."""
    return part.model_copy(update=dict(part.neutral)) if part.neutral is not None else None

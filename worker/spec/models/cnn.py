"""Convolutional network: blocks of convolution, normalisation, pooling and a nonlinearity, then dense layers.

    hᵢ₊₁ = φ(pool(norm(Kᵢ ∗ hᵢ + bᵢ)));    logits = dense layers of the flattened last h

Convolutions keep the picture's size (zero padding), pooling halves it. Max-pooling comes before a nonlinearity that
rises everywhere, which changes nothing and saves three quarters of its work. Regularizers of hidden units work on the
dense hidden layers. Each run's convolutions are its own calls, since grouped ones are slower on a CPU, and a batch
goes through them in pieces of ``PIECE_ROWS`` rows, each on one thread, since convolutions change their bits with the
number of threads (batch normalisation needs the whole batch). The dense layers of all runs are one batched product.

Reference: LeCun, Bottou, Bengio and Haffner, 1998, "Gradient-based learning applied to document recognition"; Ioffe and
Szegedy, 2015, "Batch normalization"; Ba, Kiros and Hinton, 2016, "Layer normalization".
"""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.dense import (
    Activation,
    DenseNetwork,
    Init,
    dense_parameters,
    initialization_for,
    onnx_activated,
    onnx_dense,
)
from worker.spec.families.model import Hidden, Initialization, Model, Network, ParameterViews
from worker.spec.part import Objection, Stacked
from worker.spec.threads import each_on_one_thread

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.graph import Graph, HiddenValue, Value
    from worker.spec.run import RunSpec

Channels = Annotated[int, Field(ge=1, le=4096)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]
PIECE_ROWS = 32
"""Rows of a batch that go through the convolutions together. Another number gives other bits."""
MOMENTUM, EPS = 0.1, 1e-5
"""Of the running means of batch normalisation, and what keeps both norms' divisions finite; as in torch."""


class CNN(Model):
    """Convolutional blocks, one for each number in ``channels``, then dense layers."""

    equation: ClassVar[str] = "hᵢ₊₁ = φ(pool(norm(Kᵢ ∗ hᵢ + bᵢ)));  logits = dense(flatten(h))"
    reference: ClassVar[str] = "LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to documents"

    in_pieces: ClassVar[bool] = True

    kind: Literal["cnn"] = "cnn"
    channels: tuple[Channels, ...] = Field(
        default=(16, 32), min_length=1, max_length=8, description="Channels of each convolution, from the input on."
    )
    kernel_size: Literal[1, 3, 5, 7] = Field(default=3, description="Height and width of the kernels.")
    pooling: Literal["max", "average", "none"] = Field(default="max", description="What halves the picture in a block.")
    norm: Literal["none", "batch", "layer"] = Field(default="none", description="Normalisation after a convolution.")
    hidden: tuple[Width, ...] = Field(default=(), max_length=8, description="Widths of dense hidden layers.")
    activation: Activation = Field(default="relu", description="φ, of the hidden layers.")
    init: Init = Field(default="torch", description="How weights begin.")

    @property
    def hidden_layers(self) -> int:
        """The dense ones."""
        return len(self.hidden)

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse rows that are no images, and more pooling than the image has pixels."""
        shape = run.dataset.shape
        if len(shape) < 2:
            message = f"'cnn' works on images, but a row of {run.dataset.kind!r} has shape {list(shape)}; use 'mlp'."
            return [Objection(field=None, message=message)]
        if min(self._size(shape)) < 1:
            most = int(math.log2(min(shape[-2:])))
            message = f"An image of {shape[-2]}×{shape[-1]} can be halved {most} times; list at most {most} channels."
            return [Objection(field="channels", message=message)]
        return []

    def _size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width after the last block."""
        halvings = 0 if self.pooling == "none" else len(self.channels)
        return shape[-2] >> halvings, shape[-1] >> halvings

    def parameters(self, shape: tuple[int, ...], outputs: int) -> dict[str, tuple[int, ...]]:
        """A kernel and a bias for each block, a weight and a bias for its norm, then the dense layers."""
        shapes: dict[str, tuple[int, ...]] = {}
        planes = shape[0] if len(shape) == 3 else 1
        for i, (inside, out) in enumerate(itertools.pairwise((planes, *self.channels))):
            shapes[f"blocks.{i}.conv.weight"] = (out, inside, self.kernel_size, self.kernel_size)
            shapes[f"blocks.{i}.conv.bias"] = (out,)
            if self.norm != "none":
                shapes[f"blocks.{i}.norm.weight"] = (out,)
                shapes[f"blocks.{i}.norm.bias"] = (out,)
        features = self.channels[-1] * math.prod(self._size(shape)) if len(shape) >= 2 else 1
        return shapes | dense_parameters(features, self.hidden, outputs)

    def buffers(self, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Running mean and variance of each channel, with batch normalisation."""
        if self.norm != "batch":
            return {}
        names = ("running_mean", "running_var")
        return {f"blocks.{i}.norm.{name}": (out,) for i, out in enumerate(self.channels) for name in names}

    def initialization(self, name: str, shape: tuple[int, ...], fan_in: int) -> Initialization:
        """Norms begin as the identity, all else as ``init`` says."""
        if ".norm." in name:
            return Initialization("constant", 1.0 if name.endswith(("weight", "var")) else 0.0)
        return initialization_for(self.init, shape, fan_in)

    def flops(self, shape: tuple[int, ...], outputs: int) -> int:
        """Two for each weight, times the pixels at which a kernel is applied."""
        total = 0
        for name, size in self.parameters(shape, outputs).items():
            block = int(name.split(".")[1]) if name.startswith("blocks.") else None
            halvings = 0 if self.pooling == "none" or block is None else block
            pixels = 1 if block is None else (shape[-2] >> halvings) * (shape[-1] >> halvings)
            total += 2 * math.prod(size) * pixels
        return total

    def onnx(self, graph: Graph, x: Value, shape: tuple[int, ...], hidden: HiddenValue) -> Value:
        """The blocks, pooling before the nonlinearity where the network does, and the dense layers."""
        planes = shape[0] if len(shape) == 3 else 1
        h = graph.node("Reshape", x, graph.sizes([-1, planes, *shape[-2:]]))
        halved: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [2, 2]}
        for i in range(len(self.channels)):
            kernels, biases = graph.weight(f"blocks.{i}.conv.weight"), graph.weight(f"blocks.{i}.conv.bias")
            h = graph.node("Conv", h, kernels, biases, pads=[self.kernel_size // 2] * 4)
            h = self._onnx_norm(graph, h, i)
            if self.pooling == "max":
                h = graph.node("MaxPool", h, **halved)
            h = onnx_activated(graph, h, self.activation)
            if self.pooling == "average":
                h = graph.node("AveragePool", h, **halved)
        return onnx_dense(graph, graph.node("Flatten", h, axis=1), len(self.hidden) + 1, hidden, self.activation)

    def _onnx_norm(self, graph: Graph, h: Value, block: int) -> Value:
        """The norm behind a convolution; ``h`` (rows, C, H, W)."""
        if self.norm == "none":
            return h
        weight, bias = (graph.weight(f"blocks.{block}.norm.{name}") for name in ("weight", "bias"))
        if self.norm == "batch":
            mean, var = (graph.weight(f"blocks.{block}.norm.running_{name}") for name in ("mean", "var"))
            return graph.node("BatchNormalization", h, weight, bias, mean, var, epsilon=EPS)
        # All channels together are one channel of an instance: the operator for this came in a later opset.
        flat = graph.node("Reshape", h, graph.sizes([0, 1, -1]))
        flat = graph.node("InstanceNormalization", flat, graph.numbers([1.0]), graph.numbers([0.0]), epsilon=EPS)
        each = graph.sizes([-1, 1, 1])
        scaled = graph.node(
            "Mul", graph.node("Reshape", flat, graph.node("Shape", h)), graph.node("Reshape", weight, each)
        )
        return graph.node("Add", scaled, graph.node("Reshape", bias, each))

    @staticmethod
    def network(part: Stacked[CNN], material: ParameterViews) -> Network:
        """Convolutions run by run, dense layers stacked."""
        return ConvolutionalNetwork(part.parts[0], material)


class ConvolutionalNetwork:
    """The network of one stack; autograd differentiates the convolutional part, in pieces of one run's rows."""

    def __init__(self, model: CNN, material: ParameterViews) -> None:
        self.model = model
        self.material = material
        self.head = DenseNetwork(material, model.activation)
        self.planes = (material.shape[0] if len(material.shape) == 3 else 1, *material.shape[-2:])
        self.trainable = [name for name in material.parameters if name.startswith("blocks.")]
        self._pieces: list[list[Piece]] = []

    def forward(self, x: Tensor, hidden: Hidden) -> Tensor:
        """Logits (K, N, classes)."""
        import torch

        whole = self.model.norm == "batch" or x.device.type != "cpu"
        size = x.shape[1] if whole else PIECE_ROWS
        self._pieces = [[Piece(self, k, rows) for rows in torch.split(of_run, size)] for k, of_run in enumerate(x)]
        features = each_on_one_thread(
            [partial(piece.forward, training=hidden.training) for pieces in self._pieces for piece in pieces]
        )
        return self.head.forward(torch.cat(features).view(len(x), x.shape[1], -1), hidden)

    def backward(self, g: Tensor) -> None:
        """Gradients of the last ``forward`` in training mode."""
        import torch

        inner = self.head.backward_to_inputs(g)
        calls = [
            partial(piece.backward, rows)
            for k, pieces in enumerate(self._pieces)
            for piece, rows in zip(pieces, torch.split(inner[k], len(pieces[0].rows)), strict=True)
        ]
        results = iter(each_on_one_thread(calls))
        for k, pieces in enumerate(self._pieces):
            for number in range(len(pieces)):
                for name, gradient in zip(self.trainable, next(results), strict=True):
                    target = self.material.gradients[name][k]
                    target.add_(gradient) if number else target.copy_(gradient)
        self._pieces = []


class Piece:
    """Some rows of one run on their way through the convolutional blocks."""

    def __init__(self, network: ConvolutionalNetwork, k: int, rows: Tensor) -> None:
        self.network = network
        self.k = k
        self.rows = rows
        self._own: dict[str, Tensor] = {}
        self._features: Tensor | None = None

    def forward(self, *, training: bool) -> Tensor:
        """The flattened result of the last block, (N, features)."""
        import torch

        parameters = self.network.material.parameters
        with torch.set_grad_enabled(training):
            self._own = {name: parameters[name][self.k].detach() for name in self.network.trainable}
            if training:
                self._own = {name: tensor.requires_grad_() for name, tensor in self._own.items()}
            self._features = self._through_blocks(training=training)
        return self._features.detach()

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        """The gradient of every trainable parameter by these rows, from that of the features."""
        import torch

        assert self._features is not None
        return torch.autograd.grad(self._features, list(self._own.values()), g)

    def _through_blocks(self, *, training: bool) -> Tensor:
        import torch
        from torch.nn import functional as F  # noqa: N812 - its usual name

        own, model = self._own, self.network.model
        h = channels_last(self.rows.view(-1, *self.network.planes))
        for i in range(len(model.channels)):
            h = F.conv2d(
                h, own[f"blocks.{i}.conv.weight"], own[f"blocks.{i}.conv.bias"], padding=model.kernel_size // 2
            )
            if model.norm == "layer":
                h = F.group_norm(h, 1, own[f"blocks.{i}.norm.weight"], own[f"blocks.{i}.norm.bias"], EPS)
            elif model.norm == "batch":
                buffers = self.network.material.buffers
                mean, var = (buffers[f"blocks.{i}.norm.running_{name}"][self.k] for name in ("mean", "var"))
                weight, bias = own[f"blocks.{i}.norm.weight"], own[f"blocks.{i}.norm.bias"]
                h = F.batch_norm(h, mean, var, weight, bias, training, MOMENTUM, EPS)
            if model.pooling == "max":
                h = F.max_pool2d(h, 2)
            h = getattr(torch, f"{model.activation}_")(h)  # in place: nothing before it needs its input
            if model.pooling == "average":
                h = F.avg_pool2d(h, 2)
        return h.flatten(1)


def channels_last(images: Tensor) -> Tensor:
    """``images`` (N, C, H, W) with a pixel's channels side by side, also in the strides.

    Of one channel torch believes the strides alone, and pools channels-first six times as slowly: hence the copy, where
    ``contiguous`` would find nothing to do.
    """
    import torch

    return images.permute(0, 2, 3, 1).clone(memory_format=torch.contiguous_format).permute(0, 3, 1, 2)

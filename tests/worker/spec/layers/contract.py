"""The contract of a layer, one function for each rule. An :class:`Example` is a layer and a shape that it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.testing import assert_close

from worker.engine.rng import row_draws
from worker.spec.families.layer import DoesNotFit, Layer, LayerState, Names, RowDraws, Shape, sizes
from worker.spec.graph import IR_VERSION, OPSET, Graph, Value
from worker.spec.layers import KINDS
from worker.spec.networks.network import PIECE_ROWS
from worker.spec.networks.pieces import Batch, Piece
from worker.spec.part import kind_of
from worker.spec.torch_source import definitions_of

Tensors = dict[str, Tensor]
OTHER_SHAPES: tuple[Shape, ...] = ((1,), (4,), (7,), (1, 1), (4, 6), (3, 5), (1, 1, 1), (4, 6, 6), (3, 7, 5))
"""Shapes of every rank that a row can have."""
LARGE = 4
"""One row of so many is that many times as large."""
COUNTED = "num_batches_tracked"
"""A buffer of torch's batch normalization that changes no result where a momentum is set."""


class Example(NamedTuple):
    """A layer and a shape of rows that it takes."""

    layer: Layer
    shape: Shape

    def rows(self, count: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
        """Return random rows (count, *shape)."""
        generator = torch.Generator().manual_seed(seed)
        values = self.layer.example_values
        if values:
            return torch.randint(values, (count, *self.shape), generator=generator).to(dtype)
        rows = torch.randn(count, *self.shape, dtype=torch.float64, generator=generator)
        rows[count - count // LARGE :] *= LARGE  # beyond the bounds of a layer, such as those of relu6
        return rows.to(dtype)

    def module(self) -> nn.Module:
        """Return the module that ``model.py`` has, in float64, with tensors that differ from how they begin."""
        torch.manual_seed(0)
        expression = self.layer.module(self.shape)
        file: dict[str, Any] = {}
        exec(definitions_of(expression), file)
        module: nn.Module = eval(expression, file)
        module.double()
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                drawn = torch.rand_like(tensor)
                tensor.copy_(drawn + 0.5 if tensor.dim() == 1 and not name.endswith("bias") else drawn - 0.5)
        return module


def layer_of(kind: str, fields: dict[str, Any]) -> Layer:
    """Return the layer, parsed from its wire form."""
    return KINDS[kind].model_validate_json(json.dumps({"kind": kind, **fields}))


def examples(part: type[Layer]) -> Iterator[Example]:
    """Yield the examples of a part."""
    for fields, shape in part.examples:
        yield Example(layer_of(str(kind_of(part)), fields), shape)


class Draws:
    """Streams of layers, as the engine has them, for the rows from ``first`` on; counts their users."""

    def __init__(self, first: int = 0, rows: int = 8) -> None:
        self._draws, self._first, self._rows = row_draws([17], torch.device("cpu")), first, rows
        self.users = list[str]()

    def __call__(self, prefix: str) -> RowDraws:
        self.users.append(prefix)
        draws: RowDraws = self._draws(0, prefix, 1, self._first, self._rows)
        return draws


def state_of(tensors: Tensors, *, training: bool, first: int = 0, rows: int = 8) -> LayerState:
    """Return the state of a layer with these tensors."""
    return LayerState(tensors, Draws(first, rows), training=training)


def tensors_of(module: nn.Module) -> Tensors:
    """Return copies of a module's parameters, which require gradients, and of its buffers."""
    parameters = {name for name, _ in module.named_parameters()}
    return {
        name: tensor.clone().requires_grad_(name in parameters)
        for name, tensor in module.state_dict().items()
        if not name.endswith(COUNTED)
    }


def is_random(example: Example) -> bool:
    """Whether the layer draws numbers in training."""
    draws = Draws()
    example.layer.forward(example.rows(8), LayerState(tensors_of(example.module()), draws, training=True))
    return bool(draws.users)


def names_and_shapes_are_the_modules(example: Example) -> None:
    """Parameters and buffers are those of the module's ``state_dict``, in order."""
    module = example.module()
    parameters = {name: tuple(tensor.shape) for name, tensor in module.named_parameters()}
    buffers = {name: tuple(t.shape) for name, t in module.named_buffers() if not name.endswith(COUNTED)}
    assert list(example.layer.parameters(example.shape).items()) == list(parameters.items())
    assert list(example.layer.buffers(example.shape).items()) == list(buffers.items())
    for name, shape in {**parameters, **buffers}.items():
        assert example.layer.initialization(name, shape, 4, "torch").scale >= 0


def computes_as_the_module(example: Example) -> None:
    """Results, gradients and running statistics are the module's, in every mode in which both are determined."""
    for training in (False,) if is_random(example) else (False, True):
        module = example.module().train(training)
        tensors = tensors_of(module)
        expected_x, x = (example.rows(8).requires_grad_() for _ in range(2))
        expected, result = module(expected_x), example.layer.forward(x, state_of(tensors, training=training))
        assert_close(result, expected, rtol=1e-9, atol=1e-9)
        g = torch.randn(result.shape, dtype=result.dtype, generator=torch.Generator().manual_seed(1))
        if result.requires_grad:
            torch.autograd.backward([result, expected], [g, g])
        if not example.layer.example_values:
            assert_close(x.grad, expected_x.grad, rtol=1e-8, atol=1e-9)
        named = dict(module.named_parameters())
        for name, tensor in tensors.items():
            if name in named:
                assert_close(tensor.grad, named[name].grad, rtol=1e-8, atol=1e-9)
            else:
                assert_close(tensor, module.state_dict()[name], rtol=1e-9, atol=1e-9)


REPEATS = 3000


def draws_as_the_module(example: Example) -> None:
    """In training, each number has the module's distribution: mean, deviation, and share of zeros; gradients fit."""
    if not is_random(example):
        return
    module = example.module().train()
    x, tensors = example.rows(1).expand(REPEATS, *example.shape).contiguous(), tensors_of(module)
    result = example.layer.forward(x, state_of(tensors, training=True, rows=REPEATS)).detach().flatten(1)
    expected = module(x).detach().flatten(1)
    deviation = expected.std(0) + 1e-9
    assert ((result.mean(0) - expected.mean(0)).abs() <= 7 * deviation * (2 / REPEATS) ** 0.5).all()
    assert_close(result.std(0).mean(), deviation.mean(), rtol=0.1, atol=1e-6)
    zeros, expected_zeros = ((rows == 0).double().mean() for rows in (result, expected))
    assert abs(zeros - expected_zeros) < 0.03
    assert not torch.equal(result[1:], result[:-1]), "all rows are equal"
    few = {name: tensor.detach() for name, tensor in tensors.items()}
    layer = example.layer
    assert torch.autograd.gradcheck(
        lambda rows: layer.forward(rows, state_of(few, training=True, rows=3)), example.rows(3).requires_grad_()
    )


def may_be_overwritten_where_it_says_so(example: Example) -> None:
    """``forward_in_place`` equals ``forward``; it, and overwriting a fresh result, leave gradients as they are."""
    layer, module = example.layer, example.module()
    for training in (False, True):

        def gradients(forward: Callable[[Tensor, LayerState], Tensor], change: float = 1.0) -> list[Tensor]:
            tensors = tensors_of(module)
            x = example.rows(8).requires_grad_(not layer.example_values)
            inputs = x * 1.0
            before = inputs.detach().clone()
            result = forward(inputs, state_of(tensors, training=training))  # noqa: B023
            if forward == layer.forward:
                assert torch.equal(inputs, before), "forward changed its rows"
            values = result.detach().clone()
            if change != 1.0:
                result = result.mul_(change)
                assert forward != layer.forward or torch.equal(inputs, before), "the result shares memory with the rows"
            if result.requires_grad:
                torch.autograd.backward([(result if change == 1.0 else result / change).sin().sum()])
            own = [t.grad for t in (x, *tensors.values()) if t.grad is not None]
            return [values, *own]

        expected = gradients(layer.forward)
        for value, other in zip(expected, gradients(layer.forward_in_place), strict=True):
            assert torch.equal(value, other)
        if layer.fresh:
            for forward in (layer.forward, layer.forward_in_place):
                for value, other in zip(expected, gradients(forward, 0.5), strict=True):
                    assert_close(value, other, rtol=1e-9, atol=1e-9)


def onnx_equals_evaluation(example: Example) -> None:
    """The nodes of the graph compute the result of evaluation mode, for any number of rows."""
    tensors = {name: tensor.detach().float() for name, tensor in tensors_of(example.module()).items()}
    x = example.rows(5, torch.float32)
    expected = example.layer.forward(x, state_of(tensors, training=False))
    graph = Graph({name: tensor.numpy() for name, tensor in tensors.items()})
    result = example.layer.onnx(graph, Value("rows"), example.shape, Names(graph))
    graph.node("Identity", result, output="result")
    output = example.layer.output_shape(example.shape)
    drawn = helper.make_graph(
        graph.nodes,
        "layer",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", *example.shape])],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, ["n", *output])],
        list(graph.constants.values()),
    )
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for rows in (x, x[:1]):
        np.testing.assert_allclose(
            session.run(None, {"rows": rows.numpy()})[0], expected[: len(rows)].numpy(), rtol=1e-4, atol=1e-5
        )


def rows_depend_on_their_piece_alone(example: Example) -> None:
    """A piece has the bits of the same rows of a whole batch, and a row depends on no other."""
    tensors = {name: tensor.detach().float() for name, tensor in tensors_of(example.module()).items()}
    x = example.rows(2 * PIECE_ROWS, torch.float32)
    for training in (False,) if example.layer.needs_whole_batch else (False, True):

        def result(rows: Tensor, first: int) -> Tensor:
            state = state_of(tensors, training=training, first=first, rows=len(rows))  # noqa: B023
            return example.layer.forward(rows, state)

        whole = result(x, 0)
        for first in (0, PIECE_ROWS):
            piece = slice(first, first + PIECE_ROWS)
            assert torch.equal(result(x[piece].clone(), first), whole[piece])
        other = example.rows(2 * PIECE_ROWS, torch.float32, seed=1)
        other[1:] = x[1:]
        assert torch.equal(result(other, 0)[1:], whole[1:]), "a row depends on another"


MEMORY_FACTOR = 2.5
"""Estimates may be this much too low: libraries keep masks, indices and statistics beside the numbers."""


def keeps_what_it_says(example: Example) -> None:
    """Autograd keeps about as many numbers of a row until its way back as ``activations`` says."""
    rows, tensors = 8, tensors_of(example.module())
    x = example.rows(rows)
    own = {tensor.untyped_storage().data_ptr() for tensor in (x, *tensors.values())}
    stored: dict[int, int] = {}

    def store(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        stored[storage.data_ptr()] = storage.nbytes() // x.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(store, lambda tensor: tensor):
        inputs = x if example.layer.example_values else x.requires_grad_()
        store(example.layer.forward(inputs, state_of(tensors, training=True, rows=rows)))
    numbers = sum(count for place, count in stored.items() if place not in own) / rows
    stated = example.layer.activations(example.shape)
    assert numbers <= MEMORY_FACTOR * stated, f"activations says {stated} for each row, and {numbers:g} are kept"


def computes_in_pieces_as_the_module(example: Example) -> None:
    """A layer that needs the whole batch computes it in pieces of unequal size, as the module does the whole."""
    if not example.layer.needs_whole_batch or is_random(example):
        return
    before = Example(layer_of("group_norm", {}), example.shape)
    layers = {"before": before, "layer": example, "after": Example(layer_of("tanh", {}), example.shape)}
    module = nn.Sequential()
    for name, own in layers.items():
        module.add_module(name, own.module().train())
    tensors, rows = tensors_of(module), torch.split(example.rows(10), [4, 4, 2])
    parameters = {name for name, _ in module.named_parameters()}
    buffers = {name: tensor for name, tensor in tensors.items() if name not in parameters}
    pieces = [
        Piece(
            [(name, own.layer) for name, own in layers.items()],
            partial(piece.clone),
            {name: tensors[name].detach().clone() for name in parameters},
            buffers,
            Draws(),
        )
        for piece in rows
    ]
    batch = Batch(pieces)
    result = torch.cat(batch.forward(_in_turn))
    expected = module(torch.cat(rows)).flatten(1)
    assert_close(result, expected, rtol=1e-9, atol=1e-9)
    g = torch.randn(expected.shape, dtype=expected.dtype, generator=torch.Generator().manual_seed(1))
    torch.autograd.backward([expected], [g])
    gradients = batch.backward(torch.split(g, [4, 4, 2]), _in_turn)
    named = dict(module.named_parameters())
    for name, gradient in zip(parameters, gradients, strict=True):
        assert_close(gradient, named[name].grad, rtol=1e-8, atol=1e-9)
    for name, tensor in buffers.items():
        assert_close(tensor, module.state_dict()[name], rtol=1e-9, atol=1e-9)


def _in_turn(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    return [call() for call in calls]


def takes_or_refuses_every_shape(layer: Layer) -> None:
    """A shape is refused with a message that says what arrives and what fits, or the result has the stated shape."""
    for shape in OTHER_SHAPES:
        refusal, output = None, shape
        try:
            output = layer.output_shape(shape)
        except DoesNotFit as error:
            refusal = error
        if refusal:
            assert any(text in refusal.message for text in (sizes(shape), str(shape[0]))), refusal.message
            assert refusal.allowed or re.search(r"takes|use|keep|put|leave|must", refusal.message), refusal.message
        else:
            example = Example(layer, shape)
            assert layer.flops(shape) >= 0
            with torch.device("meta"):
                tensors = {
                    name: torch.empty(size)
                    for name, size in {**layer.parameters(shape), **layer.buffers(shape)}.items()
                }
                result = layer.forward(torch.empty(2, *shape), LayerState(tensors, Draws(), training=False))
            assert result.shape == (2, *output), shape
            if not layer.example_values:
                assert example.module().eval()(example.rows(2)).shape == (2, *output), shape


def module_needs_only_what_a_file_has(example: Example) -> None:
    """Names that the module uses are those of ``model.py``."""
    try:
        example.module().eval()(example.rows(2))
    except NameError as error:
        message = (
            f"The module does not work in model.py: {error}. It may use nn and classes of worker/spec/modules.py, "
            "which may use torch, nn, Tensor and the imports that worker/spec/torch_source.py lists."
        )
        raise AssertionError(message) from error


RULES: tuple[Callable[[Example], None], ...] = (
    names_and_shapes_are_the_modules,
    computes_as_the_module,
    draws_as_the_module,
    may_be_overwritten_where_it_says_so,
    onnx_equals_evaluation,
    rows_depend_on_their_piece_alone,
    keeps_what_it_says,
    module_needs_only_what_a_file_has,
    computes_in_pieces_as_the_module,
)

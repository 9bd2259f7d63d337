"""Python files of trained models: a plain PyTorch module that loads the run's safetensors, without Fitwell.

A file defines the modules that ``torch.nn`` lacks (their source in :mod:`worker.spec.modules`), the network built of
the expressions of its layers (:meth:`Layer.module`), and ``load``. Its parameters are named as in the safetensors file.
It is built without torch, and every text in it that comes from a dataset is a Python literal.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import pprint
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from worker.spec.families.hooks import defines
from worker.spec.graph import NoGraph, Value
from worker.spec.networks.model import LayeredModel
from worker.spec.networks.network import head_of
from worker.spec.onnx_file import Scaling, scaling_of

if TYPE_CHECKING:
    from worker.spec.graph import Graph, Scale
    from worker.spec.networks.chain import Step
    from worker.spec.run import RunSpec
    from worker.spec.tables.fitted import Fitted

Tree = dict[str, "Tree | str"]
"""Modules by name: expressions, or the modules inside a container."""
WIDTH = 100
IMPORTS = """from __future__ import annotations

{Iterable}{Path}import torch
from safetensors.torch import load_file
from torch import Tensor, nn
{functional}"""
OPTIONAL_IMPORTS = {
    "Iterable": "from collections.abc import Iterable\n",
    "Path": "from pathlib import Path\n\n",
    "functional": "from torch.nn import functional\n",
}
"""Imports of names that not every file uses. Sources of modules use no others."""
HEADER = '''"""{title}

Save this file as {module}.py, and the run's model.safetensors as {module}.safetensors in the same folder:

    from {module} import load

    model = load()
    model(rows)  # {result}

{rows}
``load`` reads the weights from the safetensors file beside this file that has its name, or from any other path. The
parameters are named as in that file. Other libraries and devices than those of the service give other last digits.
"""

{imports}
'''
LOAD = '''
def load(path: str | Path | None = None) -> Model:
    """Return the model in evaluation mode, with the weights at ``path``, by default those beside this file."""
    path = Path(__file__).with_suffix(".safetensors") if path is None else path
    model = Model()
    missing, unexpected = model.load_state_dict(load_file(path), strict=False)
    wrong = [name for name in (*missing, *unexpected) if not name.endswith("num_batches_tracked")]
    if wrong:
        raise ValueError(f"{path} has the weights of another model; these differ: {', '.join(wrong)}")
    return model.eval()
'''


def source_of(
    spec: RunSpec,
    title: str,
    *,
    module: str = "model",
    scaling: Scaling | None = None,
    table: Fitted | None = None,
) -> str:
    """Return the Python file of the model of ``spec``, which is called ``module``. Equal arguments give equal texts.

    ``scaling`` defaults to that of the spec. Rows are those of the dataset, or the prepared features of a ``table``.

    Raises:
        NoGraph: The model has no layers, or a regularizer acts in evaluation mode in a way that has no source.
    """
    model = spec.effective_model
    if not isinstance(model, LayeredModel):
        raise NoGraph(f"A model of kind {spec.model.kind!r} has no layers, of which its Python file would consist.")
    network = _Network(spec, model, scaling or scaling_of(spec.dataset))
    body = network.source()
    classes = _module_sources(body)
    constants = "".join(f"{name} = {ascii_literal(value)}\n" for name, value in _constants(spec, table).items())
    imports = _imports("\n".join((*classes, body, LOAD)))
    about = {"rows": _about_rows(spec, table), "result": _result(spec)}
    header = HEADER.format(title=title, module=module, imports=imports, **about)
    beginning = f"{header}{constants}\n" if constants else header
    return "\n".join((beginning, *(f"{one}\n" for one in classes), body, LOAD))


def definitions_of(expression: str) -> str:
    """Return the beginning of a file whose network consists of ``expression``: the imports and modules that it uses."""
    classes = _module_sources(expression)
    return "\n".join((_imports("\n".join((*classes, expression))), *classes))


def _imports(text: str) -> str:
    """Return the imports of a file with this text."""
    words = set(re.findall(r"\w+", text))
    return IMPORTS.format(**{name: line if name in words else "" for name, line in OPTIONAL_IMPORTS.items()})


def _about_rows(spec: RunSpec, table: Fitted | None) -> str:
    shape = ", ".join(map(str, spec.dataset.shape))
    if table is None:
        return f"Rows are float32 (rows, {shape}) as the dataset has them: the model scales them itself.\n"
    return (
        f"Rows are float32 (rows, {shape}): the FEATURES that the service prepares from the columns of a table.\n"
        "The run's model.onnx has the preparation inside, and takes the columns.\n"
    )


def _result(spec: RunSpec) -> str:
    if spec.dataset.task == "regression":
        return "predictions (rows, 1), in the target's own unit"
    return f"logits (rows, {spec.dataset.outputs}); softmax(1) makes them probabilities"


def _constants(spec: RunSpec, table: Fitted | None) -> Mapping[str, list[str]]:
    features = {} if table is None else {"FEATURES": [str(name) for name in table.features]}
    classes = {"CLASSES": [str(name) for name in spec.dataset.classes]} if spec.dataset.classes else {}
    return {**classes, **features}


def ascii_literal(value: Any) -> str:
    """Return a Python literal in ASCII, whatever the texts in it are, on lines of limited width."""
    text = pprint.pformat(value, width=WIDTH, compact=True)
    return text.encode("ascii", "backslashreplace").decode()


class _Network:
    """The class ``Model`` of a spec."""

    def __init__(self, spec: RunSpec, model: LayeredModel, scaling: Scaling) -> None:
        self._spec, self._scaling = spec, scaling
        self._steps = model.steps(spec.dataset.shape, spec.dataset.outputs)
        self._head = head_of(self._steps)
        self._unnamed: dict[str, str] = {}
        """Names of the layers without a name, by their expressions."""

    def source(self) -> str:
        """Return the class."""
        tree = self._tree()
        forward = [f"        {line}" for line in self._forward()]
        members = {**tree, **{name: expression for expression, name in self._unnamed.items()}}
        lines = [f"        {line}" for line in self._members(members)]
        outputs, row = self._spec.dataset.outputs, ", ".join(map(str, self._spec.dataset.shape))
        return "\n".join(
            (
                "class Model(nn.Module):",
                '    """The network of the run."""',
                "",
                "    def __init__(self) -> None:",
                "        super().__init__()",
                *lines,
                "",
                "    def forward(self, x: Tensor) -> Tensor:",
                f'        """Return outputs (rows, {outputs}) of rows (rows, {row})."""',
                *forward,
                "",
            )
        )

    def _members(self, members: Tree) -> Iterator[str]:
        for name, value in (("scale", self._scaling.scale), ("shift", self._scaling.shift)):
            yield f'self.register_buffer("{name}", torch.tensor({_numbers(value)}), persistent=False)'
        for name, inner in members.items():
            yield f"self.{name} = {_expression(inner, 8)}"

    def _tree(self) -> Tree:
        tree: Tree = {}
        for step in self._steps:
            expression = self._module(step)
            if not step.name:
                if expression not in self._unnamed:
                    used = {*self._unnamed.values()}
                    names = (f"{step.layer.kind}{'' if i == 1 else f'_{i}'}" for i in range(1, len(used) + 2))
                    self._unnamed[expression] = next(name for name in names if name not in used)
                continue
            *path, last = step.name.split(".")
            inner = tree
            for part in path:
                child = inner.setdefault(part, {})
                assert isinstance(child, dict)
                inner = child
            inner[last] = expression
        return tree

    def _module(self, step: Step) -> str:
        expression = step.layer.module(step.input)
        rounded = self._spec.precision == "bfloat16" and step.layer.kind == "dense"
        return f"Rounded{expression.removeprefix('nn.')}" if rounded else expression

    def _forward(self) -> Iterator[str]:
        yield "x = x.flatten(1) * self.scale + self.shift"
        yield from self._scaled(-1)
        row = self._steps[0].input
        if len(row) > 1:
            yield f"x = x.view(-1, {', '.join(map(str, row))})"
        for step in self._steps:
            if (layer := self._head.hidden_before(step)) is not None:
                yield from self._scaled(layer)
            yield f"x = self.{_attribute(step.name or self._unnamed[self._module(step)])}(x)"
        scale, shift = self._scaling.target_scale, self._scaling.target_shift
        yield "return x" if self._spec.dataset.task == "classification" else f"return (x - {shift!r}) / {scale!r}"

    def _scaled(self, layer: int) -> Iterator[str]:
        """Yield what regularizers do in evaluation mode to the activations of hidden ``layer``, -1 for the inputs."""
        x = Value("x")
        for part in self._spec.regularizers:
            if defines(type(part), "onnx_scale"):
                x = part.onnx_scale(cast("Graph", _Products()), x, layer)
        if x != "x":
            yield f"x = {x}"


class _Products:
    """Stands for a graph, in which only products with numbers are possible; values are Python expressions."""

    def number(self, value: float) -> Value:
        return Value(repr(value))

    def node(self, operator: str, *inputs: Value) -> Value:
        if operator != "Mul":
            raise NoGraph(f"A regularizer acts in evaluation mode by the operator {operator!r}, which has no source.")
        return Value(" * ".join(inputs))


def _attribute(name: str) -> str:
    """Return an expression for the module of this name: ``layers[0].conv`` of ``layers.0.conv``."""
    first, *others = name.split(".")
    return first + "".join(f"[{part}]" if part.isdigit() else f"[{part!r}]" for part in others)


def _expression(tree: Tree | str, indent: int) -> str:
    """Return the expression of a module: a list of modules if their names are numbers, or a dictionary."""
    if isinstance(tree, str):
        return tree
    numbered = all(name.isdigit() for name in tree)
    if numbered and [int(name) for name in tree] != list(range(len(tree))):
        raise TypeError(
            f"Numbers in the names of layers have gaps: {', '.join(tree)}. Name layers without parameters too."
        )
    begin, end = ("nn.ModuleList([", "])") if numbered else ("nn.ModuleDict({", "})")
    lines = [begin]
    for name, inner in tree.items():
        key = "" if numbered else f"{name!r}: "
        lines.append(f"{' ' * (indent + 4)}{key}{_expression(inner, indent + 4)},")
    return "\n".join((*lines, " " * indent + end))


def _numbers(value: Scale) -> str:
    """Return a number or an array as float32 takes it."""
    if isinstance(value, float | int):
        return repr(float(value))
    return ascii_literal([float(number) for number in value.ravel()])


def _module_sources(body: str) -> list[str]:
    """Return the classes and functions of :mod:`worker.spec.modules` that ``body`` uses, directly or not, in order."""
    sources = _all_module_sources()
    used, pending = set[str](), [body]
    while pending:
        words = set(re.findall(r"\w+", pending.pop()))
        new = {name for name in sources if name in words} - used
        used |= new
        pending += [sources[name] for name in new]
    return [f"{source}\n" for name, source in sources.items() if name in used]


@functools.cache
def _all_module_sources() -> Mapping[str, str]:
    """Return the classes and functions of :mod:`worker.spec.modules` by name, in order."""
    module = importlib.util.find_spec("worker.spec.modules")
    assert module is not None
    assert module.origin is not None
    text = Path(module.origin).read_text(encoding="utf-8")
    return {
        node.name: ast.get_source_segment(text, node) or ""
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }

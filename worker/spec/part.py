"""The base of all parts of an experiment: a frozen spec with a ``kind``, and its implementation.

One part is one file. A family (regularizers, optimizers, models, datasets, losses…) is a folder,
and the family's union is built from the files in it: a part is listed nowhere.

torch is imported inside methods or under TYPE_CHECKING, so that a spec can be read without it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, Self, TypeVar, Union, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from worker.spec.references import Place, References

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from worker.spec.run import RunSpec

T = TypeVar("T")
P = TypeVar("P", bound="Part")


class PerRunMark:
    """Marks a field that may differ between the runs of one stack."""

    def __repr__(self) -> str:
        return "PerRun"


PER_RUN = PerRunMark()
PerRun = Annotated[T, PER_RUN]
"""``PerRun[float]``: the engine gathers the field over the runs of a stack into a tensor of shape (K,)."""


class Spec(BaseModel):
    """A frozen piece of an experiment's description; unknown fields, NaN and guessed types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Objection(BaseModel):
    """A reason why a part does not work in a run, and the field that causes it."""

    field: str | None = Field(
        description="The field that is wrong, such as p or layers.3.width; None means the part as a whole."
    )
    message: str = Field(description="What is wrong and what would work.")
    allowed: list[Any] = Field(default=[], description="Values that would work, where they can be listed.")


class Part(Spec):
    """A spec with a ``kind``. A subclass that sets ``kind`` to a Literal is a part; others are families."""

    equation: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    for_classes: ClassVar[bool] = False
    """Whether the part needs classes as targets."""

    kind: str
    """Name of the part in a spec; a Literal in every part."""

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Return objections to the rest of the run; empty if the part fits."""
        return ()

    def placed_objections(self, run: RunSpec) -> Iterator[tuple[Place, Objection]]:
        """Yield the objections, each with its place in the part."""
        for objection in self.objections(run):
            yield tuple(objection.field.split(".")) if objection.field else (), objection

    def references(self) -> References:
        """Return the datasets and teachers that the part refers to, with their places in it."""
        return References()

    @classmethod
    def per_run(cls) -> frozenset[str]:
        """Return the names of the fields that may differ within a stack."""
        return frozenset(name for name, field in cls.model_fields.items() if PER_RUN in field.metadata)

    def structure(self) -> dict[str, Any]:
        """Return the fields that must be equal in a stack, as JSON values."""
        structure = self.model_dump(mode="json", exclude=set(self.per_run()))
        for name in type(self).model_fields:
            if name in structure:
                structure[name] = _structure_of(getattr(self, name), structure[name])
        return structure

    def common(self) -> Self:
        """Return the part with the defaults of fields that may differ within a stack, in its inner parts too.

        A field without a default gets its first example.
        """
        fields = type(self).model_fields
        values = {name: _common_of(value) for name in fields if isinstance(value := getattr(self, name), tuple | Part)}
        own = {name: _common_value(fields[name]) for name in self.per_run()}
        return self.model_copy(update={**values, **own})


def _common_value(field: FieldInfo) -> Any:
    """Return the default of a field, or its first example if it is required."""
    return field.examples[0] if field.is_required() and field.examples else field.default


def _common_of(item: Any) -> Any:
    """Return an item of a field with the defaults of what may differ within a stack."""
    if isinstance(item, Part):
        return item.common()
    return tuple(map(_common_of, item)) if isinstance(item, tuple) else item


def _structure_of(item: Any, dumped: Any) -> Any:
    """Return what must be equal in a stack of an item of a field; ``dumped`` is its JSON value."""
    if isinstance(item, Part):
        return item.structure()
    if isinstance(item, tuple):
        return [_structure_of(inner, own) for inner, own in zip(item, dumped, strict=True)]
    return dumped


def kind_of(part: type[Part]) -> str | None:
    """Return the ``kind`` of this class, or None if it is a family."""
    values = get_args(part.model_fields["kind"].annotation)
    return values[0] if len(values) == 1 else None


def parts_in(package: str, family: type[P]) -> dict[str, type[P]]:
    """Return every part of ``family`` defined in the modules of ``package``, by kind, in the order of their names.

    Raises:
        TypeError: A module defines no part, or two modules claim one kind.
    """
    kinds: dict[str, type[P]] = {}
    for module in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda m: m.name):
        name = f"{package}.{module.name}"
        mine = [
            value
            for value in vars(importlib.import_module(name)).values()
            if isinstance(value, type) and issubclass(value, family) and value.__module__ == name and kind_of(value)
        ]
        if not mine:
            raise TypeError(f"{name} defines no {family.__name__}: a file of this folder is one part")
        for part in mine:
            kind = kind_of(part)
            assert kind is not None
            if kind in kinds:
                raise TypeError(f"{name} and {kinds[kind].__module__} both claim the kind {kind!r}")
            kinds[kind] = part
    return kinds


def union_of(package: str, family: type[P]) -> Any:
    """Return the union of all parts in ``package``, discriminated by ``kind``."""
    parts = tuple(parts_in(package, family).values())
    return Annotated[Union[parts], Field(discriminator="kind")] if len(parts) > 1 else parts[0]  # noqa: UP007


@functools.cache
def _takes_part(implementation: type[Part], name: str) -> bool | None:
    """Return whether the static method ``name`` begins with the parameter ``part``; None if no such method exists."""
    if not isinstance(inspect.getattr_static(implementation, name, None), staticmethod):
        return None
    return next(iter(inspect.signature(getattr(implementation, name)).parameters), None) == "part"


class Stacked(Generic[P]):
    """One part seen over the K runs of a stack.

    A hook of the part, a static method whose first parameter is ``part``, is bound to this object, as in
    ``part.prox(w, lr)``.
    ``cache`` holds tensors that a hook computes once. A PerRun field is a float32 tensor of shape (K,)
    (float64 where the stack computes in float64); every other field has the value that all runs share.
    ``stacked.column("p", 3)`` shapes (K,) to broadcast over 3 dimensions.
    """

    def __init__(self, parts: Sequence[P], *, device: torch.device, dtype: torch.dtype) -> None:
        import torch

        first = parts[0]
        self.device, self.dtype = device, dtype
        self._inner: dict[tuple[str, int | None], Stacked[Any]] = {}
        self.cache: dict[str, Tensor] = {}
        assert all(part.structure() == first.structure() for part in parts), "a stack's parts differ in structure"
        self.parts = tuple(parts)
        self._values: dict[str, Any] = {
            name: (
                torch.tensor([float(getattr(part, name)) for part in parts], dtype=dtype, device=device)
                if name in type(first).per_run()
                else getattr(first, name)
            )
            for name in type(first).model_fields
        }

    @property
    def implementation(self) -> type[P]:
        """The class of the part, with its hooks."""
        return type(self.parts[0])

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("_values")
        if values is None:
            raise AttributeError(name)
        if name in values:
            return values[name]
        takes_part = _takes_part(self.implementation, name)
        if takes_part is None:
            raise AttributeError(f"{name!r} is neither a field nor a hook of this part")
        method = getattr(self.implementation, name)
        return functools.partial(method, self) if takes_part else method

    def inner(self, name: str, i: int | None = None) -> Stacked[Any]:
        """Return the part in the field ``name``, or the i-th of several, over the runs."""
        if (name, i) not in self._inner:
            values = [getattr(part, name) for part in self.parts]
            parts = values if i is None else [value[i] for value in values]
            self._inner[name, i] = Stacked(parts, device=self.device, dtype=self.dtype)
        return self._inner[name, i]

    def column(self, name: str, dimensions: int) -> Tensor:
        """Return the PerRun field ``name``, shape (K, 1, …) with ``dimensions`` dimensions in all."""
        values: Tensor = self._values[name]
        return values.view(-1, *(1,) * (dimensions - 1))

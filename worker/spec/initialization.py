"""How the weights of a network begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticKnownError

from worker.spec.families.model import Initialization
from worker.spec.part import Part, PerRun

NamedInit = Literal["torch", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal"]
NAMES = get_args(NamedInit)


class NormalInit(Part):
    """Weights from a normal distribution with mean 0, biases zero."""

    kind: Literal["normal"]
    std: PerRun[float] = Field(gt=0, le=1e3, examples=[0.01], description="Standard deviation of the weights.")


def _checked(value: Any, handler: ValidatorFunctionWrapHandler) -> NamedInit | NormalInit:
    """Validate as the one member of the union that ``value`` can mean, so that only its errors are reported."""
    if isinstance(value, Mapping):
        return NormalInit.model_validate(value)
    if isinstance(value, str) and value.casefold().startswith("normal"):
        raise ValueError('Write {"kind": "normal", "std": 0.01}, with the standard deviation of the weights')
    if not isinstance(value, NormalInit) and value not in NAMES:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(map(repr, NAMES))})
    init: NamedInit | NormalInit = handler(value)
    return init


Init = Annotated[NamedInit | NormalInit, WrapValidator(_checked)]


def init_field() -> Any:
    """Return the field ``init`` of a model."""
    return Field(
        default="torch",
        description='How weights begin; {"kind": "normal", "std": 0.01} is a normal distribution, whose std may differ '
        "within a stack. Biases begin at zero, except with torch.",
    )


def initialization_for(init: NamedInit | NormalInit, shape: tuple[int, ...], fan_in: int) -> Initialization:
    """Return the initialization of a weight of ``shape`` (out, in, …) or a bias (out,).

    ``torch``: uniform in ±1/√fan_in, biases too, as ``torch.nn.Linear`` and ``Conv2d`` do. ``xavier_*``: variance
    2/(fan_in + fan_out) (Glorot and Bengio 2010); ``he_*``: variance 2/fan_in (He, Zhang, Ren and Sun 2015);
    ``NormalInit``: variance std², as ``torch.nn.init.normal_``; biases zero.
    """
    if init == "torch":
        return Initialization("uniform", fan_in**-0.5)
    if len(shape) == 1:
        return Initialization("constant", 0.0)
    if isinstance(init, NormalInit):
        return Initialization("normal", init.std)
    fan_out = fan_in // shape[1] * shape[0]
    variance = 2 / fan_in if init.startswith("he") else 2 / (fan_in + fan_out)
    if init.endswith("uniform"):
        return Initialization("uniform", (3 * variance) ** 0.5)
    return Initialization("normal", variance**0.5)

"""How the weights of a network begin."""

from __future__ import annotations

from typing import Literal

from worker.spec.families.model import Initialization

Init = Literal["torch", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal"]


def initialization_for(init: Init, shape: tuple[int, ...], fan_in: int) -> Initialization:
    """Return the initialization of a weight of ``shape`` (out, in, …) or a bias (out,).

    ``torch``: uniform in ±1/√fan_in, biases too, as ``torch.nn.Linear`` and ``Conv2d`` do. ``xavier_*``: variance
    2/(fan_in + fan_out) (Glorot and Bengio 2010); ``he_*``: variance 2/fan_in (He, Zhang, Ren and Sun 2015); biases
    zero.
    """
    if init == "torch":
        return Initialization("uniform", fan_in**-0.5)
    if len(shape) == 1:
        return Initialization("constant", 0.0)
    fan_out = fan_in // shape[1] * shape[0]
    variance = 2 / fan_in if init.startswith("he") else 2 / (fan_in + fan_out)
    if init.endswith("uniform"):
        return Initialization("uniform", (3 * variance) ** 0.5)
    return Initialization("normal", variance**0.5)

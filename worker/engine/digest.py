"""The chained digest: names every bit of a run up to an epoch.

    d₀ = H(trajectory key, determinism class)
    d_e = H(d_{e−1}, e, tensors' names, dtypes, shapes and bytes, measurements)

Two runs with the same digest had the same weights, optimizer state and measurements in every epoch. Series that are
recorded in evaluation mode only, such as ``brier`` or ``auc``, are not part of it: runs of versions without them have
the same digests, so they can still be verified, and they depend only on the weights and the data anyway.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping

from torch import Tensor

from worker.spec.losses import KINDS

NAMES = sorted({name for loss in KINDS.values() for name in loss.evaluation_names})
LEFT_OUT = re.compile(rf"\.({'|'.join(NAMES)})(_eval|_loo)?(_averaged)?$")


def first_digest(trajectory_key: str, determinism_class: str) -> str:
    """d₀, before any epoch."""
    return "sha256:" + hashlib.sha256(f"{trajectory_key}\0{determinism_class}".encode()).hexdigest()


def next_digest(previous: str, epoch: int, tensors: Mapping[str, Tensor], metrics: Mapping[str, float]) -> str:
    """d_e from d_{e−1}. Seconds must not be among ``metrics``: they never repeat."""
    h = hashlib.sha256(f"{previous}\0{epoch}\0".encode())
    for name, tensor in tensors.items():
        h.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        h.update(tensor.contiguous().cpu().numpy().tobytes())
    for name, value in sorted(metrics.items()):
        if not LEFT_OUT.search(name):
            h.update(name.encode() + struct.pack("<d", value))
    return "sha256:" + h.hexdigest()

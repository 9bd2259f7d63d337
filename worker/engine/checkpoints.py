"""Checkpoints and weights: safetensors files, whole on disk before anybody hears of them.

A checkpoint holds weights, optimizer tensors and averages by name; random streams need no state. A file of weights has
only weights: those of an epoch, or averaged ones. Their SHA-256 goes into the database, whose pointer is the truth: a
file without a row is rubbish, a file that differs is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor

from worker.blob_store import BlobStore
from worker.ports import Checkpoint, WeightsFile
from worker.spec.tables.files import read_header

OPTIMIZER = "optimizer."
"""Prefix of the names of the optimizer's tensors."""
AVERAGING = "averaging."
"""Prefix of the names of averaged weights and buffers."""
NO_PREPARATION: Mapping[str, Any] = MappingProxyType({})


class BadCheckpoint(Exception):
    """The file is missing or is not what was written."""


def save(
    directory: Path,
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    epoch: int,
    digest: str,
    preparation: Mapping[str, Any] = NO_PREPARATION,
) -> Checkpoint:
    """Write ``directory/name`` so that it is there whole or not at all, even if the power fails.

    ``preparation`` says how rows become inputs, for programs that predict with the weights.

    Raises:
        OSError: the disk is full or not writable; nothing was left behind and no older file was touched.
    """
    sha256, size = _write(directory / name, tensors, {"format": 1, "epoch": epoch, "digest": digest, **preparation})
    return Checkpoint(epoch=epoch, path=name, sha256=sha256, bytes=size, digest=digest)


def weights_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters and buffers among a run's tensors."""
    return {name: tensor for name, tensor in tensors.items() if not name.startswith((OPTIMIZER, AVERAGING))}


def averages_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged parameters and buffers among a run's tensors, by their names in the model."""
    return {name.removeprefix(AVERAGING): t for name, t in tensors.items() if name.startswith(AVERAGING)}


def save_weights(
    directory: Path,
    name: str,
    tensors: Mapping[str, Tensor],
    *,
    at: Literal["best", "last", "averaged"],
    epoch: int,
    preparation: Mapping[str, Any] = NO_PREPARATION,
) -> WeightsFile:
    """Write a run's weights to ``directory/name``, likewise.

    Raises:
        OSError: the disk is full or not writable; nothing was left behind and no older file was touched.
    """
    sha256, size = _write(directory / name, weights_of(tensors), {"format": 1, "epoch": epoch, **preparation})
    return WeightsFile(at=at, epoch=epoch, path=name, sha256=sha256, bytes=size)


def _write(target: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> tuple[str, int]:
    """Write a file of tensors; its SHA-256 and its length."""
    # One entry: the format does not keep the order of several, and equal states shall be equal files.
    metadata = {"fitwell": json.dumps(about)}
    content = safetensors.torch.save({k: v.contiguous().cpu() for k, v in tensors.items()}, metadata)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)
    return hashlib.sha256(content).hexdigest(), len(content)


def load(store: BlobStore, checkpoint: Checkpoint | WeightsFile, device: torch.device) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name.

    Raises:
        BadCheckpoint: the file is missing, cut short or altered.
        StorageUnavailable: it is not here, and where it may be is out of reach.
    """
    store.fetch(checkpoint.path, checkpoint.sha256)
    try:
        content = (store.home / checkpoint.path).read_bytes()
    except OSError as error:
        raise BadCheckpoint(f"checkpoint {checkpoint.path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise BadCheckpoint(f"checkpoint {checkpoint.path} is not what was written: its SHA-256 differs")
    return {name: tensor.to(device) for name, tensor in safetensors.torch.load(content).items()}


def preparation_in(store: BlobStore, file: WeightsFile) -> Mapping[str, Any] | None:
    """Return how the rows of a typed table become inputs of the model in a file that was loaded; None without one."""
    preparation: Mapping[str, Any] | None = read_header(store.home / file.path).get("preparation")
    return preparation


def _sync_directory(directory: Path) -> None:
    """Make the renaming itself durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

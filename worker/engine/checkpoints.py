"""Checkpoints: one safetensors file for each run, whole on disk before anybody hears of it.

The file holds weights and optimizer tensors by name; there is no generator state to keep. Its SHA-256 goes into the
database, whose pointer is the truth: a file nobody points at is rubbish, a file that differs is not used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from worker.ports import Checkpoint


class BadCheckpoint(Exception):
    """The file is missing or is not what was written."""


def save(directory: Path, name: str, tensors: Mapping[str, Tensor], *, epoch: int, digest: str) -> Checkpoint:
    """Write ``directory/name`` so that it is there whole or not at all, even if the power fails.

    Raises:
        OSError: the disk is full or not writable; nothing was left behind and no older file was touched.
    """
    # One entry: the format does not keep the order of several, and equal states shall be equal files.
    metadata = {"fitwell": json.dumps({"format": 1, "epoch": epoch, "digest": digest})}
    content = safetensors.torch.save({k: v.contiguous().cpu() for k, v in tensors.items()}, metadata)
    target = directory / name
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
    sha256 = hashlib.sha256(content).hexdigest()
    return Checkpoint(epoch=epoch, path=name, sha256=sha256, bytes=len(content), digest=digest)


def load(directory: Path, checkpoint: Checkpoint, device: torch.device) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by name.

    Raises:
        BadCheckpoint: the file is missing, cut short or altered.
    """
    try:
        content = (directory / checkpoint.path).read_bytes()
    except OSError as error:
        raise BadCheckpoint(f"checkpoint {checkpoint.path} cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise BadCheckpoint(f"checkpoint {checkpoint.path} is not what was written: its SHA-256 differs")
    return {name: tensor.to(device) for name, tensor in safetensors.torch.load(content).items()}


def _sync_directory(directory: Path) -> None:
    """Make the renaming itself durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

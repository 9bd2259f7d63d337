"""Layers write to no memory but their own: their steps run under glibc's checks of every block."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = "libc_malloc_debug.so.0"
STEPS = """
import torch
from worker.spec.families.layer import LayerState
from worker.spec.layers.conv2d import Conv2dLayer

torch.set_num_threads(1)
for channels in range(1, 18):
    for stride in (2, 3):
        layer = Conv2dLayer(kind="conv2d", channels=4, kernel_size=1, stride=stride, padding=0)
        for _ in range(8):
            shapes = layer.parameters((channels, 8, 8))
            tensors = {name: torch.randn(shape, requires_grad=True) for name, shape in shapes.items()}
            x = torch.randn(20, channels, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
            layer.forward(x, LayerState(tensors, None, training=True)).sum().backward()
"""


@pytest.mark.slow
@pytest.mark.skipif(not list(Path("/lib").glob(f"*/{LIBRARY}")), reason="only glibc checks its blocks")
def test_projections_of_few_channels_damage_no_memory() -> None:
    environment = {**os.environ, "LD_PRELOAD": LIBRARY, "MALLOC_CHECK_": "3", "MALLOC_PERTURB_": "165"}
    done = subprocess.run([sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

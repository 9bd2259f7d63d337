"""Rows that models are evaluated on."""

from __future__ import annotations

import torch
from torch import Tensor

from worker.engine.rows import RawRows


def test_chunks_of_raw_rows_are_those_of_their_inputs() -> None:
    raw = torch.arange(35, dtype=torch.uint8).view(7, 5)
    stored = raw.clone()
    heights: list[int] = []

    def inputs(some: Tensor) -> Tensor:
        heights.append(len(some))
        return some.to(torch.float32).mul_(0.1).add_(-1.0)

    rows = RawRows(raw, torch.arange(7), torch.ones(7, dtype=torch.float64), inputs)
    chunks = list(rows.chunks([], 3))
    assert heights == [3, 3, 1], "no more rows than those of a chunk are converted at once"
    assert torch.equal(torch.cat([chunk.x for chunk in chunks]), rows.x)
    assert [chunk.y.tolist() for chunk in chunks] == [[0, 1, 2], [3, 4, 5], [6]]
    assert all(chunk.weights is not None and len(chunk.weights) == len(chunk.y) for chunk in chunks)
    assert torch.equal(raw, stored)

"""Eager PyTorch by somebody who knows it: the data are one tensor in memory, no DataLoader, no .item() in the loop."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.programs.measuring import BATCH, CLASSES, LR, MEAN, PIXELS, STD, report, task, training_rows


def main() -> None:
    wanted = task()
    torch.set_num_threads(wanted.threads)
    pixels, labels = training_rows()
    x, y = (torch.from_numpy(pixels).float() / 255 - MEAN) / STD, torch.from_numpy(labels)
    modules: list[nn.Module] = []
    width = PIXELS
    for size in wanted.hidden:
        modules += [nn.Linear(width, size), nn.ReLU()]
        width = size
    model = nn.Sequential(*modules, nn.Linear(width, CLASSES))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)

    def epoch() -> float:
        batches = torch.randperm(len(x)).split(BATCH)
        total = torch.zeros(())
        for rows in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total.item() / len(batches)

    report(epoch, wanted)


if __name__ == "__main__":
    main()

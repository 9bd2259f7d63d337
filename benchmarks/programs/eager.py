"""Eager PyTorch by somebody who knows it: the data are one tensor in memory, no DataLoader, no .item() in the loop."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks import color_images
from benchmarks.networks import ResNet20
from benchmarks.programs.measuring import (
    BATCH,
    CHANNELS,
    CLASSES,
    LR,
    MEAN,
    PIXELS,
    STD,
    Task,
    report,
    task,
    training_rows,
)


def network(work: Task) -> nn.Module:
    """The network as torch's tutorials write it."""
    if work.model == "resnet20":
        return ResNet20().to(memory_format=torch.channels_last)
    if work.model == "cnn":
        first, second = CHANNELS
        return nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(second * 7 * 7, CLASSES)),
        )
    modules: list[nn.Module] = []
    width = PIXELS
    for size in work.hidden:
        modules += [nn.Linear(width, size), nn.ReLU()]
        width = size
    return nn.Sequential(*modules, nn.Linear(width, CLASSES))


def tensors(work: Task) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised pixels, (rows, 784) or color images (rows, 32, 32, 3), and labels (rows,)."""
    pixels, labels = training_rows(work.rows)
    if work.model == "resnet20":
        images = torch.from_numpy(color_images.colored(pixels.reshape(-1, 28, 28))).permute(0, 2, 3, 1)
        x = (images.float() / 255 - color_images.MEAN) / color_images.STD
        return x.contiguous(), torch.from_numpy(labels)
    return (torch.from_numpy(pixels).float() / 255 - MEAN) / STD, torch.from_numpy(labels)


def main() -> None:
    work = task()
    torch.set_num_threads(work.threads)
    x, y = tensors(work)
    model = network(work)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)

    def inputs(rows: torch.Tensor) -> torch.Tensor:
        return x[rows].permute(0, 3, 1, 2) if x.dim() == 4 else x[rows]  # strides as in channels_last

    def epoch() -> float:
        batches = torch.randperm(len(x)).split(BATCH)  # type: ignore[no-untyped-call]
        total = torch.zeros(())
        for rows in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(inputs(rows)), y[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.detach()
        return total.item() / len(batches)

    report(epoch, work)


if __name__ == "__main__":
    main()

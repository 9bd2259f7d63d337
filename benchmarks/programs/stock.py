"""The recipe of the tutorials: a Dataset of PIL images, transforms, a DataLoader, nn.Sequential, loss.item()."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.programs.eager import network
from benchmarks.programs.measuring import BATCH, DEGREES, LR, MEAN, STD, report, task, training_rows


class Pictures(Dataset[Any]):
    """The work of torchvision's FashionMNIST per row: array to image, and a transform to a tensor."""

    def __init__(self, rows: int, transform: Any) -> None:
        self.pixels, self.labels = training_rows(rows)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.pixels[row].reshape(28, 28))), int(self.labels[row])


def main() -> None:
    work = task()
    torch.set_num_threads(work.threads)
    flips = [transforms.RandomHorizontalFlip(), transforms.RandomVerticalFlip()]
    random = [transforms.RandomRotation(DEGREES), *flips] if work.augment else []
    transform = transforms.Compose([*random, transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    loader = DataLoader(Pictures(work.rows, transform), batch_size=BATCH, shuffle=True)
    model = nn.Sequential(nn.Flatten(), network(work))
    optimizer, criterion = torch.optim.SGD(model.parameters(), lr=LR), nn.CrossEntropyLoss()

    def epoch() -> float:
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / len(loader)

    report(epoch, work)


if __name__ == "__main__":
    main()

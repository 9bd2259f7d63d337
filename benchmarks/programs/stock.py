"""The recipe of the tutorials: a Dataset of PIL images, transforms, a DataLoader, nn.Sequential, loss.item()."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.programs.measuring import BATCH, CLASSES, LR, MEAN, PIXELS, STD, report, task, training_rows


class Pictures(Dataset[Any]):
    """What torchvision's FashionMNIST does for each row: an array becomes a picture, a transform makes it a tensor."""

    def __init__(self, transform: Any) -> None:
        self.pixels, self.labels = training_rows()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.pixels[row].reshape(28, 28))), int(self.labels[row])


def main() -> None:
    wanted = task()
    torch.set_num_threads(wanted.threads)
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))])
    loader = DataLoader(Pictures(transform), batch_size=BATCH, shuffle=True)
    modules: list[nn.Module] = [nn.Flatten()]
    width = PIXELS
    for size in wanted.hidden:
        modules += [nn.Linear(width, size), nn.ReLU()]
        width = size
    model = nn.Sequential(*modules, nn.Linear(width, CLASSES))
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

    report(epoch, wanted)


if __name__ == "__main__":
    main()

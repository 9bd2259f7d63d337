"""Law 6: image operations against torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import CPU
from worker.engine.rng import StackRng
from worker.spec.part import Stacked
from worker.spec.regularizers.blur import Blur
from worker.spec.regularizers.brightness import Brightness
from worker.spec.regularizers.contrast import Contrast
from worker.spec.regularizers.crop import Crop
from worker.spec.regularizers.erasing import Erasing
from worker.spec.regularizers.sharpen import Sharpen
from worker.spec.regularizers.stretch import Stretch
from worker.spec.regularizers.zoom import Zoom
from worker.spec.warps import apply, steps


def operated(part: Any, x: Tensor, white: float = 255.0) -> tuple[Tensor, StackRng]:
    """One image operation on images (K, N, H, W), and the draws that it used."""
    rng = StackRng([7], f"regularizer/{part.kind}/0", CPU, torch.float32)
    rng.seek(1, 0, x.shape[1])
    return apply(Stacked([part], device=CPU, dtype=torch.float32), x.clone(), rng, white), rng


def pictures(rows: int = 40) -> Tensor:
    """Raw grey pictures (1, rows, 28, 28), whole numbers from 0 to 255."""
    drawn = torch.randint(0, 256, (1, rows, 28, 28), generator=torch.Generator().manual_seed(3))
    return drawn.float()


def each(x: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """torchvision's operation on every picture as bytes, (1, rows, 28, 28)."""
    return torch.stack([change(image.to(torch.uint8).unsqueeze(0), i)[0] for i, image in enumerate(x[0])])[None]


@pytest.mark.slow  # torchvision takes seconds to import
def test_pixel_operations_match_torchvision_within_a_255th() -> None:
    from torchvision.transforms import functional as F  # noqa: N812 - its usual name

    x = pictures()
    mine, rng = operated(Brightness(amount=0.5), x)
    f = 1 + (2 * rng.uniform()[0] - 1) * 0.5
    assert (mine - each(x, lambda image, i: F.adjust_brightness(image, f[i].item()))).abs().max() <= 1
    mine, rng = operated(Contrast(amount=0.5), x)
    f = 1 + (2 * rng.uniform()[0] - 1) * 0.5
    assert (mine - each(x, lambda image, i: F.adjust_contrast(image, f[i].item()))).abs().max() <= 1.01
    mine, rng = operated(Sharpen(amount=2.0), x)
    f = 1 + rng.uniform()[0] * 2
    floats = torch.stack([F.adjust_sharpness(image[None] / 255, f[i].item())[0] for i, image in enumerate(x[0])])
    assert (mine[0] / 255 - floats).abs().max() <= 1 / 255
    for size in (3, 5, 7):
        mine, rng = operated(Blur(sigma=2.0, kernel_size=size), x)
        sigma = 0.1 + rng.uniform()[0] * 1.9
        blurred = each(x, lambda image, i: F.gaussian_blur(image, [size, size], [sigma[i].item()] * 2))  # noqa: B023
        assert (mine - blurred).abs().max() <= 1


@pytest.mark.slow
def test_geometric_operations_match_torchvision_exactly() -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms import functional as F  # noqa: N812 - its usual name

    x = pictures()
    mine, rng = operated(Zoom(factor=1.5), x)
    limit = steps(1.5)
    sizes = 1.01 ** ((rng.uniform()[0] * (2 * limit + 1)).floor() - limit).double()
    nearest = InterpolationMode.NEAREST
    assert torch.equal(
        mine, each(x, lambda image, i: F.affine(image, 0.0, [0, 0], sizes[i].item(), [0.0, 0.0], nearest))
    )
    mine, rng = operated(Crop(padding=3), x)
    down, right = (((rng.uniform(name)[0] * 7).floor()).long() for name in ("down", "right"))
    padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
    cut = [padded[0, i, d : d + 28, r : r + 28] for i, (d, r) in enumerate(zip(down, right, strict=True))]
    assert torch.equal(mine[0], torch.stack(cut))
    wide, rng = operated(Stretch(factor=2.0), x)
    n = ((rng.uniform()[0] * (2 * steps(2.0) + 1)).floor() - steps(2.0)).double()
    for i in range(40):
        s = 1.01 ** n[i]
        rows, columns = (((torch.arange(28) - 13.5).double() * factor + 13.5) for factor in (s, 1 / s))
        inside = ((rows > -0.5) & (rows < 27.5))[:, None] & ((columns > -0.5) & (columns < 27.5))[None]
        picked = x[0, i][rows.round().clamp(0, 27).long()][:, columns.round().clamp(0, 27).long()]
        assert ((torch.where(inside, picked, 0.0)) == wide[0, i]).float().mean() > 0.97  # ties are rounded either way


def test_erasing_blackens_one_rectangle_of_the_drawn_share() -> None:
    x = pictures(400) + 1
    mine, _ = operated(Erasing(p=0.5, smallest=0.1, largest=0.2), x)
    black = mine[0] == 0
    touched = black.flatten(1).any(1)
    assert 0.4 < touched.float().mean() < 0.6
    assert torch.equal(mine[0][~black], x[0][~black])
    for mask in black[touched]:
        rows, columns = mask.any(1), mask.any(0)
        assert mask.sum() == rows.sum() * columns.sum()
        assert 0.08 * 784 < mask.sum() < 0.22 * 784


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_image_operations_match_torchvision_exactly_in_list_order(order: tuple[int, ...]) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import hflip, rotate, vflip

    kinds: list[dict[str, Any]] = [
        {"kind": "rotation", "degrees": 30.0},
        {"kind": "horizontal_flip"},
        {"kind": "vertical_flip"},
    ]
    parts = [kinds[i] for i in order]
    stack, progress = step_of({**SMALL, "regularizers": parts, "optimizer": {"kind": "sgd", "lr": 0.1}})
    stack.seek(1, 0, 32)
    rows = progress.batches.order[:, :32]
    assert stack.images is not None
    gather_pixels = stack.images.batch(progress.data, rows)[0].view(32, 8, 8) * 16
    rng = {d.purpose.split("/")[1]: d.uniform()[0] for _, d in stack.regularizers}
    angles = ((2 * rng["rotation"] - 1) * 3000).round() / 100
    for i, row in enumerate(rows[0]):
        image = progress.data.raw[row].view(1, 8, 8)
        for part in parts:
            if part["kind"] == "rotation":
                image = rotate(image, angles[i].item(), InterpolationMode.NEAREST, fill=0)
            elif rng[str(part["kind"])][i] < 0.5:
                image = hflip(image) if part["kind"] == "horizontal_flip" else vflip(image)
        assert torch.equal(gather_pixels[i].round().to(torch.uint8), image[0])

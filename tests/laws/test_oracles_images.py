"""Law 6: image operations against torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.oracles import SMALL, step_of
from tests.laws.strategies import CPU, dataset_body, parsed
from worker.engine.rng import StackRng
from worker.spec.families.image_operation import ImageOperation
from worker.spec.part import Stacked
from worker.spec.regularizers.blur import Blur
from worker.spec.regularizers.brightness import Brightness
from worker.spec.regularizers.contrast import Contrast
from worker.spec.regularizers.crop import Crop
from worker.spec.regularizers.cutmix import CutMix
from worker.spec.regularizers.erasing import Erasing
from worker.spec.regularizers.greyscale import Greyscale
from worker.spec.regularizers.hue import Hue
from worker.spec.regularizers.random_resized_crop import RandomResizedCrop
from worker.spec.regularizers.saturation import Saturation
from worker.spec.regularizers.sharpen import Sharpen
from worker.spec.regularizers.stretch import Stretch
from worker.spec.regularizers.zoom import Zoom
from worker.spec.warps import apply, steps


def operated(part: Any, x: Tensor, white: float = 255.0) -> tuple[Tensor, StackRng]:
    """One image operation on images (K, N, C, H, W), and the draws that it used."""
    rng = StackRng([7], f"regularizer/{part.kind}/0", CPU, torch.float32)
    rng.seek(1, 0, x.shape[1])
    return apply(Stacked([part], device=CPU, dtype=torch.float32), x.clone(), rng, white), rng


def pictures(channels: int, rows: int = 40) -> Tensor:
    """Raw pictures (1, rows, channels, 28, 28), whole numbers from 0 to 255."""
    drawn = torch.randint(0, 256, (1, rows, channels, 28, 28), generator=torch.Generator().manual_seed(3))
    return drawn.float()


def each(x: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """torchvision's operation on every picture as bytes, (1, rows, channels, 28, 28)."""
    return torch.stack([change(image.to(torch.uint8), i) for i, image in enumerate(x[0])])[None]


def each_float(x: Tensor, change: Callable[[Tensor, int], Tensor]) -> Tensor:
    """torchvision's operation on every picture as floats from 0 to 1, (1, rows, channels, 28, 28)."""
    return torch.stack([change(image / 255, i) * 255 for i, image in enumerate(x[0])])[None]


GREY, COLOR = 1, 3
grey_and_color = pytest.mark.parametrize("channels", [GREY, COLOR])


@pytest.mark.slow  # torchvision takes seconds to import
@grey_and_color
def test_pixel_operations_match_torchvision_within_a_255th(channels: int) -> None:
    from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

    x = pictures(channels)
    mine, rng = operated(Brightness(amount=0.5), x)
    f = 1 + (2 * rng.uniform()[0] - 1) * 0.5
    assert (mine - each(x, lambda image, i: F.adjust_brightness(image, f[i].item()))).abs().max() <= 1
    mine, rng = operated(Contrast(amount=0.5), x)
    f = 1 + (2 * rng.uniform()[0] - 1) * 0.5
    assert (mine - each_float(x, lambda image, i: F.adjust_contrast(image, f[i].item()))).abs().max() < 0.01
    mine, rng = operated(Sharpen(amount=2.0), x)
    f = 1 + rng.uniform()[0] * 2
    assert (mine - each_float(x, lambda image, i: F.adjust_sharpness(image, f[i].item()))).abs().max() <= 1
    for size in (3, 5, 7):
        mine, rng = operated(Blur(sigma=2.0, kernel_size=size), x)
        sigma = 0.1 + rng.uniform()[0] * 1.9
        blurred = each(x, lambda image, i: F.gaussian_blur(image, [size, size], [sigma[i].item()] * 2))  # noqa: B023
        assert (mine - blurred).abs().max() <= 1


@pytest.mark.slow
def test_color_operations_match_torchvision() -> None:
    from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

    x = pictures(COLOR)
    x[:, ::4] = x[:, ::4].mean(2, keepdim=True).round()  # grey pixels have no hue
    x[:, 1::4, 1] = x[:, 1::4, 0]  # two channels share the largest value
    mine, rng = operated(Hue(amount=0.5), x)
    shift = (2 * rng.uniform()[0] - 1) * 0.5
    assert (mine - each_float(x, lambda image, i: F.adjust_hue(image, shift[i].item()))).abs().max() < 0.01
    mine, rng = operated(Saturation(amount=1.0), x)
    f = 1 + (2 * rng.uniform()[0] - 1)
    assert (mine - each_float(x, lambda image, i: F.adjust_saturation(image, f[i].item()))).abs().max() < 0.01
    mine, rng = operated(Greyscale(p=0.5), x)
    chosen = rng.uniform()[0] < 0.5
    grey = each_float(x, lambda image, i: F.rgb_to_grayscale(image, 3) if chosen[i] else image)
    assert (mine - grey).abs().max() < 0.01


@pytest.mark.slow
@grey_and_color
def test_resized_crop_matches_torchvision_on_the_drawn_rectangle(channels: int) -> None:
    from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

    x = pictures(channels, 200)[..., :20]
    mine, rng = operated(RandomResizedCrop(smallest=0.1, ratio=2.0), x)
    area = (0.1 + 0.9 * rng.uniform("area")[0].double()) * 28 * 20
    low, high = (torch.maximum(torch.minimum(area.new_tensor(r), 400 / area), area / 784).log() for r in (0.5, 2.0))
    aspect = (low + rng.uniform("ratio")[0] * (high - low)).exp()
    tall, wide = ((area / aspect).sqrt().round(), (area * aspect).sqrt().round())
    assert (tall * wide / 560).min() > 0.07
    assert (tall * wide / area - 1).abs().max() < 0.2
    top, left = (
        (rng.uniform(name)[0] * (whole - side + 1)).floor()
        for name, whole, side in (("top", 28, tall), ("left", 20, wide))
    )
    boxes = torch.stack([top, left, tall, wide], 1).long().tolist()
    cut = each_float(x, lambda image, i: F.resized_crop(image, *boxes[i], [28, 20], antialias=True))
    assert (mine - cut).abs().max() < 0.01


@pytest.mark.slow
@grey_and_color
def test_geometric_operations_match_torchvision_exactly(channels: int) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

    x = pictures(channels)
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
    cut = [padded[0, i, :, d : d + 28, r : r + 28] for i, (d, r) in enumerate(zip(down, right, strict=True))]
    assert torch.equal(mine[0], torch.stack(cut))
    wide, rng = operated(Stretch(factor=2.0), x)
    n = ((rng.uniform()[0] * (2 * steps(2.0) + 1)).floor() - steps(2.0)).double()
    for i in range(40):
        s = 1.01 ** n[i]
        rows, columns = (((torch.arange(28) - 13.5).double() * factor + 13.5) for factor in (s, 1 / s))
        inside = ((rows > -0.5) & (rows < 27.5))[:, None] & ((columns > -0.5) & (columns < 27.5))[None]
        picked = x[0, i][:, rows.round().clamp(0, 27).long()][..., columns.round().clamp(0, 27).long()]
        assert ((torch.where(inside, picked, 0.0)) == wide[0, i]).float().mean() > 0.97  # ties are rounded either way


@grey_and_color
def test_erasing_blackens_one_rectangle_of_the_drawn_share(channels: int) -> None:
    x = pictures(channels, 400) + 1
    mine, _ = operated(Erasing(p=0.5, smallest=0.1, largest=0.2), x)
    black = (mine[0] == 0).all(1)
    touched = black.flatten(1).any(1)
    assert 0.4 < touched.float().mean() < 0.6
    assert torch.equal(mine[0], x[0].masked_fill(black[:, None], 0))
    for mask in black[touched]:
        rows, columns = mask.any(1), mask.any(0)
        assert mask.sum() == rows.sum() * columns.sum()
        assert 0.08 * 784 < mask.sum() < 0.22 * 784


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("dataset", ["digits", "colors"])
def test_image_operations_match_torchvision_exactly_in_list_order(dataset: str, order: tuple[int, ...]) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import hflip, rotate, vflip

    kinds: list[dict[str, Any]] = [
        {"kind": "rotation", "degrees": 30.0},
        {"kind": "horizontal_flip"},
        {"kind": "vertical_flip"},
    ]
    parts = [kinds[i] for i in order]
    body = {**SMALL, "dataset": {**dataset_body(dataset), "train_size": 96, "validation_size": 30}}
    stack, progress = step_of({**body, "regularizers": parts, "optimizer": {"kind": "sgd", "lr": 0.1}})
    stack.seek(1, 0, 32)
    rows = progress.batches.order[:, :32]
    assert stack.images is not None
    gather_pixels = stack.images.batch(progress.data, rows)[0].view(32, -1, 8, 8) * progress.data.spec.white
    rng = {d.purpose.split("/")[1]: d.uniform()[0] for _, d in stack.regularizers}
    angles = ((2 * rng["rotation"] - 1) * 3000).round() / 100
    for i, row in enumerate(rows[0]):
        image = progress.data.raw[row].view(-1, 8, 8)
        for part in parts:
            if part["kind"] == "rotation":
                image = rotate(image, angles[i].item(), InterpolationMode.NEAREST, fill=0)
            elif rng[str(part["kind"])][i] < 0.5:
                image = hflip(image) if part["kind"] == "horizontal_flip" else vflip(image)
        assert torch.equal(gather_pixels[i].round().to(torch.uint8), image)


@pytest.mark.parametrize("part", [Hue(amount=0.2), Saturation(amount=0.2), Greyscale()])
def test_operation_on_colors_refuses_grey_images(part: ImageOperation) -> None:
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [part.model_dump(mode="json")]}
    (objection,) = parsed(body).objections()
    assert objection[0] == ("regularizers", 0)
    assert "the images of 'digits' are grey (shape [8, 8])" in objection[1].message
    assert not list(parsed({**body, "dataset": dataset_body("colors")}).objections())


def test_cutmix_moves_all_channels_alike_and_mixes_labels_by_area() -> None:
    torch.manual_seed(3)
    x, targets = torch.rand(1, 50, 3, 8, 8), torch.eye(50)[None]
    rng = StackRng([7], "regularizer/cutmix/0", CPU, torch.float32)
    rng.seek(1, 0, 50)
    part = Stacked([CutMix()], device=CPU, dtype=torch.float32)
    mixed, labels = CutMix.mix(part, x, targets, rng)
    other = (rng.uniform("partner")[0] * 50).long()
    from_other = (mixed == x[:, other])[0]
    assert torch.equal(mixed[0], torch.where(from_other, x[0, other], x[0]))
    assert torch.equal(from_other.all(1), from_other.any(1))
    shares = from_other[:, 0].flatten(1).float().mean(1)
    assert torch.allclose(labels[0, torch.arange(50), other], torch.where(other == torch.arange(50), 1.0, shares))
    grey, same = CutMix.mix(part, x[:, :, 0].contiguous(), targets, rng)
    assert torch.equal(grey, mixed[:, :, 0])
    assert torch.equal(same, labels)

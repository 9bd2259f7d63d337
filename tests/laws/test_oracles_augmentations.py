"""Law 6: operations drawn from a set, against torchvision and the distributions of their papers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.laws.oracles import SMALL
from tests.laws.strategies import CPU, parsed
from tests.laws.test_oracles_images import operated, pictures
from worker.engine.rng import StackRng
from worker.spec import augmentations
from worker.spec.augmentations import CHANGES, Policy, changed
from worker.spec.pixels import moved
from worker.spec.regularizers import aug_mix, rand_augment, trivial_augment
from worker.spec.regularizers.aug_mix import AugMix
from worker.spec.regularizers.blur import Blur
from worker.spec.regularizers.erasing import Erasing
from worker.spec.regularizers.rand_augment import RandAugment
from worker.spec.regularizers.random_choice import RandomChoice
from worker.spec.regularizers.shear import Shear
from worker.spec.regularizers.solarize import Solarize
from worker.spec.regularizers.trivial_augment import TrivialAugment

NAMES = {
    "shear_x": "ShearX",
    "shear_y": "ShearY",
    "translate_x": "TranslateX",
    "translate_y": "TranslateY",
    "rotate": "Rotate",
    "auto_contrast": "AutoContrast",
}
"""Torchvision's names of operations; those of others are the same with a capital."""
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COMPUTED = ("brightness", "color", "contrast", "sharpness", "auto_contrast")
"""Operations that give no whole numbers."""
HEIGHT, WIDTH = 32, 40
POLICIES: dict[str, Policy] = {
    "RandAugment": rand_augment.POLICY,
    "TrivialAugmentWide": trivial_augment.POLICY,
    "AugMix": aug_mix.POLICY,
}


def one(name: str, level: int, sign: int, policy: Policy, x: Tensor) -> Tensor:
    """Every image of ``x`` (1, N, C, H, W) after one operation of one strength."""
    number, of_images = list(CHANGES).index(name), torch.ones(x.shape[:2], dtype=torch.int64)
    return changed(policy, x.clone(), of_images * number, of_images * level, of_images * sign < 0, 255.0)


def near_a_tie(policy: Policy, name: str, level: int, sign: int) -> Tensor:
    """Which pixels come from the border between two pixels, so that rounding decides, (H, W)."""
    a, b, c, d, e, f = policy.values(name, level, sign, HEIGHT, WIDTH)
    u = torch.arange(WIDTH, dtype=torch.float64) - (WIDTH - 1) / 2
    v = (torch.arange(HEIGHT, dtype=torch.float64) - (HEIGHT - 1) / 2).view(-1, 1)
    places = a * u + b * v + c + (WIDTH - 1) / 2, d * u + e * v + f + (HEIGHT - 1) / 2
    first, second = ((place - place.floor() - 0.5).abs() < 1e-3 for place in places)
    return first | second


@pytest.mark.slow  # torchvision takes seconds to import
@pytest.mark.parametrize("kind", sorted(POLICIES))
def test_operations_of_all_strengths_match_torchvision(kind: str) -> None:
    from torchvision.transforms import v2

    policy, peer = POLICIES[kind], getattr(v2, kind)()
    space = peer._AUGMENTATION_SPACE
    assert len(space) == len(CHANGES) + ("Identity" in space)
    x = torch.randint(0, 256, (1, 4, 3, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(3)).float()
    x[:, 1, 0] = 77  # a channel of one value
    x[:, 2] = x[:, 2] // 3 + 40
    for name in CHANGES:
        theirs = NAMES.get(name, name.capitalize())
        strengths, signed = space[theirs]
        strengths = strengths(policy.levels, HEIGHT, WIDTH)
        for level in range(0, policy.levels, 1 if strengths is None or policy.levels < 31 else 5):
            for sign in (1, -1) if signed else (1,):
                strength = 0.0 if strengths is None else round(float(strengths[level]), 5) * sign  # not 15.999999
                mine = one(name, level, sign, policy, x)
                images = x[0] / 255 if name in COMPUTED else x[0].to(torch.uint8)
                exact = peer._apply_image_or_video_transform(images, theirs, strength, "nearest", peer._fill)
                exact = exact * 255 if name in COMPUTED else exact.float()
                difference = (mine[0] - exact).abs()
                if name in MOVES:
                    difference[..., near_a_tie(policy, name, level, sign)] = 0
                elif name == "solarize":
                    difference[(x[0] - 255 * strength).abs() < 1e-3] = 0
                assert difference.max() <= (1e-3 if name in COMPUTED else 0), (name, level, sign)


def test_every_image_has_its_own_operations_and_strength() -> None:
    x = pictures(3, 300)
    for part in (RandAugment(operations=1), TrivialAugment()):
        mine, rng = operated(part, x)
        number = (rng.uniform("operation0" if part.kind == "rand_augment" else "operation") * 14).long()
        same = (mine == x).flatten(2).all(2)
        assert same[number == 13].all()  # no operation
        assert 15 < (number == 13).sum() < 40
        level = 9 * torch.ones_like(number) if part.kind == "rand_augment" else (rng.uniform("strength") * 31).long()
        policy = rand_augment.POLICY if part.kind == "rand_augment" else trivial_augment.POLICY
        backwards = rng.uniform("direction0" if part.kind == "rand_augment" else "direction") < 0.5
        for i in range(30):
            if number[0, i] < 13:
                sign = -1 if backwards[0, i] else 1
                alone = one(list(CHANGES)[number[0, i]], int(level[0, i]), sign, policy, x[:, i : i + 1])
                assert torch.equal(alone, mine[:, i : i + 1])


def test_grey_images_keep_their_size_and_range() -> None:
    for part in (RandAugment(operations=4, magnitude=30), TrivialAugment(), AugMix(severity=10, depth=2)):
        mine, _ = operated(part, pictures(1, 200) * (16 / 255), white=16.0)
        assert mine.shape == (1, 200, 1, 28, 28)
        assert mine.min() >= 0
        assert mine.max() <= 16


def test_aug_mix_is_the_weighted_mean_of_its_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = list[Tensor]()

    def constant(part: Any, x: Tensor, rng: Any, white: float) -> Tensor:
        chains.append(torch.full_like(x, 10.0 * len(chains)))
        return chains[-1]

    monkeypatch.setattr(aug_mix, "_chain", constant)
    x = torch.full((1, 3000, 1, 2, 2), 100.0)
    mine, rng = operated(AugMix(alpha=2.0), x)
    share, weights = rng.beta("share", [2.0]), rng.dirichlet("weights", [2.0], 3)
    torch.testing.assert_close(weights.sum(2), torch.ones(1, 3000))
    expected = share * 100 + (1 - share) * (weights * torch.tensor([0.0, 10.0, 20.0])).sum(2)
    torch.testing.assert_close(mine[..., 0, 0, 0], expected)
    # Dirichlet(2, 2, 2): each weight has mean 1/3 and variance 1/3 · 2/3 / 7
    torch.testing.assert_close(weights.mean((0, 1)), torch.full((3,), 1 / 3), rtol=0, atol=0.01)
    torch.testing.assert_close(weights.var((0, 1)), torch.full((3,), 2 / 63), rtol=0.1, atol=0)


def test_dirichlet_draws_depend_on_the_row_only() -> None:
    whole, parts = (StackRng([5, 6], "regularizer/aug_mix/0", CPU, torch.float32) for _ in range(2))
    whole.seek(1, 0, 5000)
    drawn = whole.dirichlet("weights", [1.0, 2.0], 3)
    for first in (0, 4000, 4990):
        parts.seek(1, first, 10)
        assert torch.equal(parts.dirichlet("weights", [1.0, 2.0], 3), drawn[:, first : first + 10])


def test_identity_moves_nothing_and_a_shift_is_black_behind() -> None:
    x = pictures(3, 2)[0]
    assert torch.equal(moved(x, torch.tensor([[1.0, 0, 0, 0, 1, 0]] * 2)), x)
    right = moved(x, torch.tensor([[1.0, 0, -3, 0, 1, 0]] * 2))
    assert torch.equal(right[..., 3:], x[..., :-3])
    assert not right[..., :3].any()


def test_random_choice_has_the_requested_probabilities() -> None:
    x = pictures(1, 4000)[..., :4, :4]
    of = [{"kind": "vertical_flip", "p": 1.0}, {"kind": "brightness", "amount": 0.0}]
    body = {"kind": "random_choice", "of": of, "probabilities": [0.2, 0.8]}
    mine, rng = operated(RandomChoice.model_validate_json(json.dumps(body)), x)
    flipped = rng.uniform() < 0.2
    assert torch.equal(mine, torch.where(flipped[..., None, None, None], x.flip(-2), x))
    assert abs(flipped.float().mean() - 0.2) < 0.02


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5, 0.0], "2 operations need as many probabilities, not 3."),
        ([0.5, 0.3], "add up to 0.8, not to 1. Divided by their sum, they are [0.625, 0.375]."),
        ([0.0, 0.0], "add up to 0, not to 1."),
    ],
)
def test_wrong_probabilities_are_refused(probabilities: list[float], message: str) -> None:
    part = {"kind": "random_choice", "of": [{"kind": "blur"}, {"kind": "erasing"}], "probabilities": probabilities}
    body = {**SMALL, "optimizer": {"kind": "sgd", "lr": 0.1}, "regularizers": [part]}
    ((place, objection),) = parsed(body).objections()
    assert place == ("regularizers", 0, "probabilities")
    assert message in objection.message


def test_random_choice_without_probabilities_keeps_its_hash() -> None:
    part = RandomChoice(of=(Blur(), Erasing()))
    assert "probabilities" not in part.model_dump()


def test_images_are_the_same_if_operations_are_computed_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    x = pictures(3, 100)
    mine, _ = operated(TrivialAugment(), x)
    monkeypatch.setattr(augmentations, "by_rows", augmentations.everywhere)
    assert torch.equal(operated(TrivialAugment(), x)[0], mine)


@pytest.mark.slow  # torchvision takes seconds to import
@pytest.mark.parametrize("channels", [1, 3])
def test_shear_and_solarizing_match_torchvision(channels: int) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F  # noqa: N812 - its usual name

    x = pictures(channels)
    mine, rng = operated(Shear(amount=0.5), x)
    steps = ((2 * rng.uniform()[0] - 1) * 50).round().double() / 100
    for i, s in enumerate(steps.tolist()):
        slanted = F.affine(
            x[0, i], 0.0, [0, 0], 1.0, [math.degrees(math.atan(s)), 0.0], interpolation=InterpolationMode.NEAREST
        )
        # torchvision shears about the center, too; a pixel between two may come from either
        columns = torch.arange(28, dtype=torch.float64) + s * (torch.arange(28, dtype=torch.float64) - 13.5).view(-1, 1)
        between = (columns - columns.floor() - 0.5).abs() < 1e-3
        assert torch.equal(mine[0, i].masked_fill(between, 0), slanted.masked_fill(between, 0)), s
    mine, rng = operated(Solarize(p=0.5, threshold=0.25), x)
    chosen = rng.uniform()[0] < 0.5
    assert 5 < chosen.sum() < 35
    for i in range(40):
        exact = F.solarize(x[0, i].to(torch.uint8), 0.25 * 255) if chosen[i] else x[0, i]
        assert torch.equal(mine[0, i], exact.float())

"""Deep double descent: the test error peaks where a network just fits its training rows, and falls again beyond."""

from __future__ import annotations

from typing import Any

from service.reproductions.definition import Claim, Reproduction, Source
from service.reproductions.peaks import Peak
from service.reproductions.rules import Bound, Direction

_INPUTS, _CLASSES = 40, 10
WIDTHS = {"parameters = rows / 4": 0.25, "rows / 2": 0.5, "rows": 1, "2 rows": 2, "4 rows": 4, "16 rows": 16}
"""Parameters for each training row, by arm."""
EPOCHS = {"few epochs": 0.02, "some epochs": 0.1, "many epochs": 0.3, "all epochs": 1.0}
"""Share of the epochs, by arm."""


def _base(rows: int, epochs: int, ratio: float) -> dict[str, Any]:
    """Return a run with ``ratio`` parameters for each row, a fifth of which have a wrong label."""
    hidden = round((ratio * rows - _CLASSES) / (_INPUTS + 1 + _CLASSES))
    return {
        "dataset": {"kind": "mnist1d", "train_size": rows, "validation_size": 0, "label_noise": 0.2},
        "model": {"kind": "mlp", "hidden": [hidden]},
        "optimizer": {"kind": "adam", "lr": 0.003},
        "epochs": epochs,
        "batch_size": 125,
        "evaluate": {"train": "full", "every": epochs},
    }


def _widths(rows: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of networks that differ in width."""
    arms = {arm: {"model": _base(rows, epochs, ratio)["model"]} for arm, ratio in WIDTHS.items()}
    return {"base": _base(rows, epochs, 1), "arms": arms, "seeds": seeds, "metric": "test.error", "at": "last"}


def _epochs(rows: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Return the study of a wide network that is trained for longer and longer."""
    shares = {arm: round(share * epochs) for arm, share in EPOCHS.items()}
    arms = {arm: {"epochs": count, "evaluate": {"every": count}} for arm, count in shares.items()}
    return {"base": _base(rows, epochs, 8), "arms": arms, "seeds": seeds, "metric": "test.error", "at": "last"}


REPRODUCTION = Reproduction(
    title="Deep double descent",
    question="Does the test error rise and fall again as a network grows, or as it is trained for longer?",
    source=Source(
        authors="Preetum Nakkiran, Gal Kaplun, Yamini Bansal, Tristan Yang, Boaz Barak and Ilya Sutskever",
        year=2019,
        title="Deep double descent: where bigger models and more data hurt",
        venue="International Conference on Learning Representations 2020",
        url="https://arxiv.org/abs/1912.02292",
    ),
    deviations=(
        "The source trains residual networks and transformers of many widths on images and translations, up to a fifth "
        "of whose labels are wrong. Here networks with one hidden layer learn MNIST-1D, a fifth of whose training "
        "labels are wrong, with Adam at a constant rate. Arms have a quarter to 16 parameters for each training row; "
        "the interpolation threshold is expected at one to four. In the second study, a network with eight parameters "
        "for each row is trained for 2, 10, 30 and 100 % of the epochs."
    ),
    studies={
        "quick": {"widths": _widths(500, 500, 6), "epochs": _epochs(500, 480, 6)},
        "full": {"widths": _widths(1500, 2000, 12), "epochs": _epochs(1500, 1900, 12)},
    },
    claims={
        "peak_in_width": Claim(
            statement="From the narrowest to the widest network, the test error has a peak.",
            expected="a peak",
            place="section on model-wise double descent",
            rule=Peak(study="widths", arms=tuple(WIDTHS)),
        ),
        "peak_at_threshold": Claim(
            statement="The peak is at one, two or four parameters for each training row.",
            expected="at the interpolation threshold",
            place="section on model-wise double descent",
            rule=Peak(study="widths", arms=tuple(WIDTHS), at_arms=("rows", "2 rows", "4 rows")),
        ),
        "wide_interpolates": Claim(
            statement="The widest network fits its training rows, wrong labels among them: under 1 % are wrong.",
            expected="about 0 %",
            place="definition of the interpolation threshold",
            rule=Bound(study="widths", arm="16 rows", metric="train.error_eval", direction="lower", bound=0.01),
        ),
        "narrow_does_not": Claim(
            statement="The network with half as many parameters as rows does not: more than 10 % are wrong.",
            expected="well above 0 %",
            place="definition of the interpolation threshold",
            rule=Bound(study="widths", arm="rows / 2", metric="train.error_eval", direction="higher", bound=0.1),
        ),
        "second_descent": Claim(
            statement="Beyond the threshold, the test error falls: it is lower with 16 parameters for each row than "
            "with two.",
            expected="lower",
            place="section on model-wise double descent",
            rule=Direction(study="widths", arm="16 rows", against="2 rows", direction="lower"),
        ),
        "peak_in_epochs": Claim(
            statement="As a wide network is trained for longer, its test error has a peak.",
            expected="a peak: it falls, rises and falls again",
            place="section on epoch-wise double descent",
            rule=Peak(study="epochs", arms=tuple(EPOCHS)),
        ),
    },
)

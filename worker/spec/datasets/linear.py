"""A linear function of known coefficients, and noise, to see how near a regularizer comes to the truth.

    y = Σ w_j·x_j + ε,    x ~ N(0, Σ) with Σ_ij = ρ^|i − j|,    ε ~ N(0, σ²)

``informative`` of the coefficients are not zero: of either sign, and between ½ and 2. Inputs and target are left in
their own units, so that the weights of a linear model are to be compared with the coefficients: a run of one records
``coefficients.error`` (‖ŵ − w‖/‖w‖) and ``support.tpr`` and ``support.fpr``, the shares of the inputs with and without
a coefficient whose weight is not zero. The lowest test loss that any model can have is σ².

Reference: Tibshirani, 1996, "Regression shrinkage and selection via the lasso", section 7 (the design of the
simulation; there ρ = 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.families.dataset import Arrays, Dataset, Task
from worker.spec.part import Objection

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.run import RunSpec

    Values = np.ndarray[Any, np.dtype[np.float64]]

TRAIN, TEST = 1000, 1000
SMALLEST, LARGEST = 0.5, 2.0
"""Sizes of coefficients that are not zero."""


class LinearData(Dataset):
    """1000 training and 1000 test rows of a linear function with noise, whose coefficients are known."""

    equation: ClassVar[str] = "y = Σ w_j·x_j + ε,  x ~ N(0, Σ), Σ_ij = ρ^|i − j|,  ε ~ N(0, σ²)"
    reference: ClassVar[str] = "Tibshirani 1996, Regression shrinkage and selection via the lasso"

    kind: Literal["linear"] = "linear"
    validation_size: int = Field(default=200, ge=0, description="Rows held out of the training part for validation.")
    features: int = Field(default=20, ge=1, le=2000, description="D, how many inputs there are.")
    informative: int = Field(default=5, ge=1, le=2000, description="How many of them have a coefficient.")
    noise: float = Field(default=1.0, ge=0, le=1e3, description="σ, the noise's standard deviation.")
    correlation: float = Field(default=0.0, ge=0, lt=1, description="ρ, between inputs that are neighbours.")
    data_seed: int | None = Field(
        default=None,
        ge=0,
        le=2**32 - 1,
        description="Of coefficients, inputs and noise. Null is the run's seed: each seed of a study has data of "
        "its own, and what is compared over them holds for data like these, not for one draw.",
    )

    @property
    def shape(self) -> tuple[int, ...]:
        """One number for each input."""
        return (self.features,)

    @property
    def classes(self) -> tuple[str, ...]:
        """None: the target is a number."""
        return ()

    @property
    def rows(self) -> tuple[int, int]:
        """Of the training part and of the test part."""
        return TRAIN, TEST

    @property
    def task(self) -> Task:
        """The target is a number."""
        return "regression"

    def seeded(self, seed: int) -> LinearData:
        """With the run's seed for the data, where they have none."""
        return self if self.data_seed is not None else self.model_copy(update={"data_seed": seed % 2**32})

    def unseeded(self) -> LinearData:
        """Without a seed for the data, so that they have the run's."""
        return self.model_copy(update={"data_seed": None})

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse more coefficients than inputs."""
        if self.informative > self.features:
            message = f"Of {self.features} features at most {self.features} are informative, not {self.informative}."
            return [Objection(field="informative", message=message)]
        return super().objections(run)

    def digest(self) -> str:
        """Of the recipe and its figures."""
        from worker.spec.canonical import sha256_of

        figures = self.model_dump(include={"features", "informative", "noise", "correlation", "data_seed"})
        return sha256_of({"recipe": "linear-1", "rows": [TRAIN, TEST], "sizes": [SMALLEST, LARGEST], **figures})

    @property
    def coefficients(self) -> Values:
        """The true coefficients (D,)."""
        return self._drawn()[0]

    def load(self, home: Path) -> Arrays:
        """The rows as float32 (N, D), their targets as float64."""
        import numpy as np

        coefficients, rng = self._drawn()
        x = rng.standard_normal((TRAIN + TEST, self.features))
        for j in range(1, self.features):
            x[:, j] = self.correlation * x[:, j - 1] + (1 - self.correlation**2) ** 0.5 * x[:, j]
        x = x.astype(np.float32).astype(np.float64)  # the target is a function of what the model sees
        y = self.noise * rng.standard_normal(len(x))
        for j in np.flatnonzero(
            coefficients
        ).tolist():  # one after the other: a product's bits may depend on the library
            y += coefficients[j] * x[:, j]
        rows = x.astype(np.float32)
        return Arrays(rows[:TRAIN], y[:TRAIN], rows[TRAIN:], y[TRAIN:])

    def _drawn(self) -> tuple[Values, np.random.RandomState]:
        """The coefficients, and the generator as it is after they were drawn."""
        import numpy as np

        rng = np.random.RandomState(self.data_seed or 0)  # its stream is frozen by numpy
        places = rng.permutation(self.features)[: self.informative]
        sizes = SMALLEST + (LARGEST - SMALLEST) * rng.random_sample(self.informative)
        coefficients = np.zeros(self.features)
        coefficients[places] = np.where(rng.random_sample(self.informative) < 0.5, -sizes, sizes)
        return coefficients, rng

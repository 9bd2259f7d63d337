"""Modular arithmetic: all equations a ∘ b = c (mod p), on which networks generalize long after they memorized.

A row is the four tokens a, ∘, b and =, of which the label c follows. Numbers are the tokens 0 … p − 1, the operation is
p, the equals sign p + 1. There is a row for each pair of numbers; in a division b is not 0. A tenth of the rows, the
same for every split, tests. How much of the rest trains is a matter of ``train_size`` and ``validation_size``: unless
it is set, half of it validates.

Reference: Power, Burda, Edwards, Babuschkin and Misra, 2022, "Grokking: generalization beyond overfitting on small
algorithmic datasets".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from worker.spec.families.dataset import Arrays, Dataset
from worker.spec.part import Objection
from worker.spec.rng import permutation

if TYPE_CHECKING:
    from worker.spec.run import RunSpec

TEST_SHARE = 10
"""One row of so many tests."""
MAX_MODULUS = 499


class ModularArithmetic(Dataset):
    """All equations a ∘ b = c (mod p) as four tokens and the class c: 9,409 of them for p = 97."""

    equation: ClassVar[str] = "c = a ∘ b mod p"
    reference: ClassVar[str] = (
        "Power, Burda, Edwards, Babuschkin and Misra 2022, Grokking: generalization beyond overfitting on small "
        "algorithmic datasets"
    )

    kind: Literal["modular_arithmetic"] = "modular_arithmetic"
    modulus: int = Field(default=97, ge=5, le=MAX_MODULUS, description="p, the number of classes; prime for divide.")
    operation: Literal["add", "subtract", "multiply", "divide"] = Field(
        default="add", description="a + b, a − b, a · b, or a / b, the number that times b is a."
    )
    validation_size: int = Field(
        default=0, ge=0, description="Rows held out of the training part for validation; half of it by default."
    )

    @model_validator(mode="after")
    def _half_validates(self) -> ModularArithmetic:
        """Set ``validation_size`` where neither it nor a fold is given; the number depends on the modulus."""
        if "validation_size" not in self.model_fields_set and self.fold is None:
            free = self.rows[0] - (self.train_size or 0)
            self.__dict__["validation_size"] = max(0, min(self.rows[0] // 2, free))  # the model is frozen
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """Four tokens."""
        return (4,)

    @property
    def tokens(self) -> int:
        """The numbers, the operation and the equals sign."""
        return self.modulus + 2

    @property
    def classes(self) -> tuple[str, ...]:
        """The numbers."""
        return tuple(map(str, range(self.modulus)))

    @property
    def rows(self) -> tuple[int, int]:
        """Of the training part and of the test part."""
        rows = self.modulus * (self.modulus - (self.operation == "divide"))
        return rows - rows // TEST_SHARE, rows // TEST_SHARE

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse divisions that have no single result, and a scale of tokens."""
        if self.operation == "divide" and not _is_prime(self.modulus):
            primes = [n for n in range(5, MAX_MODULUS + 1) if _is_prime(n)]
            message = f"Numbers can be divided modulo a prime only, and {self.modulus} is none; use 97, for example."
            return [Objection(field="modulus", message=message, allowed=primes)]
        if self.normalize is not None:
            return [Objection(field="normalize", message="Tokens have no scale; leave normalize out.")]
        return super().objections(run)

    def digest(self) -> str:
        """Return the digest of the recipe."""
        from worker.spec.canonical import sha256_of

        figures = self.model_dump(include={"modulus", "operation"})
        return sha256_of({"recipe": "modular-arithmetic-1", "test_share": TEST_SHARE, **figures})

    def load(self, home: Path) -> Arrays:
        """Return the tokens as float32 (N, 4), and the results."""
        import numpy as np

        p = self.modulus
        left, right = np.divmod(np.arange(p * p), p)
        if self.operation == "divide":
            left, right = left[right > 0], right[right > 0]
        if self.operation == "divide":
            y = left * np.array([pow(b, -1, p) for b in range(1, p)])[right - 1]
        elif self.operation == "multiply":
            y = left * right
        else:
            y = left + right if self.operation == "add" else left - right
        y = (y % p).astype(np.int64)
        x = np.stack([left, np.full_like(left, p), right, np.full_like(left, p + 1)], 1).astype(np.float32)
        order = permutation(0, "modular_arithmetic", 0, len(x))
        x, y, train = x[order], y[order], self.rows[0]
        return Arrays(x[:train], y[:train], x[train:], y[train:])


def _is_prime(number: int) -> bool:
    """Return whether ``number``, at least 2, is prime."""
    return all(number % n for n in range(2, int(number**0.5) + 1))

"""Datasets: rows and labels, their split, label noise and imbalance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from worker.spec.class_subsets import ClassLabel, counted, known_labels, labels_of, rows_left
from worker.spec.folds import Fold
from worker.spec.part import Objection, Part, PerRun, Spec
from worker.spec.references import References
from worker.spec.split_objections import fixed_split, imbalanced_rows, split_objections

if TYPE_CHECKING:
    import numpy as np

    from worker.spec.run import RunSpec
    from worker.spec.tables.embedded import EmbeddedColumn
    from worker.spec.tables.fitted import Fitted
    from worker.spec.tables.rows import TableRows

    Values = np.ndarray[Any, Any]
    Scale = float | Values
    """A number for all inputs, or one for each, (D,)."""

Task = Literal["classification", "regression"]


class Normalize(Spec):
    """Shift and scale inputs: (x − mean) / std, after images were scaled to [0, 1]."""

    mean: float = Field(description="Subtracted from every input.")
    std: float = Field(gt=0, description="Divisor of the shifted inputs.")


class Arrays(NamedTuple):
    """A dataset in memory. Images are uint8 (N, H, W) or (N, C, H, W); other rows are float32 (N, D).

    Labels are int64 (N,), the target of a regression is float64 (N,). The inputs of a typed table are its ``tables``
    until they are :meth:`prepared`.
    """

    train_x: Values
    train_y: Values
    test_x: Values
    test_y: Values
    tables: tuple[TableRows, TableRows] | None = None
    """The training part and the test part of a typed table."""
    train_groups: Values | None = None
    """The group of each row of the training part, int64 from 0 (N,); a group never trains and validates."""
    train_validates: Values | None = None
    """Whether each row of the training part validates, bool (N,), if the data designate them."""
    train_weights: Values | None = None
    """How many rows each row of the training part counts as, positive float64 (N,); None: each as one."""
    test_weights: Values | None = None
    """The same of the test part; None if and only if ``train_weights`` is."""

    def prepared(self, fitted: Fitted | None) -> Arrays:
        """Return the arrays with the rows of a typed table as features."""
        if self.tables is None or fitted is None:
            return self
        train_x, test_x = (fitted.transform(rows) for rows in self.tables)
        return self._replace(train_x=train_x, test_x=test_x, tables=None)


class Dataset(Part):
    """Rows and labels. ``split_seed`` alone decides which rows validate, so all seeds of a study share the split."""

    train_size: int | None = Field(
        default=None, ge=1, description="Number of training rows; null uses all remaining rows."
    )
    train_classes: tuple[ClassLabel, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=1000,
        exclude_if=lambda classes: classes is None,  # so that hashes are the same as before it existed
        description="Train only on rows of these classes, given by name or label (from 0 on); null trains on all. "
        "Validation rows, test rows and outputs stay those of all classes.",
    )
    validation_size: int = Field(default=0, ge=0, description="Rows held out of the training part for validation.")
    fold: Fold | None = Field(
        default=None,
        # Excluded if unset, so that hashes and keys are the same as before folds existed.
        exclude_if=lambda fold: fold is None,
        description="Validate on this fold of the training part and train on the others, instead of validation_size.",
    )
    split_seed: PerRun[int] = Field(
        default=0, ge=0, le=2**53 - 1, description="Decides which rows train and which validate."
    )
    normalize: Normalize | None = Field(
        default=None, description="Shift and scale; null keeps the dataset's own scale."
    )
    label_noise: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the training labels that are replaced by another class at random.",
    )
    imbalance: float = Field(
        default=1.0, ge=1, le=1000, description="How many times as many training rows the first class has as the last."
    )
    oversample: bool = Field(
        default=False,
        exclude_if=lambda oversample: not oversample,  # so that hashes are the same as before it existed
        description="Train on equally many rows of each class in every epoch: those of small classes are repeated, and "
        "of large ones other rows are left out in every epoch. The number of rows is unchanged.",
    )

    def references(self) -> References:
        """Return the dataset itself."""
        return References(datasets={(): self})

    @property
    def upload_id(self) -> str | None:
        """The id of the upload that has the rows; None for a bundled dataset."""
        return None

    @model_validator(mode="after")
    def _completed(self) -> Self:
        """Beside a fold, the default of ``validation_size`` is 0. Classes become labels; those of uploads later."""
        if self.fold is not None and "validation_size" not in self.model_fields_set:
            self.__dict__["validation_size"] = 0  # the model is frozen
        if self.train_classes is not None and self.upload_id is None:
            self.__dict__["train_classes"] = labels_of(self.train_classes, self.classes)  # the model is frozen
        return self

    def seeded(self, seed: int) -> Self:
        """Return the dataset of a run with this seed; differs only if the data depend on it."""
        return self

    def unseeded(self) -> Self:
        """Return the dataset of which ``seeded`` returns other data for each seed, if it depends on the seed."""
        return self

    def held_out(self, fold: Fold | None) -> Self:
        """Return the dataset validated on ``fold`` only, or without validation rows if it is None."""
        return self.model_copy(update={"fold": fold, "validation_size": 0})

    @property
    def validation_rows(self) -> int:
        """Number of validation rows."""
        return self.validation_size if self.fold is None else self.fold.size(self.rows[0])

    @property
    def fixed_split(self) -> str | None:
        """Why ``split_seed`` decides nothing, and what would work; None if it does."""
        return fixed_split(self)

    @property
    def embedded(self) -> tuple[EmbeddedColumn, ...]:
        """The columns whose features a model replaces by trained vectors."""
        return ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row: (H, W) or (C, H, W) for images, (D,) otherwise."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of their labels."""
        raise NotImplementedError

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the training part (validation included) and of the test part."""
        raise NotImplementedError

    @property
    def task(self) -> Task:
        """Whether the target is a class or a number."""
        return "classification"

    @property
    def outputs(self) -> int:
        """Number of outputs of a model: one for each class, or 1 in a regression."""
        return len(self.classes) if self.task == "classification" else 1

    @property
    def tokens(self) -> int | None:
        """Number of different tokens, if rows are whole numbers from 0 on; 0 if they are not, None if unknown."""
        return 0

    @property
    def chronological(self) -> bool:
        """Whether rows are in order of time, so that the last rows of the training part validate."""
        return False

    @property
    def horizon(self) -> int:
        """Rows between the last known target and a row's own, in order of time."""
        return 1

    @property
    def splits_stack(self) -> bool:
        """Whether runs of different splits train in one stack, which may need rows for each split."""
        return not self.chronological

    @property
    def white(self) -> float:
        """The raw value that becomes 1.0: 255 for 8-bit images."""
        return 1.0

    @property
    def unused_rows(self) -> int:
        """Rows of the training part that neither train nor validate, so that the others are independent."""
        return 0

    @property
    def splits_at_random(self) -> bool:
        """Whether each row is as likely as any other of its class to validate."""
        return not self.chronological

    @property
    def stratified(self) -> bool:
        """Whether validation takes the same share of each class."""
        return False

    @property
    def class_rows(self) -> list[int] | None:
        """Training rows of each class, falling geometrically from the first on; None without imbalance."""
        return None if self.imbalance == 1.0 else imbalanced_rows(self)

    @property
    def training_rows(self) -> int:
        """Number of training rows."""
        if (class_rows := self.class_rows) is not None:
            return sum(class_rows)
        return self.train_size if self.train_size is not None else self.remaining_rows

    @property
    def remaining_rows(self) -> int:
        """Rows that are left to train on; of selected classes, those that every split leaves."""
        labels = self.selected_labels
        return self.candidate_rows if labels is None else rows_left(self, labels) or 0

    @property
    def candidate_rows(self) -> int:
        """Rows of all classes that neither validate nor are unused."""
        return self.rows[0] - self.validation_rows - self.unused_rows

    @property
    def selected_labels(self) -> tuple[int, ...] | None:
        """The labels of the classes that train, those of unknown classes left out; None if all do."""
        return None if self.train_classes is None else known_labels(self.train_classes, self.classes)

    @property
    def rows_of_classes(self) -> tuple[int, ...] | None:
        """Rows of each class in the training part, validation included; None if they are unknown."""
        return counted(self)

    def objections(self, run: RunSpec) -> Sequence[Objection]:
        """Refuse splits that need too many rows, and settings for classes in a regression."""
        return split_objections(self, run)

    @property
    def learns_scaling(self) -> bool:
        """Whether ``scaling`` depends on the training rows."""
        return False

    def scaling(self, x: Values) -> tuple[Scale, Scale]:
        """Return scale and shift of raw values, given the raw training rows ``x``."""
        mean, std = (self.normalize.mean, self.normalize.std) if self.normalize else (0.0, 1.0)
        return 1 / (self.white * std), -mean / std

    def fitted(self, arrays: Arrays, train: Values) -> Fitted | None:
        """Return the preparation that the training rows at ``train`` give; None if ``arrays`` are not a typed table."""
        return None

    def target_scaling(self, y: Values) -> tuple[float, float]:
        """Return scale and shift of numeric targets, given those of the training rows."""
        return 1.0, 0.0

    def target_name(self, home: Path) -> str | None:
        """Return the name of the target's column; None if it is unknown, or the data are not on this machine."""
        return None

    @property
    def coefficients(self) -> Values | None:
        """The true coefficient of each input (D,), where the target is a known linear function of them and noise."""
        return None

    def digest(self) -> str:
        """Return ``sha256:…`` of the data's content, or of the recipe that generates them."""
        raise NotImplementedError

    def missing(self, home: Path) -> str | None:
        """Return what is missing and how to install it, or None if the data can be read."""
        return None

    def load(self, home: Path) -> Arrays:
        """Return all data in the order of the source.

        Raises:
            FileNotFoundError: The files are missing; ``missing`` says how to install them.
        """
        raise NotImplementedError

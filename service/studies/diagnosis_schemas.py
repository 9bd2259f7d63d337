"""Diagnoses of a study's arms as clients see them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from service.statistics.arm_diagnosis import ALPHA
from service.statistics.diagnosis import Verdict
from service.studies.diagnosis import DiagnosedArm, StudyDiagnosis


class ArmDiagnosisView(BaseModel):
    """The diagnosis of an arm over its seeds."""

    arm: str
    verdict: Verdict
    explanation: str
    n: int = Field(description="Seeds that finished; only their curves count.")
    diverged: int = Field(description="Seeds with a run that diverged.")
    unfinished: int
    epochs: int = Field(description="Epochs that every seed has; later ones are not used.")
    best_epoch: int | None = Field(description="The middle of the window in which the mean over seeds is lowest.")
    lowest: float | None = Field(description="The lowest mean loss over a window.")
    end: float | None = Field(description="The mean loss over the last window.")
    regret: float | None = Field(
        description="How far the loss ends above the window that the other seeds choose, on average over seeds."
    )
    ci: tuple[float, float] | None = Field(description="95 % interval of the regret, by inverting the sign-flip test.")
    p: float | None = Field(description="p of the regret by the sign-flip test.")
    p_fall: float | None = Field(description="p of the fall of the loss at the end; 1 if it falls by less than 0.5 %.")
    regrets: list[float] = Field(description="One for each seed.")
    guessing: float | None = Field(
        description="The loss of predictions that ignore the inputs, as in `baseline` of the runs."
    )

    @classmethod
    def of(cls, arm: DiagnosedArm) -> ArmDiagnosisView:
        """Return the view of an arm's diagnosis."""
        names = ("verdict", "n", "epochs", "best_epoch", "lowest", "end", "regret", "ci", "p", "p_fall")
        one = arm.diagnosis
        return cls(
            **{name: getattr(one, name) for name in names},
            arm=arm.arm,
            explanation=one.reason,
            regrets=list(one.regrets),
            diverged=arm.diverged,
            unfinished=arm.unfinished,
            guessing=arm.guessing,
        )


class StudyDiagnosisView(BaseModel):
    """Diagnoses of a study's arms. Each arm is tested at `alpha` by itself."""

    object: Literal["study_diagnosis"] = "study_diagnosis"
    study_id: str
    train_metric: str | None = Field(description="The training loss that was used; null if some epochs have none.")
    metric: str | None = Field(description="The validation or test loss that was used.")
    optimistic: bool = Field(description="Whether the verdicts are based on the test set.")
    complete: bool = Field(description="Whether every run has finished.")
    alpha: float = ALPHA
    arms: list[ArmDiagnosisView]

    @classmethod
    def of(cls, diagnosis: StudyDiagnosis) -> StudyDiagnosisView:
        """Return the view of a study's diagnoses."""
        return cls(
            study_id=diagnosis.study_id,
            train_metric=diagnosis.train_metric,
            metric=diagnosis.metric,
            optimistic=diagnosis.metric == "test.loss",
            complete=diagnosis.complete,
            arms=[ArmDiagnosisView.of(arm) for arm in diagnosis.arms],
        )

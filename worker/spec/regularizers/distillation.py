"""Knowledge distillation: a student learns from labels and from the outputs of trained teachers.

    J = α·CE(y, softmax(z_s)) + β·D(z_t, z_s)

    soft        D = CE(softmax(z_t/τ), softmax(z_s/τ))
    logits      D = ½·‖z_s − z_t‖²
    decoupled   D = w·KL(b_t ‖ b_s) + v·KL(p̂_t ‖ p̂_s)    at τ; b: the label's class or not, p̂: among the others

Several teachers are combined by the mean of their probabilities at τ (``arithmetic``) or of their log-probabilities
(``geometric``); logits are averaged. The loss has no factor τ²: the gradient of ``soft`` shrinks by it, so set β to
share·τ². ``masked`` teaches only rows that the combined teachers classify correctly. ``decoupled`` with w = 0 ignores
the label's class. ``curriculum`` changes τ in even steps over the epochs; it is not learned (as in CTKD).

Teachers see rows without the student's augmentation, once: their logits are computed before the student's first epoch.
With ``transfer`` the teachers' term is over rows of that set instead, one batch per step in a random order of its own,
without their labels.

``train.loss`` is the cross-entropy with the labels, ``distillation.loss`` the mean of D over the training batches, and
``penalty.distillation`` = (α − 1)·train.loss + β·D, so that ``train.objective`` is J.

Reference: Hinton, Vinyals and Dean, 2015, "Distilling the knowledge in a neural network"; Ba and Caruana, 2014, "Do
deep nets really need to be deep?" (logits); Zhao, Cui, Song, Qiu and Liang, 2022, "Decoupled knowledge distillation";
Meng, Li, Zhao and Gong, 2019, "Conditional teacher-student learning" (masked; there such rows lose the label's term
instead); Jafari, Rezagholizadeh, Sharma and Ghodsi, 2021, "Annealing knowledge distillation" (curriculum); Mirzadeh et
al., 2020, "Improved knowledge distillation via teacher assistant" (a teacher that has a teacher).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from worker.spec.datasets import AnyDataset
from worker.spec.families.dataset import Dataset
from worker.spec.families.hooks import defines
from worker.spec.families.regularizer import Regularizer
from worker.spec.part import Objection, PerRun, Spec, Stacked
from worker.spec.preceding import MAX_GENERATIONS, generations
from worker.spec.references import Place, References
from worker.spec.sums import summed
from worker.spec.teachers import Teacher

if TYPE_CHECKING:
    from torch import Tensor

    from worker.spec.run import RunSpec


class Curriculum(Spec):
    """Change the temperature in even steps from the part's ``temperature`` to this one, and keep it there."""

    temperature: float = Field(gt=0, le=1e6, description="τ at the end.")
    epochs: int = Field(ge=2, le=100_000, description="The epoch that first has this temperature.")


class Transfer(Spec):
    """Rows to learn from the teachers on, instead of on the training rows."""

    dataset: AnyDataset = Field(description="Its training part is used, normalized like the student's data.")
    digest: str | None = Field(default=None, description="Digest of the data; set at submission.")


class Distillation(Regularizer):
    """Learn from the labels with weight α and from teachers with weight β."""

    equation: ClassVar[str] = "J = α·CE(y, softmax(z_s)) + β·CE(softmax(z_t/τ), softmax(z_s/τ))"
    reference: ClassVar[str] = "Hinton, Vinyals and Dean 2015, Distilling the knowledge in a neural network"
    neutral: ClassVar[dict[str, float]] = {"alpha": 1.0, "beta": 0.0}
    for_classes: ClassVar[bool] = True

    kind: Literal["distillation"] = "distillation"
    teachers: tuple[Teacher, ...] = Field(
        min_length=1,
        max_length=16,
        examples=[[{"run_id": "run_01JD3Z6K8Q4V5W7X9Y2B4C6D8E", "at": "best"}]],
        description="The runs whose models teach, each as a run_id or as a spec to train first.",
    )
    alpha: PerRun[float] = Field(default=0.5, ge=0, le=1e6, description="α, the weight of the labels.")
    beta: PerRun[float] = Field(default=8.0, ge=0, le=1e12, description="β, the weight of the teachers: share·τ².")
    temperature: PerRun[float] = Field(
        default=4.0, gt=0, le=1e6, description="τ, by which logits are divided; unused by method 'logits'."
    )
    method: Literal["soft", "logits", "decoupled"] = Field(
        default="soft",
        description="Match probabilities at τ, logits, or the label's class and the others.",
    )
    mean: Literal["arithmetic", "geometric"] = Field(
        default="arithmetic",
        description="Mean of several teachers' probabilities; logits need the arithmetic one.",
    )
    masked: bool = Field(default=False, description="Teach only rows that the combined teachers classify correctly.")
    target_weight: PerRun[float] = Field(
        default=1.0, ge=0, le=1e6, description="w of the decoupled form, for the label's class against all others."
    )
    other_weight: PerRun[float] = Field(
        default=1.0, ge=0, le=1e6, description="v of the decoupled form, for the other classes among each other."
    )
    transfer: Transfer | None = Field(default=None, description="Other rows to teach on; null uses the training rows.")
    curriculum: Curriculum | None = Field(default=None, description="Change of τ over epochs; null keeps it constant.")

    def structure(self) -> dict[str, Any]:
        """Return the structure without the curriculum, which only sets τ, and without the runs of known weights."""
        structure = super().structure()
        del structure["curriculum"]
        for teacher in structure["teachers"]:
            if teacher["sha256"] is not None:
                del teacher["run_id"], teacher["at"]
        return structure

    def references(self) -> References:
        """Return the transfer set and the teachers."""
        datasets: dict[Place, Dataset] = {}
        if self.transfer is not None:
            datasets["transfer", "dataset"] = self.transfer.dataset
        return References(datasets, {("teachers", i): teacher for i, teacher in enumerate(self.teachers)})

    def in_epoch(self, epoch: int) -> Distillation:
        """Return the part with the temperature of ``epoch``."""
        if self.curriculum is None:
            return self
        share = min((epoch - 1) / (self.curriculum.epochs - 1), 1.0)
        temperature = self.temperature + share * (self.curriculum.temperature - self.temperature)
        return self.model_copy(update={"temperature": temperature})

    def objections(self, run: RunSpec) -> list[Objection]:
        """Refuse combinations that teach nothing, or rows that the student does not see."""
        objections = []
        if sum(part.kind == self.kind for part in run.regularizers) > 1:
            message = "A run has at most one distillation. List all teachers in it."
            objections.append(Objection(field=None, message=message))
        mixing = [part.kind for part in run.regularizers if defines(type(part), "mix")]
        if mixing:
            message = f"{mixing[0]!r} mixes rows, but teachers see each row alone. Leave one of the two out."
            objections.append(Objection(field=None, message=message))
        if self.method == "logits" and self.mean == "geometric":
            message = "The mean of logits already is the geometric mean of probabilities. Use 'arithmetic'."
            objections.append(Objection(field="mean", message=message, allowed=["arithmetic"]))
        if self.alpha == 0 and self.beta == 0:
            message = "With alpha 0 and beta 0 nothing is learned. Increase one of them."
            objections.append(Objection(field="beta", message=message))
        if self.transfer is not None:
            objections += self._against_transfer(self.transfer.dataset, run)
        specs = [teacher.spec for teacher in run.teachers if teacher.spec is not None]
        if any(generations(spec) >= MAX_GENERATIONS for spec in specs):
            message = f"A chain of teachers has at most {MAX_GENERATIONS} generations. Train the first ones separately."
            objections.append(Objection(field="teachers", message=message))
        return objections

    def _against_transfer(self, rows: Dataset, run: RunSpec) -> list[Objection]:
        """Refuse rows of another shape, validation rows of the student, and methods that need labels."""
        own, messages = run.dataset, list[str]()
        if rows.shape != own.shape:
            messages.append(f"A row of {rows.kind!r} has shape {list(rows.shape)}, the student's {list(own.shape)}.")
        if rows.embedded != own.embedded:
            messages.append("A transfer set embeds the same columns as the student's data; give both equal columns.")
        split = ("split_seed", "validation_size")
        if rows.digest() == own.digest() and any(getattr(rows, name) != getattr(own, name) for name in split):
            messages.append("A transfer set of the student's own data must have the same split.")
        if self.masked or self.method == "decoupled":
            messages.append("'masked' and 'decoupled' need labels, but those of a transfer set are not used.")
        if run.effective_model.buffers(own.shape):
            messages.append("Batch normalization would mix statistics of two sets of rows. Use norm 'layer' or 'none'.")
        of_rows = [
            objection.model_copy(update={"field": ".".join(map(str, ("transfer", "dataset", *place)))})
            for place, objection in rows.placed_objections(run)
        ]
        return [*of_rows, *(Objection(field="transfer", message=message) for message in messages)]

    @staticmethod
    def scale_label_gradient(part: Stacked[Distillation], g: Tensor) -> None:
        """Scale ``g`` by α, in place."""
        g.mul_(part.column("alpha", 3))

    @staticmethod
    def teach(
        part: Stacked[Distillation], z: Tensor, y: Tensor, teacher_logits: Tensor, g: Tensor, rows: int
    ) -> Tensor:
        """Change ``g`` to α·g + β/rows·∂D/∂z in place, and return D of each row, (K, N)."""
        import torch

        loss, gradient, output = METHODS[part.method](part, z, y, teacher_logits)
        if part.masked:
            right = output.argmax(2) == y
            loss = torch.where(right, loss, 0.0)
            gradient = torch.where(right.unsqueeze(2), gradient, 0.0)
        g.mul_(part.column("alpha", 3)).add_(gradient * (part.column("beta", 3) / rows))
        return loss

    @staticmethod
    def objective_change(part: Stacked[Distillation], loss: Tensor, taught: Tensor) -> Tensor:
        """Return (α − 1)·loss + β·D, (K,) of float64."""
        changed: Tensor = (part.alpha.double() - 1) * loss + part.beta.double() * taught
        return changed


# The functions below work row by row with operations whose bits do not depend on the row's position: torch's exp and
# log round the last elements of a tensor differently, its softmax over a row does not.


def _mean(x: Tensor) -> Tensor:
    """Return the mean of ``x`` (K, N, T, C) over the teachers, (K, N, C), summed in their order."""
    total = x[:, :, 0]
    for i in range(1, x.shape[2]):
        total = total + x[:, :, i]
    return total / x.shape[2] if x.shape[2] > 1 else total


def _log_sum(x: Tensor) -> Tensor:
    """Return log Σ exp of ``x`` (…, n) over n."""
    import torch

    return x.amax(-1) - torch.log_softmax(x, -1).amax(-1)


def _combined(part: Stacked[Distillation], teacher_logits: Tensor) -> Tensor:
    """Return the combined teachers' log-probabilities at τ, (K, N, C), up to a constant in each row."""
    import torch

    softened = teacher_logits / part.column("temperature", 4)
    if part.mean == "geometric" or teacher_logits.shape[2] == 1:
        return torch.log_softmax(_mean(softened), 2)
    return _log_sum(torch.log_softmax(softened, 3).transpose(2, 3).contiguous())


Matched = tuple["Tensor", "Tensor", "Tensor"]
"""D of each row (K, N); its gradient at the student's logits, and the teachers' combined output, both (K, N, C)."""


def _soft(part: Stacked[Distillation], z: Tensor, y: Tensor, teacher_logits: Tensor) -> Matched:
    import torch

    tau = part.column("temperature", 3)
    target, softened = torch.softmax(_combined(part, teacher_logits), 2), z / tau
    loss = -summed(target * torch.log_softmax(softened, 2)).squeeze(2)
    return loss, torch.softmax(softened, 2).sub_(target).div_(tau), target


def _logits(part: Stacked[Distillation], z: Tensor, y: Tensor, teacher_logits: Tensor) -> Matched:
    target = _mean(teacher_logits)
    difference = z - target
    return summed(difference.square()).squeeze(2) / 2, difference, target


def _decoupled(part: Stacked[Distillation], z: Tensor, y: Tensor, teacher_logits: Tensor) -> Matched:
    import torch

    tau, w, v = (part.column(name, 3) for name in ("temperature", "target_weight", "other_weight"))
    label = torch.arange(z.shape[2], device=z.device) == y.unsqueeze(2)
    output = _combined(part, teacher_logits)
    both, others = [], []
    for log_p in (output, z / tau):
        other = log_p.masked_fill(label, -torch.inf)
        own = log_p.gather(2, y.unsqueeze(2)).squeeze(2)
        both.append(torch.stack((own, _log_sum(other)), 2))
        others.append(other)
    target = _divergence(both[0], both[1], torch.zeros_like(both[0], dtype=torch.bool))
    among = _divergence(others[0], others[1], label)
    (b_t, b_s), (q_t, q_s) = ([torch.softmax(x, 2) for x in pair] for pair in (both, others))
    gradient = w * (b_s - b_t)[..., :1] * (label.to(z.dtype) - q_s) + v * (q_s - q_t)
    return w.squeeze(2) * target + v.squeeze(2) * among, gradient / tau, output


def _divergence(log_p: Tensor, log_q: Tensor, without: Tensor) -> Tensor:
    """Return KL(p ‖ q), (K, N), of log-probabilities up to a constant; classes in ``without`` have no probability."""
    import torch

    difference = torch.log_softmax(log_p, 2) - torch.log_softmax(log_q, 2)
    return summed(torch.softmax(log_p, 2) * difference.masked_fill(without, 0.0)).squeeze(2)


METHODS = {"soft": _soft, "logits": _logits, "decoupled": _decoupled}

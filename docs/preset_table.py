"""The page of presets, from their files."""

from __future__ import annotations

from service.catalog.presets import Preset, presets
from service.studies.bodies import StudyBody

ABOUT = """\
# Presets

Well-known experiments, each as a study that is ready to start: several arms, the seeds that all of them share, and the
metric and epoch that answer the question.

- `fitwell init --preset NAME` writes the study to `study.yaml`; `fitwell study study.yaml --wait` trains and compares
  it. With `--arm NAME`, only the run of one arm is written, for `fitwell submit`.
- **New run** in the dashboard lists all presets under *Start from*: train the run of an arm, or the study.
- `client.studies.create(**client.presets.get(NAME).study)` does the same in Python, `GET /v1/presets/{name}` over HTTP.

`fitwell study FILE --preview` estimates the cost; studies of large networks take days without a GPU. The number
(`system` in the API) is that of the experiment: presets with the same number belong together.

"""


def preset_page() -> str:
    """Return the page of presets."""
    ordered = sorted(presets().values(), key=lambda preset: (int(preset.system.removeprefix("S")), preset.name))
    head = "| number | preset | question | arms | runs | compared by | results |\n|---|---|---|---|---|---|---|\n"
    return ABOUT + head + "".join(map(_row, ordered))


def _row(preset: Preset) -> str:
    assert preset.study is not None, preset.name
    new = StudyBody.study_of(preset.study)
    runs = new.plan.arm_count * len(new.plan.replicates)
    number = preset.system.removeprefix("S")
    page = f"[results](../{preset.results.removeprefix('docs/')})"
    return (
        f"| {number} | `{preset.name}` | {preset.question} | {new.plan.arm_count} | {runs} | "
        f"{new.metric}, {new.at.replace(':', ' ')}{' epoch' * (':' not in new.at)} | {page} |\n"
    )

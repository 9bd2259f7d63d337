"""``init``: write a spec file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
import yaml

from fitwell.client import Client
from fitwell.commands.options import URL
from fitwell.local import LocalError
from fitwell.spec_files import SpecFileError
from fitwell.transport import DEFAULT_URL

SCHEMA_LINE = "# yaml-language-server: $schema={url}/v1/schema/{kind}.json\n"
RUN_TEMPLATE = """\
# The spec of a run. While a server runs, editors complete and check it with the schema above.
#   fitwell validate {file}         check the spec and estimate its cost
#   fitwell submit {file} --wait    train
#   fitwell catalog                 list all parts; fitwell catalog dropout describes one

name: my first run          # name and labels do not affect the result
labels: {{course: dl}}        # find it with fitwell ls --label course=dl

dataset:
  kind: digits              # built in, like mnist1d and the tables penguins, auto_mpg and co2;
                            # download with `fitwell data fetch`: fashion_mnist, mnist, kmnist, emnist,
                            # cifar10, cifar100, svhn
  # train_size: 200         # fewer rows make overfitting visible
  # validation_size: 500    # rows held out for validation

model:
  kind: mlp                 # also linear, cnn, knn
  hidden: [128, 128]

regularizers:               # a list, in any order; may be empty
  - {{kind: dropout, p: 0.4}}
  # - {{kind: l2, strength: 1.0e-4}}
  # - {{kind: rotation, degrees: 10}}

optimizer:
  kind: sgd                 # also momentum, nesterov, adam, adamw, rmsprop, …
  lr: 0.1

# schedule: {{kind: cosine}}  # learning rate schedule; default: constant
epochs: 20
batch_size: 64              # or full
seed: 0                     # seed of everything random except the data split
# stop: [{{kind: early_stopping, metric: val.loss, patience: 10}}]
"""
STUDY_TEMPLATE = """\
# The spec of a study: arms × replicates, trained together. While a server runs, editors check it with the schema above.
#   fitwell study {file} --preview    estimate cost and required seeds
#   fitwell study {file} --wait       train and compare

name: does dropout help?

base:                       # shared by all arms: the spec of a run without seed
  dataset: {{kind: digits, train_size: 200}}
  model: {{kind: mlp, hidden: [128, 128]}}
  optimizer: {{kind: momentum, lr: 0.05}}
  epochs: 60
  batch_size: 20

arms:                       # changes to the base by arm; regularizers_add appends to its list
  plain: {{}}
  dropout: {{regularizers_add: [{{kind: dropout, p: 0.5}}]}}
  l2: {{regularizers_add: [{{kind: l2, strength: 0.01}}]}}

# grid: {{optimizer.lr: [0.01, 0.05]}}   # every arm with each of these values

replicates:                 # instead, seeds: 8 trains every seed on one split of the data
  n: 8                      # replicate i has seed i and split i in every arm; significance needs at least 6
  vary: [seed, split]
at: last                    # compare at the last or the best epoch
# metric: val.loss
# baseline: plain
"""


def init(
    file: Annotated[Path | None, typer.Argument(help="File to write; default: run.yaml or study.yaml.")] = None,
    study: Annotated[bool, typer.Option("--study", help="Write the spec of a study.")] = False,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="Preset of the server: dropout, srivastava …; writes its study."),
    ] = None,
    arm: Annotated[
        str | None, typer.Option("--arm", help="Write only the run of this arm of the preset, instead of its study.")
    ] = None,
    url: URL = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a commented spec to start from; its first line enables completion and checks in editors."""
    if preset is not None:
        kind, text = _preset(preset, arm, url)
    elif arm is not None:
        raise typer.BadParameter("--arm needs --preset.", param_hint="--arm")
    else:
        kind, text = ("study", STUDY_TEMPLATE) if study else ("run", RUN_TEMPLATE)
    target = file or Path(f"{kind}.yaml")
    if target.exists() and not force:
        raise SpecFileError(f"{target} already exists. Choose another name or use --force.")
    content = SCHEMA_LINE.format(url=url or DEFAULT_URL, kind=kind)
    content += text if preset is not None else text.format(file=target)
    try:
        target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise LocalError(f"Cannot write {target} ({error.strerror}).") from error
    command = "study" if kind == "study" else "submit"
    typer.echo(f"Created {target}. Train with: fitwell {command} {target} --wait")


def _preset(name: str, arm: str | None, url: str | None) -> tuple[str, str]:
    """Return kind and text of a preset: its study, or the run of an arm."""
    with Client(url) as client:
        preset = client.presets.get(name)
    if arm is not None and arm not in preset.runs:
        arms = ", ".join(map(repr, preset.runs))
        raise typer.BadParameter(f"Unknown arm {arm!r}. The preset {name!r} has {arms}.", param_hint="--arm")
    if arm is None and preset.study:
        kind, body = "study", preset.study
    else:
        kind, body = "run", preset.runs[arm or next(iter(preset.runs))]
    head = f"# {preset.title}. {preset.question}\n"
    if preset.results:
        head += f"# Results: {preset.results} in the documentation\n"
    return kind, head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)

"""``init``: a spec file to begin with."""

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

SCHEMA = "# yaml-language-server: $schema={url}/v1/schema/{kind}.json\n"
RUN = """\
# What to train, and how. Editors complete and check it by the schema above while a server runs.
#   fitwell validate {file}         what it would cost, and whether it is right
#   fitwell submit {file} --wait    train it
#   fitwell catalog                 every part that can stand here; fitwell catalog dropout tells of one

name: my first run          # for people, like labels: neither changes the result
labels: {{course: dl}}        # fitwell ls --label course=dl finds it again

dataset:
  kind: digits              # there at once; also mnist1d, and by `fitwell data fetch`: fashion_mnist, mnist, kmnist
  # train_size: 200         # fewer rows make overfitting visible
  # validation_size: 500    # rows that are held out to choose by

model:
  kind: mlp                 # also linear, cnn, knn
  hidden: [128, 128]

regularizers:               # a list, in any order; [] is none
  - {{kind: dropout, p: 0.4}}
  # - {{kind: l2, strength: 1.0e-4}}
  # - {{kind: rotation, degrees: 10}}

optimizer:
  kind: sgd                 # also momentum, nesterov, adam, adamw, rmsprop, …
  lr: 0.1

# schedule: {{kind: cosine}}  # how the learning rate changes; default constant
epochs: 20
batch_size: 64              # or full
seed: 0                     # of all that is random but the split of the data
# stop: [{{kind: early_stopping, metric: val.loss, patience: 10}}]
"""
STUDY = """\
# Arms × seeds over one base, trained together. Editors complete and check it by the schema above while a server runs.
#   fitwell study {file} --preview    what it would cost, and whether it can decide anything
#   fitwell study {file} --wait       train it, and compare

name: does dropout help?

base:                       # what all arms share: a run's spec without its seed
  dataset: {{kind: digits, train_size: 200}}
  model: {{kind: mlp, hidden: [128, 128]}}
  optimizer: {{kind: momentum, lr: 0.05}}
  epochs: 60
  batch_size: 20

arms:                       # by name, what is different; regularizers_add appends to the base's
  plain: {{}}
  dropout: {{regularizers_add: [{{kind: dropout, p: 0.5}}]}}
  l2: {{regularizers_add: [{{kind: l2, strength: 0.01}}]}}

# grid: {{optimizer.lr: [0.01, 0.05]}}   # every arm at each of these values

seeds: 8                    # 0 to 7, the same in every arm; below 6 nothing can be significant
at: last                    # compare after the last epoch, or at the best one
# metric: val.loss
# baseline: plain
# folds: 5                  # cross-validation instead of held-out rows
"""


def init(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; default run.yaml, or study.yaml.")] = None,
    study: Annotated[bool, typer.Option("--study", help="A study: arms × seeds.")] = False,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="A well-known experiment, as the server has it: dropout, srivastava …"),
    ] = None,
    url: URL = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a commented spec to begin with; editors complete and check it by its first line."""
    if preset is not None:
        kind, text = _preset(preset, url)
    else:
        kind, text = ("study", STUDY) if study else ("run", RUN)
    target = file or Path(f"{kind}.yaml")
    if target.exists() and not force:
        raise SpecFileError(f"{target} is there already; choose another name, or --force.")
    written = SCHEMA.format(url=url or DEFAULT_URL, kind=kind)
    written += text if preset is not None else text.format(file=target)
    try:
        target.write_text(written, encoding="utf-8")
    except OSError as error:
        raise LocalError(f"{target} cannot be written ({error.strerror}).") from error
    verb = "study" if kind == "study" else "submit"
    typer.echo(f"{target} is written. To train it: fitwell {verb} {target} --wait")


def _preset(name: str, url: str | None) -> tuple[str, str]:
    """The kind and the text of a preset: its study, or its first run."""
    with Client(url) as client:
        preset = client.presets.get(name)
    kind, body = ("study", preset.study) if preset.study else ("run", next(iter(preset.runs.values())))
    head = f"# {preset.title} ({preset.system}). {preset.question}\n"
    return kind, head + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=120)

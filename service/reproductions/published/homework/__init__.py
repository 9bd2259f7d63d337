"""The course homework that most presets come from, with its printed figures and conclusions.

- ``networks``: a network that overfits, and regularizers; ``optimizers``: SGD and momentum at four learning rates.
- ``capacity``: nearest neighbors, elastic net, causes of overfitting and underfitting; ``students``: distillation.
"""

from __future__ import annotations

from service.reproductions.definition import SCALES, Reproduction, Source
from service.reproductions.published.homework import capacity, networks, optimizers, students

PARTS = (networks, optimizers, capacity, students)

REPRODUCTION = Reproduction(
    title="A course's homework on overfitting and regularizers",
    question="Do the figures and conclusions that a course's homework prints hold when they are repeated?",
    source=Source(
        authors="A university course",
        title="Homework on overfitting, regularizers, optimizers and distillation",
    ),
    deviations=(
        "The homework prints losses of single runs; here every figure is the mean of six or more seeds. At quick, "
        "networks are small and learn scanned digits, and no printed figure is tested; for the network that overfits, "
        "a fifth of the labels is wrong. At full, networks have the homework's sizes: FashionMNIST with 60,000 "
        "training rows, batches of 64, SGD at 0.01. An epoch of the large network then takes 5 to 15 s of processor "
        "time, and both studies of networks take a few hours of it (AMD EPYC with AVX-512 and with AVX2). The network "
        "that is trained on with augmentation begins with weights of normalized inputs and sees inputs in [0, 1], as "
        "in the homework. The homework says 30 epochs where its figures fit about 17, and prints test losses of "
        "dropout that were multiplied by 0.4: such losses are tested as printed, and divided by 0.4. Its optimizers "
        "train a network of unspecified size on unspecified data; here one of 16 or 64 units learns digits, from "
        "normal weights of standard deviation 0.1. Its nearest neighbors are tested on digits or FashionMNIST, both "
        "with a fifth of the labels wrong, its students on MNIST-1D, and carbon dioxide replaces its monthly series "
        "of prices. Inverted and classic dropout train with the same learning rate, which is effectively smaller in "
        "the classic form. Bias and variance of nearest neighbors are those of the Brier score. Their probabilities "
        "contain one vote more, divided evenly, which is most of the squared bias of one neighbor; so its order "
        "begins at five. A specialist is trained on rows of its own classes alone."
    ),
    studies={scale: {name: body for part in PARTS for name, body in part.studies(scale).items()} for scale in SCALES},
    claims={name: claim for part in PARTS for name, claim in part.CLAIMS.items()},
)

"""The compared work: how Fitwell and each peer do it, and the goals as ratios of their times."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmarks.running import Program

SMALL, LARGE = "128,128", "1024,512"
BEST_OF_JAX = "JAX scan or vmap"
STOCK = Program("stock", rows=6_000, epochs=1)
"""Few rows, because the cost of the recipe is proportional to rows."""


@dataclass(frozen=True)
class Work:
    """A kind of work. Goals are ratios of seconds, a peer's over Fitwell's."""

    name: str
    ours: Program
    peers: dict[str, Program]
    goals: dict[str, float] = field(default_factory=dict)
    """By peer, each as one process on all processors; ``BEST_OF_JAX`` is the better of its two ways."""


def _two(program: Program) -> Program:
    """Return the program as two concurrent processes, pinned to one processor each."""
    return replace(program, processes=2, threads=1)


EAGER, JAX = Program("eager"), Program("jax_scan")
ENGINE = Program("fitwell_stack")
WORKS = (
    Work(
        "16 small runs",
        replace(ENGINE, processes=2, runs=8),
        {
            "stock": STOCK,
            "eager": EAGER,
            "eager, 2 processes": _two(EAGER),
            "torch.func vmap": Program("torch_vmap", runs=16, rows=12_000),
            "JAX scan": JAX,
            "JAX scan, 2 processes": _two(JAX),
            "JAX vmap": replace(JAX, runs=16, epochs=1),
        },
        {"stock": 25, "eager": 3, BEST_OF_JAX: 1.5, "JAX scan, 2 processes": 1.0},
    ),
    Work(
        "one small run",
        replace(ENGINE, epochs=4),
        {"stock": STOCK, "eager": EAGER, "JAX scan": JAX},
        {"eager": 1.5, BEST_OF_JAX: 0.9},
    ),
    Work(
        "one large run",
        replace(ENGINE, hidden=LARGE, rows=30_000),
        {
            "stock": replace(STOCK, hidden=LARGE),
            "eager": replace(EAGER, hidden=LARGE, rows=30_000),
            "JAX scan": replace(JAX, hidden=LARGE, rows=30_000),
        },
        {"stock": 5, "eager": 1.5, BEST_OF_JAX: 1.05},
    ),
    Work(
        "two large runs",
        replace(ENGINE, hidden=LARGE, rows=30_000, processes=2),
        {
            "eager": replace(EAGER, hidden=LARGE, rows=30_000),
            "eager, 2 processes": _two(replace(EAGER, hidden=LARGE, rows=30_000)),
        },
    ),
    Work(
        "one large run, rotation and both flips",
        replace(ENGINE, hidden=LARGE, rows=30_000, augment=True),
        {"stock": replace(STOCK, hidden=LARGE, augment=True)},
        {"stock": 7},
    ),
    Work(
        "one small CNN",
        replace(ENGINE, model="cnn", rows=12_000),
        {"eager": replace(EAGER, model="cnn", rows=12_000)},
        {"eager": 1.5},
    ),
    Work(
        "8 small CNNs",
        replace(ENGINE, model="cnn", rows=6_000, processes=2, runs=4),
        {
            "eager": replace(EAGER, model="cnn", rows=12_000),
            "eager, 2 processes": _two(replace(EAGER, model="cnn", rows=12_000)),
        },
        {"eager": 2},
    ),
    Work(
        "one ResNet-20",
        replace(ENGINE, model="resnet20", rows=1_280, epochs=1),
        {"eager": replace(EAGER, model="resnet20", rows=1_280, epochs=1)},
        {"eager": 1.0},
    ),
    Work(
        "4 ResNet-20",
        replace(ENGINE, model="resnet20", rows=1_280, epochs=1, processes=2, runs=2),
        {
            "eager": replace(EAGER, model="resnet20", rows=1_280, epochs=1),
            "eager, 2 processes": _two(replace(EAGER, model="resnet20", rows=1_280, epochs=1)),
        },
        {"eager": 1.3},
    ),
)
GEMM = Program("gemm", flags=("--hidden", LARGE))
CEILING_GOAL = 0.8
STUDY, BARE = Program("study", flags=("--http",)), Program("study", flags=("--bare",), processes=2)
STUDY_GOAL = 1.03
EVALUATION = Program("evaluation", flags=("--runs", "8"))
EVALUATION_GOAL = 0.08
MEMORY_GOAL = 900e6
"""Bytes, of all processes that train 16 small runs."""
LATENCY = Program("latency", flags=("--all",))
LATENCY_GOAL = 1.0

GROWTH_RUNS = {k: replace(ENGINE, runs=k, rows=12_000) for k in (1, 2, 4, 8, 16, 32)}
GROWTH_ROWS = {
    rows: replace(ENGINE, rows=rows, epochs=max(2, 24_000 // rows)) for rows in (1_000, 4_000, 15_000, 60_000)
}
WIDTHS = (64, 128, 256, 512, 1024, 2048)
GROWTH_WIDTH = {w: replace(ENGINE, hidden=f"{w},{w}", rows=12_000) for w in WIDTHS}
GROWTH_WIDTH_EAGER = {w: replace(EAGER, hidden=f"{w},{w}", rows=12_000) for w in WIDTHS}
PARTS = {
    "small, 8 runs": Program("parts", flags=("--hidden", SMALL, "--runs", "8", "--rows", "6000", "--epochs", "5")),
    "large, one run": Program("parts", flags=("--hidden", LARGE, "--runs", "1", "--rows", "6000", "--epochs", "5")),
}

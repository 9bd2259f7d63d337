"""JAX: an epoch is one compiled lax.scan; several runs are one vmap over it. The last, partial batch is left out."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.programs.measuring import BATCH, CLASSES, LR, MEAN, PIXELS, STD, report, task, training_rows

Params = list[tuple[jax.Array, jax.Array]]


def layers(key: jax.Array, *, widths: tuple[int, ...]) -> Params:
    """Weights (in, out) and biases as torch draws them."""
    keys = jax.random.split(key, len(widths) - 1)
    return [
        (jax.random.uniform(k, (i, o), minval=-(i**-0.5), maxval=i**-0.5), jnp.zeros(o))
        for k, i, o in zip(keys, widths[:-1], widths[1:], strict=True)
    ]


def loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean cross-entropy of a batch."""
    h = x
    for w, b in params[:-1]:
        h = jax.nn.relu(h @ w + b)
    w, b = params[-1]
    log_p = jax.nn.log_softmax(h @ w + b)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def one_epoch(params: Params, key: jax.Array, *, x: jax.Array, y: jax.Array) -> tuple[Params, jax.Array]:
    """The parameters after an epoch in an order of its own, and its mean loss."""
    batches = len(y) // BATCH
    order = jax.random.permutation(key, len(y))[: batches * BATCH].reshape(batches, BATCH)

    def step(params: Params, rows: jax.Array) -> tuple[Params, jax.Array]:
        value, gradient = jax.value_and_grad(loss)(params, x[rows], y[rows])
        return jax.tree.map(lambda p, g: p - LR * g, params, gradient), value

    params, losses = jax.lax.scan(step, params, order)
    return params, losses.mean()


def main() -> None:
    work = task()
    pixels, labels = training_rows(work.rows)
    x = jnp.asarray((pixels.astype(np.float32) / 255 - MEAN) / STD)
    y = jnp.asarray(labels.astype(np.int32))
    train: Any = partial(one_epoch, x=x, y=y)
    begin: Any = partial(layers, widths=(PIXELS, *work.hidden, CLASSES))
    keys = jax.random.split(jax.random.PRNGKey(0), work.runs)
    if work.runs > 1:
        train, begin = jax.vmap(train), jax.vmap(begin)
    else:
        keys = keys[0]
    params = begin(keys)
    compiling = time.perf_counter()
    compiled = jax.jit(train).lower(params, keys).compile()
    compile_seconds = time.perf_counter() - compiling
    state = {"params": params, "keys": keys}

    def epoch() -> float:
        flat = state["keys"].reshape(-1, 2)
        state["keys"] = jax.vmap(lambda key: jax.random.split(key)[0])(flat).reshape(state["keys"].shape)
        state["params"], value = compiled(state["params"], state["keys"])
        return float(value.mean())

    report(epoch, work, compile_seconds=compile_seconds)


if __name__ == "__main__":
    main()

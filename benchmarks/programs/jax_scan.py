"""JAX: an epoch is one compiled lax.scan; several runs are one vmap over it. The last, partial batch is left out."""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.programs.measuring import BATCH, CLASSES, LR, MEAN, PIXELS, STD, report, task, training_rows


def main() -> None:
    wanted = task()
    pixels, labels = training_rows()
    x = jnp.asarray((pixels.astype(np.float32) / 255 - MEAN) / STD)
    y = jnp.asarray(labels.astype(np.int32))
    widths = (PIXELS, *wanted.hidden, CLASSES)
    batches = len(labels) // BATCH

    def layers(key: Any) -> Any:
        keys = jax.random.split(key, len(widths) - 1)
        return [
            (jax.random.uniform(k, (i, o), minval=-(i**-0.5), maxval=i**-0.5), jnp.zeros(o))
            for k, i, o in zip(keys, widths[:-1], widths[1:], strict=True)
        ]

    def loss(params: Any, rows: Any) -> Any:
        h = x[rows]
        for w, b in params[:-1]:
            h = jax.nn.relu(h @ w + b)
        w, b = params[-1]
        log_p = jax.nn.log_softmax(h @ w + b)
        return -jnp.take_along_axis(log_p, y[rows][:, None], axis=1).mean()

    def one_epoch(params: Any, key: Any) -> Any:
        order = jax.random.permutation(key, len(labels))[: batches * BATCH].reshape(batches, BATCH)

        def step(params: Any, rows: Any) -> Any:
            value, gradient = jax.value_and_grad(loss)(params, rows)
            return jax.tree.map(lambda p, g: p - LR * g, params, gradient), value

        params, losses = jax.lax.scan(step, params, order)
        return params, losses.mean()

    keys = jax.random.split(jax.random.PRNGKey(0), wanted.runs)
    many = wanted.runs > 1
    params = jax.vmap(layers)(keys) if many else layers(keys[0])
    compiling = time.perf_counter()
    trained = jax.jit(jax.vmap(one_epoch) if many else one_epoch)
    compiled = trained.lower(params, keys if many else keys[0]).compile()
    compile_seconds = time.perf_counter() - compiling
    state = {"params": params, "keys": keys}

    def epoch() -> float:
        state["keys"] = jax.vmap(lambda key: jax.random.split(key)[0])(state["keys"])
        state["params"], value = compiled(state["params"], state["keys"] if many else state["keys"][0])
        return float(value.mean())

    report(epoch, wanted, compile_seconds=compile_seconds)


if __name__ == "__main__":
    main()

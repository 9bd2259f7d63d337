"""Model ensembling as torch.func's tutorial has it: stacked parameters, vmap over the gradient of a functional call."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.programs.eager import network, tensors
from benchmarks.programs.measuring import BATCH, LR, report, task


def main() -> None:
    work = task()
    torch.set_num_threads(work.threads)
    x, y = tensors(work)
    models = [network(work) for _ in range(work.runs)]
    params, buffers = stack_module_state(models)
    params = {name: tensor.detach() for name, tensor in params.items()}
    skeleton = models[0]

    def loss(params: Any, buffers: Any, rows: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(skeleton, (params, buffers), (rows,)), labels)

    step = vmap(grad_and_value(loss))

    def epoch() -> float:
        orders = torch.stack([torch.randperm(len(x)) for _ in models])
        total = torch.zeros(work.runs)
        batches = orders.split(BATCH, dim=1)  # type: ignore[no-untyped-call]
        for rows in batches:
            gradients, losses = step(params, buffers, x[rows], y[rows])
            for name, gradient in gradients.items():
                params[name].sub_(gradient, alpha=LR)
            total += losses
        return (total / len(batches)).mean().item()

    report(epoch, work)


if __name__ == "__main__":
    main()

"""The limited process: it computes, it is replaced when it dies or hangs, and it cannot take more than it may."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import save

from service.errors import TookTooLong, Unavailable
from service.sandbox.predicting.messages import Answer, Chosen, DrawCurve, ModelFile, Predict, Refused
from service.sandbox.predictor import Predictor
from service.sandbox.serial_queue import MAX_WAITING
from tests.conftest import spec as spec_of
from tests.patience import eventually
from worker.spec.datasets.digits import Digits
from worker.spec.keys import spec_hash
from worker.spec.run import RunSpec

pytestmark = pytest.mark.slow

MEMORY = 2**30


def model_file(folder: Path, **changes: Any) -> ModelFile:
    """A model of zeros on disk."""
    spec: RunSpec = spec_of(**changes)
    shapes = spec.model.parameters(spec.dataset.shape, len(spec.dataset.classes))
    content = save({name: np.zeros(shape, "f4") for name, shape in shapes.items()})
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256}.safetensors"
    path.write_bytes(content)
    return ModelFile(spec=spec.model_dump(mode="json"), spec_hash=spec_hash(spec), path=str(path), sha256=sha256)


def predict(model: ModelFile) -> Predict:
    return Predict(model=model, chosen=Chosen(split="test", indices=(0, 1)))


@asynccontextmanager
async def limited(home: Path, *, memory: int = MEMORY, seconds: float = 20.0) -> AsyncIterator[Predictor]:
    one = Predictor(datasets=home, cache=home / "cache", memory=memory, seconds=seconds)
    try:
        yield one
    finally:
        await one.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_predictor_replies_and_stays_for_the_next_order(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            order = predict(model_file(tmp_path))
            reply, content = await one.call(order)
            pid = one.pid
            assert reply == Answer(labels=tuple(Digits.load(tmp_path).test_y[:2].tolist()))
            assert np.frombuffer(content, "f4").reshape(2, 10) == pytest.approx(0.1)
            await one.call(order)
            assert one.pid == pid

    run(test)


async def interrupted(one: Predictor, order: Predict, number: signal.Signals) -> tuple[Answer | Refused, bytes]:
    """Return the outcome of an order during which the process receives a signal."""
    await one.call(order)
    assert one.pid is not None
    os.kill(one.pid, signal.SIGSTOP)  # so that it is surely in the middle of it
    asking = asyncio.create_task(one.call(order))
    await asyncio.sleep(0.1)
    os.kill(one.pid, number)
    if number != signal.SIGKILL:  # which also ends a stopped process
        os.kill(one.pid, signal.SIGCONT)
    return await asking


def test_predictor_killed_during_an_order_is_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            order = predict(model_file(tmp_path))
            with pytest.raises(Unavailable, match="SIGKILL") as refused:
                await interrupted(one, order, signal.SIGKILL)
            assert refused.value.headers["retry-after"]
            assert isinstance((await one.call(order))[0], Answer)

    run(test)


def test_crash_of_native_code_counts_as_out_of_memory(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            order = predict(model_file(tmp_path))
            reply, _ = await interrupted(one, order, signal.SIGSEGV)
            assert isinstance(reply, Refused)
            assert reply.reason == "too_large"
            assert isinstance((await one.call(order))[0], Answer)

    run(test)


def test_hanging_process_is_replaced_and_replies_are_not_mixed_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path, seconds=3) as one:
            order = predict(model_file(tmp_path))
            await one.call(order)
            assert one.pid is not None
            hanging = psutil.Process(one.pid)
            hanging.suspend()
            with pytest.raises(TookTooLong, match="3 s"):
                await one.call(order)
            assert not hanging.is_running()
            reply, _ = await one.call(predict(model_file(tmp_path, model={"kind": "linear"})))
            assert isinstance(reply, Answer)

    run(test)


def test_order_that_waits_too_long_or_behind_too_many_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path, seconds=4) as one:
            order = predict(model_file(tmp_path))
            await one.call(order)
            assert one.pid is not None
            os.kill(one.pid, signal.SIGSTOP)
            asking = [asyncio.create_task(one.call(order))]
            await asyncio.sleep(0.2)
            asking += [asyncio.create_task(one.call(order)) for _ in range(MAX_WAITING + 1)]
            await asyncio.sleep(0.2)
            assert [task.done() for task in asking].count(True) == 1, "one is in, so many wait, one is sent away"
            texts = await asyncio.gather(*asking, return_exceptions=True)
            assert [type(one) for one in texts].count(TookTooLong) == 1
            assert {type(one) for one in texts} <= {TookTooLong, Unavailable, tuple}
            assert isinstance((await one.call(order))[0], Answer)

    run(test)


def test_model_over_the_memory_limit_is_refused_and_later_orders_are_not(tmp_path: Path) -> None:
    async def test() -> None:
        small = model_file(tmp_path)
        large = model_file(tmp_path, model={"kind": "mlp", "hidden": [5500, 5500]})
        wide = model_file(
            tmp_path, model={"kind": "cnn", "channels": [4096, 4096], "kernel_size": 1, "pooling": "none"}
        )
        async with limited(tmp_path, memory=2**29, seconds=60) as one:
            assert isinstance((await one.call(predict(small)))[0], Answer)
            for model in (large, wide):
                reply, _ = await one.call(predict(model))
                assert isinstance(reply, Refused)
                assert (reply.reason, "FITWELL_PREDICT_MEMORY_BYTES" in reply.message) == ("too_large", True)
                assert isinstance((await one.call(predict(small)))[0], Answer)
        async with limited(tmp_path, memory=3 * 2**30, seconds=60) as one:
            assert isinstance((await one.call(predict(large)))[0], Answer), "it is the memory, not the model"

    run(test)


def test_many_rows_are_predicted_in_batches(tmp_path: Path) -> None:
    async def test() -> None:
        model = model_file(tmp_path, model={"kind": "cnn", "channels": [4096], "pooling": "none"})
        async with limited(tmp_path, memory=2**29, seconds=60) as one:
            order = Predict(model=model, chosen=Chosen(split="test", indices=tuple(range(300))))
            reply, content = await one.call(order)
            assert isinstance(reply, Answer), reply
            assert len(content) == 300 * 10 * 4

    run(test)


def test_processor_time_is_limited_without_a_parent(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path, seconds=5) as one:
            await one.call(predict(model_file(tmp_path)))
            assert one.pid is not None
            soft, _ = psutil.Process(one.pid).rlimit(psutil.RLIMIT_CPU)
            used = sum(psutil.Process(one.pid).cpu_times()[:2])
            assert used + 4 < soft <= used + 7
            assert psutil.Process(one.pid).rlimit(psutil.RLIMIT_AS) == (MEMORY, MEMORY)

    run(test)


def test_predictor_ends_with_its_input(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            await one.call(predict(model_file(tmp_path)))
            assert one.pid is not None
            assert one._process is not None
            assert one._process.stdin is not None
            process = psutil.Process(one.pid)
            one._process.stdin.close()
            await asyncio.to_thread(eventually, lambda: not process.is_running(), 5)

    run(test)


def test_predictor_receives_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITWELL_DATABASE_URL", "postgresql://secret@host/db")

    async def test() -> None:
        async with limited(tmp_path) as one:
            await one.call(predict(model_file(tmp_path)))
            environment = psutil.Process(one.pid).environ()
            assert not [name for name in environment if name.startswith("FITWELL")]
            assert environment["MPLCONFIGDIR"] == str(tmp_path / "cache/matplotlib")

    run(test)


def test_bug_in_the_process_is_not_a_refusal(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            short = DrawCurve(
                title="", epochs=(1, 2), series={"train.loss": (1.0,)}, best=None, form="png", width=400, height=300,
                log=False, theme="light",
            )  # fmt: skip
            with pytest.raises(RuntimeError, match="exited with code 1"):
                await one.call(short)
            assert isinstance((await one.call(predict(model_file(tmp_path))))[0], Answer)

    run(test)


def test_altered_file_is_never_used(tmp_path: Path) -> None:
    async def test() -> None:
        async with limited(tmp_path) as one:
            model = model_file(tmp_path)
            path = Path(model.path)
            path.write_bytes(path.read_bytes()[:-1] + b"\1")
            reply, _ = await one.call(predict(model))
            assert isinstance(reply, Refused)
            assert reply.reason == "file_altered"
            path.unlink()
            reply, _ = await one.call(predict(model))
            assert isinstance(reply, Refused)
            assert reply.reason == "file_altered"

    run(test)

"""Training and test rows of an upload: random, in time, or as the file divides them."""

from __future__ import annotations

import numpy as np
import pytest

from service.settings import Settings
from tests.service.datasets.conftest import Upload, stored
from tests.service.datasets.upload_files import iris, npz

pytestmark = pytest.mark.slow


def test_random_split_is_stratified_and_never_takes_all_rows_of_a_class(upload: Upload, small: Settings) -> None:
    y = np.repeat([0, 1, 2, 3], [70, 20, 9, 1])
    for seed in (0, 1):
        dataset = upload(npz(x=np.arange(200.0).reshape(100, 2), y=y), test_size=0.3, seed=seed).json()
        data = stored(small, dataset)
        counts = np.bincount(data["test_y"], minlength=4).tolist()
        assert counts == [21, 6, 3, 0]
        assert sorted(np.concatenate([data["train_x"], data["test_x"]])[:, 0]) == list(range(0, 200, 2))


def test_last_rows_test_in_order_of_time(upload: Upload, small: Settings) -> None:
    dataset = upload(npz(x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2), order="time", test_size=5).json()
    data = stored(small, dataset)
    assert data["train_x"][:, 0].tolist() == list(range(0, 30, 2))
    assert data["test_x"][:, 0].tolist() == list(range(30, 40, 2))


def test_test_part_in_the_file_is_used_and_options_that_contradict_it_are_refused(
    upload: Upload, small: Settings
) -> None:
    x, y = iris()["x"], iris()["y"]
    content = npz(x_train=x[::2], y_train=y[::2], x_test=x[1::2], y_test=y[1::2])
    data = stored(small, upload(content).json())
    np.testing.assert_array_equal(data["test_x"], x[1::2].astype(np.float32))
    np.testing.assert_array_equal(data["train_y"], y[::2])
    refused = upload(content, test_size=0.5).json()
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "test_size")

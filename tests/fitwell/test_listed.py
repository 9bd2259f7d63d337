"""Lists that fetch their items when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fitwell.listed import Listed
from fitwell.sync_async import View


class Item(View):
    """An item with nested fields."""

    id: str
    spec: dict[str, Any]


class Source:
    """Items that count how many were fetched."""

    def __init__(self, count: int) -> None:
        self.fetched, self._count = 0, count

    def __iter__(self) -> Iterator[Item]:
        for number in range(self._count):
            self.fetched += 1
            yield Item(id=f"i{number}", spec={"optimizer": {"lr": number / 10}, "hidden": [number]})


@pytest.fixture
def source() -> Source:
    return Source(7)


@pytest.fixture
def listed(source: Source) -> Listed[Item]:
    return Listed(iter(source))


def ids(items: Any) -> list[str]:
    return [item.id for item in items]


def test_index_and_slice_fetch_no_more_than_they_need(listed: Listed[Item], source: Source) -> None:
    assert source.fetched == 0
    assert bool(listed)
    assert source.fetched == 1
    assert listed[2].id == "i2"
    assert source.fetched == 3
    assert ids(listed[1:4]) == ["i1", "i2", "i3"]
    assert source.fetched == 4


def test_length_negative_indices_and_open_slices_fetch_everything(listed: Listed[Item], source: Source) -> None:
    assert listed[-1].id == "i6"
    assert len(listed) == source.fetched == 7
    assert ids(listed[5:]) == ids(listed[-2:]) == ["i5", "i6"]
    assert ids(listed[::-1]) == ids(listed)[::-1]
    with pytest.raises(IndexError):
        listed[7]


def test_each_iteration_starts_at_the_first_item_and_next_continues(listed: Listed[Item], source: Source) -> None:
    assert next(listed).id == "i0"
    assert ids(listed) == ids(listed) == [f"i{number}" for number in range(7)]
    assert next(listed).id == "i1"
    assert source.fetched == 7
    with pytest.raises(StopIteration):
        next(Listed(iter(())))


def test_items_become_a_table_of_their_nested_fields(listed: Listed[Item]) -> None:
    frame = listed.to_pandas()
    assert frame.index.tolist() == ids(listed)
    assert frame["spec.optimizer.lr"].tolist() == [number / 10 for number in range(7)]
    assert frame["spec.hidden"].iloc[3] == [3]
    assert listed.to_polars()["id"].to_list() == ids(listed)
    assert len(Listed[Item](iter(())).to_pandas()) == 0


def test_empty_list_is_false() -> None:
    assert not Listed(iter(()))
    assert repr(Listed(iter(()))) == "<Listed of 0 fetched items>"

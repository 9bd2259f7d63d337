"""The fields that a study varies, as its page names them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.runs.differences import differences
from service.studies.study import ArmProgress
from service.web.varied_fields import short_names, short_texts, varied_fields

PATHS = st.lists(
    st.lists(st.sampled_from(["lr", "model", "hidden", "0", "1", "a"]), min_size=1, max_size=4).map(".".join),
    unique=True,
    max_size=6,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from([0.1, 0.25, "l2", "0.1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["kind", "p", "lr"]), inner),
)


def arms(*values: dict[str, Any], names: tuple[str, ...] = ()) -> list[ArmProgress]:
    named = zip(names or ("base",) * len(values), values, strict=True)
    return [ArmProgress(f"{name} {i}", name, one, 1, {}, None) for i, (name, one) in enumerate(named)]


def test_grid_has_a_field_for_each_path_with_numbers_as_numbers() -> None:
    points = [{"optimizer.lr": lr, "model.hidden": hidden} for lr in (0.1, 1e-5) for hidden in ([8], [8, 8])]
    rate, hidden = varied_fields(arms(*points), [])
    assert (rate.path, rate.name, rate.texts) == ("optimizer.lr", "lr", ["0.1", "0.1", "1e-05", "1e-05"])
    assert rate.numbers == [0.1, 0.1, 1e-5, 1e-5]
    assert (hidden.name, hidden.texts, hidden.numbers) == ("hidden", ["8", "8, 8"] * 2, None)


def test_names_of_arms_are_a_field_of_a_grid_if_they_differ() -> None:
    points = ({"optimizer.lr": 0.1}, {"optimizer.lr": 0.2}) * 2
    fields = varied_fields(arms(*points, names=("plain", "plain", "wide", "wide")), [])
    assert [(one.path, one.texts[2]) for one in fields] == [("arm", "wide"), ("optimizer.lr", "0.1")]
    assert [one.path for one in varied_fields(arms(*points), [])] == ["optimizer.lr"]


def test_arms_without_a_grid_have_fields_only_if_few_numbers_differ() -> None:
    both = arms({}, {}, names=("slow", "fast"))
    rates = [{"optimizer": {"lr": 0.1}}, {"optimizer": {"lr": 0.2}}]
    (rate,) = varied_fields(both, differences(rates))
    assert (rate.path, rate.numbers) == ("optimizer.lr", [0.1, 0.2])
    assert varied_fields(both, differences([rates[0], {"optimizer": {"lr": "auto"}}])) == []
    assert varied_fields(both, differences([{"a": {str(i): i for i in range(4)}}, {}])) == []
    assert varied_fields(both, differences(rates[:1])) == []


def test_values_that_do_not_vary_are_no_field() -> None:
    assert varied_fields(arms({"epochs": 3}, {"epochs": 3}), []) == []


def test_parts_are_named_by_kind_and_by_what_tells_them_apart() -> None:
    sgd, adam = {"kind": "sgd", "lr": 0.1}, {"kind": "adam", "lr": 0.1}
    assert short_texts([sgd, adam, None, []]) == ["sgd", "adam", "null", "[]"]
    assert short_texts([sgd, {**sgd, "lr": 0.2}, adam]) == ["sgd (lr 0.1)", "sgd (lr 0.2)", "adam"]
    assert short_texts([[], [{"kind": "dropout", "p": 0.5}, {"kind": "l2"}]]) == ["none", "dropout + l2"]
    assert short_texts([True, False]) == ["true", "false"]


@given(st.lists(VALUES, min_size=1, max_size=6))
def test_different_values_have_different_texts(values: list[Any]) -> None:
    texts = short_texts(values)
    assert len(set(texts)) == len({repr(value) for value in values})


@given(PATHS)
def test_names_are_ends_of_their_paths_and_differ(paths: list[str]) -> None:
    names = short_names(paths)
    assert len(set(names.values())) == len(paths)
    assert all(path == name or path.endswith(f".{name}") for path, name in names.items())

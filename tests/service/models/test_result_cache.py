"""The cache of results."""

from __future__ import annotations

from service.models.result_cache import ResultCache


def test_least_recently_used_results_are_dropped() -> None:
    cache = ResultCache(max_bytes=10)
    for key in "abc":
        cache.add(key, b"1234")
        assert cache.get("a") is not None
    assert (cache.get("b"), cache.get("c")) == (None, b"1234")
    cache.add("a", b"too large to keep")
    assert [cache.get(key) for key in "abc"] == [None] * 3
    cache.add("a", b"1234567890")
    cache.add("a", b"0987654321")
    assert cache.get("a") == b"0987654321"

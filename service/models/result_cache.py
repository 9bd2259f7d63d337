"""A cache in memory of results that depend on their key alone; the least recently used ones are dropped first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class ResultCache:
    """Results as bytes, of ``max_bytes`` in total. It belongs to one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._results: OrderedDict[Hashable, bytes] = OrderedDict()
        self._room = max_bytes

    def get(self, key: Hashable) -> bytes | None:
        """Return the result with this key; None if it must be computed again."""
        if key in self._results:
            self._results.move_to_end(key)
        return self._results.get(key)

    def add(self, key: Hashable, result: bytes) -> None:
        """Store a result."""
        self._room += len(self._results.pop(key, b"")) - len(result)
        self._results[key] = result
        while self._room < 0:
            _, dropped = self._results.popitem(last=False)
            self._room += len(dropped)

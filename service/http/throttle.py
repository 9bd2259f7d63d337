"""Rate limits: a token bucket per client, in memory, for this process."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MAX_CLIENTS = 10_000
"""Clients that are remembered; the one that was seen longest ago is forgotten first."""


class Throttle:
    """``per_minute`` uses at once, and as many per minute from then on."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity, self._rate, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def use(self, client: str) -> float:
        """Count a use by a client, an address or any other name; return the seconds to wait, 0 if it was allowed."""
        now, key = self._clock(), _bucket_of(client)
        level, since = self._buckets.pop(key, (self._capacity, now))
        level = min(self._capacity, level + (now - since) * self._rate)
        self._buckets[key] = (max(0.0, level - 1), now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if level >= 1 else (1 - level) / self._rate


def _bucket_of(client: str) -> str:
    """Return the name of the bucket: of an IPv6 address its /64, which providers assign to a single customer."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)

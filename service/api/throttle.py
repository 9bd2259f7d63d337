"""How many wrong tokens an address may send: a bucket of chances for each, which fills up again with time."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_ADDRESSES = 10_000
"""Addresses remembered; those that failed longest ago are forgotten first."""


class Throttle:
    """``per_minute`` failures at once, and as many a minute from then on; kept in memory, for this process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def failed(self, address: str) -> float:
        """Count a failure; the seconds until another is answered, 0 while there are chances left."""
        now, key = self._clock(), _network(address)
        left, since = self._buckets.pop(key, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        self._buckets[key] = (max(0.0, left - 1), now)
        if len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._rate


def _network(address: str) -> str:
    """The address; of IPv6 the /64, which is what one machine is given."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)

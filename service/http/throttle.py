"""How often something may be done: a bucket of chances for everybody, which fills up again with time."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KNOWN = 10_000
"""How many are remembered; whoever took a chance longest ago is forgotten first."""


class Throttle:
    """``per_minute`` chances at once, and as many a minute from then on; kept in memory, for this process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._rate, self._clock = float(per_minute), per_minute / 60, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def taken(self, who: str) -> float:
        """Take a chance of an address, or of any other name; the seconds until there is one, 0 where there was."""
        now, key = self._clock(), _network(who)
        left, since = self._buckets.pop(key, (self._most, now))
        left = min(self._most, left + (now - since) * self._rate)
        self._buckets[key] = (max(0.0, left - 1), now)
        if len(self._buckets) > MOST_KNOWN:
            self._buckets.popitem(last=False)
        return 0.0 if left >= 1 else (1 - left) / self._rate


def _network(who: str) -> str:
    """The name; of an IPv6 address the /64, which is what one machine is given."""
    try:
        found = ipaddress.ip_address(who.partition("%")[0])
    except ValueError:
        return who
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)

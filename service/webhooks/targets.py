"""Where a webhook goes: a URL whose name was resolved once, every address of which was checked.

The URL is a stranger's, and the server that connects to it stands inside of somebody's network. So the name is resolved
here, all of its addresses are checked, and the connection is made to one of those very addresses: a name that changes
its answer meanwhile (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import NoReturn

import httpx2

from service.errors import SpecRefused
from service.webhooks.addresses import Address, is_private, is_public

RESOLVE_SECONDS = 5.0
LOOKUPS_AT_ONCE = 64
MOST_URL_LENGTH = 2048
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
ALLOW_PRIVATE = "FITWELL_WEBHOOK_ALLOW_PRIVATE"
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name; raises OSError where it has none."""


@dataclass(frozen=True)
class Target:
    """A URL, and the checked addresses that stand for its name from now on."""

    url: httpx2.URL
    addresses: Sequence[Address]


class Resolver:
    """Asks the system for addresses, in threads that nobody waits for: a silent name server keeps no process alive."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of ``host``.

        Raises:
            OSError: it has none.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def tell(found: list[str], error: OSError | None) -> None:
            self._free.release()
            if answer.done():
                return
            if error is None:
                answer.set_result(found)
            else:
                answer.set_exception(error)

        def look_up() -> None:
            found, wrong = list[str](), None
            try:
                told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
                found = [str(one[4][0]) for one in told]
            except OSError as error:
                wrong = error
            except UnicodeError as error:  # a label that is too long
                wrong = OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits any more
                loop.call_soon_threadsafe(tell, found, wrong)

        threading.Thread(target=look_up, name="webhook-resolver", daemon=True).start()
        return await answer


class Targets:
    """Makes targets of URLs; ``allow_private`` lets them be in private networks, and then without TLS."""

    def __init__(self, *, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or Resolver()

    async def resolved(self, given: str) -> Target:
        """The target at a URL, as its name is resolved now.

        Raises:
            SpecRefused: nothing is sent there.
        """
        url = self._parsed(given)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                found = await self._resolve(url.raw_host.decode("ascii"), port)
        except TimeoutError:
            _refuse("target_unresolved", f"The name {url.host!r} could not be resolved in {RESOLVE_SECONDS:.0f} s.")
        except OSError as error:
            _refuse("target_unresolved", f"The name {url.host!r} could not be resolved: {error.strerror or error}.")
        addresses = [ip_address(one) for one in dict.fromkeys(found)]
        if not addresses:
            _refuse("target_unresolved", f"The name {url.host!r} has no address.")
        for address in addresses:
            self._check(url, address)
        return Target(url, addresses)

    def _parsed(self, given: str) -> httpx2.URL:
        try:
            url = httpx2.URL(given)
        except (httpx2.InvalidURL, ValueError) as error:
            _refuse("url_malformed", f"This is no URL: {str(error).rstrip('.')}.")
        schemes = ("https", "http") if self._allow_private else ("https",)
        if len(given) > MOST_URL_LENGTH:
            _refuse("url_malformed", f"A URL has at most {MOST_URL_LENGTH} characters here, not {len(given)}.")
        if url.scheme not in schemes:
            _refuse("scheme_refused", f"A webhook goes to https://…, not to {url.scheme!r}.", schemes)
        if url.userinfo:
            _refuse("url_malformed", "Leave user and password out of the URL; deliveries are signed instead.")
        if url.fragment:
            _refuse("url_malformed", "Leave the part behind # out of the URL; it would never be sent.")
        if not (_is_address(url.host) or HOST_NAME.fullmatch(url.raw_host.decode("ascii"))):
            _refuse("url_malformed", f"{url.host!r} is neither a host's name nor an address.")
        if url.port is not None and not 0 < url.port < 2**16:
            _refuse("url_malformed", f"A port is 1 to 65535, not {url.port}.")
        return url

    def _check(self, url: httpx2.URL, address: Address) -> None:
        """Refuse an address; the answer does not tell which, as it may come from a name server of the inside."""
        private = is_private(address)
        if private and self._allow_private:
            return
        if not is_public(address):
            more = f" The server's setting {ALLOW_PRIVATE} allows private ones." if private else ""
            _refuse("target_refused", f"{url.host!r} leads to an address that is not on the internet.{more}")
        if url.scheme != "https":
            _refuse("scheme_refused", f"{url.host!r} is on the internet, and that takes https://….", ("https",))


def _is_address(host: str) -> bool:
    try:
        found = ip_address(host)
    except ValueError:
        return False
    return not (isinstance(found, IPv6Address) and found.scope_id)


def _refuse(code: str, message: str, allowed: Sequence[str] = ()) -> NoReturn:
    raise SpecRefused.at("/url", code, message, allowed=allowed)

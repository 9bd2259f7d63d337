"""Targets of webhooks: URLs whose host was resolved once, and whose addresses were all checked.

The URL comes from a client, and the server that connects to it is inside a network. So the host is resolved here, all
of its addresses are checked, and the connection is made to one of them: a name that resolves differently later (DNS
rebinding) has no effect.
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
MAX_URL_LENGTH = 2048
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
ALLOW_PRIVATE = "FITWELL_WEBHOOK_ALLOW_PRIVATE"
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; raises OSError if it has none."""


@dataclass(frozen=True)
class Target:
    """A URL, and the checked addresses of its host."""

    url: httpx2.URL
    addresses: Sequence[Address]


class Resolver:
    """Resolves hosts in daemon threads, so that a name server that does not respond cannot keep the process alive."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of ``host``.

        Raises:
            OSError: The host has none.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        addresses: asyncio.Future[list[str]] = loop.create_future()

        def finish(result: list[str], error: OSError | None) -> None:
            self._free.release()
            if addresses.done():
                return
            if error is None:
                addresses.set_result(result)
            else:
                addresses.set_exception(error)

        def look_up() -> None:
            result, failure = list[str](), None
            try:
                infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
                result = [str(one[4][0]) for one in infos]
            except OSError as error:
                failure = error
            except UnicodeError as error:  # a label that is too long
                failure = OSError(str(error))
            with contextlib.suppress(RuntimeError):  # the event loop has ended
                loop.call_soon_threadsafe(finish, result, failure)

        threading.Thread(target=look_up, name="webhook-resolver", daemon=True).start()
        return await addresses


class Targets:
    """Resolves and checks URLs; ``allow_private`` allows private networks, without TLS too."""

    def __init__(self, *, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._resolve = resolve or Resolver()

    async def resolved(self, text: str) -> Target:
        """Return the target of a URL, with its host resolved now.

        Raises:
            SpecRefused: Webhooks are not sent to this URL.
        """
        url = self._parsed(text)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                resolved = await self._resolve(url.raw_host.decode("ascii"), port)
        except TimeoutError:
            _refuse("target_unresolved", f"The host {url.host!r} could not be resolved in {RESOLVE_SECONDS:.0f} s.")
        except OSError as error:
            _refuse("target_unresolved", f"The host {url.host!r} could not be resolved: {error.strerror or error}.")
        addresses = [ip_address(one) for one in dict.fromkeys(resolved)]
        if not addresses:
            _refuse("target_unresolved", f"The host {url.host!r} has no address.")
        for address in addresses:
            self._check(url, address)
        return Target(url, addresses)

    def _parsed(self, text: str) -> httpx2.URL:
        try:
            url = httpx2.URL(text)
        except (httpx2.InvalidURL, ValueError) as error:
            _refuse("url_malformed", f"Invalid URL: {str(error).rstrip('.')}.")
        schemes = ("https", "http") if self._allow_private else ("https",)
        if len(text) > MAX_URL_LENGTH:
            _refuse("url_malformed", f"A URL can have {MAX_URL_LENGTH} characters, not {len(text)}.")
        if url.scheme not in schemes:
            _refuse("scheme_refused", f"A webhook needs an https:// URL, not {url.scheme!r}.", schemes)
        if url.userinfo:
            _refuse("url_malformed", "Remove user and password from the URL; messages are signed instead.")
        if url.fragment:
            _refuse("url_malformed", "Remove the fragment (after #) from the URL; it is never sent.")
        if not (_is_address(url.host) or HOST_NAME.fullmatch(url.raw_host.decode("ascii"))):
            _refuse("url_malformed", f"{url.host!r} is neither a host name nor an address.")
        if url.port is not None and not 0 < url.port < 2**16:
            _refuse("url_malformed", f"A port must be between 1 and 65535, not {url.port}.")
        return url

    def _check(self, url: httpx2.URL, address: Address) -> None:
        """Refuse an address without naming it, since an internal name server may have returned it."""
        private = is_private(address)
        if private and self._allow_private:
            return
        if not is_public(address):
            hint = f" The setting {ALLOW_PRIVATE} allows private addresses." if private else ""
            _refuse("target_refused", f"{url.host!r} resolves to an address that is not on the internet.{hint}")
        if url.scheme != "https":
            _refuse("scheme_refused", f"{url.host!r} is on the internet, so its URL needs https://.", ("https",))


def _is_address(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return not (isinstance(address, IPv6Address) and address.scope_id)


def _refuse(code: str, message: str, allowed: Sequence[str] = ()) -> NoReturn:
    raise SpecRefused.at("/url", code, message, allowed=allowed)

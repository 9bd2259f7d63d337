"""One attempt: sign a message, send it to the address that was checked, and tell what came back.

HTTP goes to the address while the request names the host: in its Host header, and as the name that TLS asks for and
checks the certificate against. Each attempt has a connection of its own, because a pool would share those of one
address between names. Redirects are not followed and proxies are not asked, as both lead elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import httpx2
from standardwebhooks import Webhook

from service.errors import SpecRefused
from service.webhooks.addresses import Address
from service.webhooks.targets import Target, Targets

ANSWER_SECONDS = 10.0
BODY_SECONDS = 2.0
BODY_BYTES = 16_384
"""How much of an answer is read; the connection is closed on the rest."""
SHOWN_CHARACTERS = 500
MOST_ADDRESSES = 3
GONE = 410
USER_AGENT = f"Fitwell/{version('fitwell')}"


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is sent: the same in every attempt but for the time and the secrets that sign it."""

    id: str
    url: str
    payload: str
    secrets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: a status code, or an error; of the body the beginning."""

    seconds: float
    status_code: int | None = None
    error: str | None = None
    response: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the target took the message."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def gone(self) -> bool:
        """Whether the target wants nothing more, ever."""
        return self.status_code == GONE


def signature(message: Message, at: datetime) -> str:
    """The ``webhook-signature``: one by each secret that is valid now."""
    return " ".join(Webhook(secret).sign(message.id, at, message.payload) for secret in message.secrets)


class Post:
    """Sends messages; trusts the authorities of this machine, or of SSL_CERT_FILE, unless told of others."""

    def __init__(
        self, targets: Targets, *, trust: ssl.SSLContext | None = None, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._targets = targets
        self._trust = trust
        self._answer_seconds = answer_seconds

    async def __call__(self, message: Message) -> Reply:
        """Send a message once; whatever goes wrong on the way is a reply, too."""
        began = time.monotonic()
        status_code, error, body = None, None, b""
        try:
            async with contextlib.AsyncExitStack() as open_until_read:
                async with asyncio.timeout(self._answer_seconds):
                    target = await self._targets.resolved(message.url)
                    answer = await open_until_read.enter_async_context(self._answer(target, message))
                status_code, body = answer.status_code, await _beginning(answer)
        except SpecRefused as refused:
            error = refused.detail
        except TimeoutError:
            error = f"There was no answer within {self._answer_seconds:g} s."
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as wrong:
            error = f"{type(wrong).__name__}: {wrong}"
        if status_code is not None and 300 <= status_code < 400:
            error = f"The target answered {status_code}, and redirects are not followed; give the address it leads to."
        seconds = time.monotonic() - began
        response = body.decode("utf-8", "replace")
        return Reply(seconds=seconds, status_code=status_code, error=_shown(error), response=_shown(response))

    @contextlib.asynccontextmanager
    async def _answer(self, target: Target, message: Message) -> AsyncIterator[httpx2.Response]:
        """The head of the answer; the body can be read until this is left."""
        addresses = target.addresses[:MOST_ADDRESSES]
        timeout = httpx2.Timeout(None, connect=self._answer_seconds / len(addresses))
        if self._trust is None:
            self._trust = await asyncio.to_thread(httpx2.create_ssl_context)
        async with httpx2.AsyncClient(
            verify=self._trust, trust_env=False, follow_redirects=False, timeout=timeout
        ) as client:
            for address in addresses:
                request = _request(client, target.url, address, message)
                try:
                    answer = await client.send(request, stream=True)
                    break
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    if address == addresses[-1]:
                        raise
            try:
                yield answer
            finally:
                await answer.aclose()


def _request(client: httpx2.AsyncClient, url: httpx2.URL, address: Address, message: Message) -> httpx2.Request:
    """The signed request to ``address``, in the name of the URL's host."""
    at = datetime.now(UTC)
    headers = {
        "host": url.netloc.decode("ascii"),
        "content-type": "application/json",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
        "user-agent": USER_AGENT,
        "webhook-id": message.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(message, at),
    }
    return client.build_request(
        "POST",
        url.copy_with(host=str(address)),
        content=message.payload.encode(),
        headers=headers,
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )


def _shown(text: str | None) -> str | None:
    """The beginning of a stranger's text, as every database can store it; None where there is none."""
    return (text or "")[:SHOWN_CHARACTERS].replace("\x00", "\ufffd").encode("utf-8", "replace").decode() or None


async def _beginning(answer: httpx2.Response) -> bytes:
    """The first bytes of the body, as they came; a body that does not come leaves the status as it is."""
    body = b""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(BODY_SECONDS):
            async with contextlib.aclosing(answer.aiter_raw()) as parts:
                async for part in parts:
                    body += part
                    if len(body) >= BODY_BYTES:
                        break
    return body[:BODY_BYTES]

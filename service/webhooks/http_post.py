"""One attempt: sign a message, send it to a checked address, and return the result.

The connection goes to the address, while the Host header and TLS (SNI and certificate) use the host's name. Each
attempt opens its own connection, because a pool would share connections to one address between names. Redirects are not
followed and proxies are not used, since both lead to other addresses.
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

RESPONSE_SECONDS = 10.0
BODY_SECONDS = 2.0
BODY_BYTES = 16_384
"""Bytes of a response that are read before the connection is closed."""
EXCERPT_CHARACTERS = 500
MAX_ADDRESSES = 3
HTTP_GONE = 410
USER_AGENT = f"Fitwell/{version('fitwell')}"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message to send: the same at every attempt, except for the time and the signing secrets."""

    id: str
    url: str
    payload: str
    secrets: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The result of an attempt: a status code or an error, and the beginning of the body."""

    seconds: float
    status_code: int | None = None
    error: str | None = None
    response: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the target accepted the message."""
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def unsubscribed(self) -> bool:
        """Whether the target wants no more messages (410 Gone)."""
        return self.status_code == HTTP_GONE


def signature(message: Message, at: datetime) -> str:
    """Return the ``webhook-signature``, with one signature for each valid secret."""
    return " ".join(Webhook(secret).sign(message.id, at, message.payload) for secret in message.secrets)


class Post:
    """Sends messages; trusts the certificate authorities of this machine or SSL_CERT_FILE, or those in ``trust``."""

    def __init__(
        self, targets: Targets, *, trust: ssl.SSLContext | None = None, response_seconds: float = RESPONSE_SECONDS
    ) -> None:
        self._targets = targets
        self._trust = trust
        self._response_seconds = response_seconds

    async def __call__(self, message: Message) -> Reply:
        """Send a message once; failures are returned as replies."""
        start = time.monotonic()
        status_code, error, body = None, None, b""
        try:
            async with contextlib.AsyncExitStack() as open_until_read:
                async with asyncio.timeout(self._response_seconds):
                    target = await self._targets.resolved(message.url)
                    response = await open_until_read.enter_async_context(self._response(target, message))
                status_code, body = response.status_code, await _excerpt_bytes(response)
        except SpecRefused as refusal:
            error = refusal.detail
        except TimeoutError:
            error = f"No response within {self._response_seconds:g} s."
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        if status_code is not None and 300 <= status_code < 400:
            error = (
                f"The target returned {status_code}. Redirects are not followed; register the URL that it redirects to."
            )
        seconds = time.monotonic() - start
        text = body.decode("utf-8", "replace")
        return Reply(seconds=seconds, status_code=status_code, error=_excerpt(error), response=_excerpt(text))

    @contextlib.asynccontextmanager
    async def _response(self, target: Target, message: Message) -> AsyncIterator[httpx2.Response]:
        """Yield the response; its body can be read inside the context."""
        addresses = target.addresses[:MAX_ADDRESSES]
        timeout = httpx2.Timeout(None, connect=self._response_seconds / len(addresses))
        if self._trust is None:
            self._trust = await asyncio.to_thread(httpx2.create_ssl_context)
        async with httpx2.AsyncClient(
            verify=self._trust, trust_env=False, follow_redirects=False, timeout=timeout
        ) as client:
            for address in addresses:
                request = _request(client, target.url, address, message)
                try:
                    response = await client.send(request, stream=True)
                    break
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    if address == addresses[-1]:
                        raise
            try:
                yield response
            finally:
                await response.aclose()


def _request(client: httpx2.AsyncClient, url: httpx2.URL, address: Address, message: Message) -> httpx2.Request:
    """Return the signed request to ``address``, with the name of the URL's host."""
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


def _excerpt(text: str | None) -> str | None:
    """Return the beginning of untrusted text in a form that every database can store; None for an empty text."""
    return (text or "")[:EXCERPT_CHARACTERS].replace("\x00", "\ufffd").encode("utf-8", "replace").decode() or None


async def _excerpt_bytes(response: httpx2.Response) -> bytes:
    """Return the first bytes of the body; a body that does not arrive does not affect the status."""
    body = b""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(BODY_SECONDS):
            async with contextlib.aclosing(response.aiter_raw()) as parts:
                async for part in parts:
                    body += part
                    if len(body) >= BODY_BYTES:
                        break
    return body[:BODY_BYTES]

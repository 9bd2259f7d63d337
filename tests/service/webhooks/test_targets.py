"""Where webhooks may go: every trick that is known to lead inside is refused, whatever the name server says."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from service.errors import SpecRefused
from service.webhooks import targets
from service.webhooks.addresses import is_private, is_public
from service.webhooks.targets import Resolver, Target, Targets
from tests.patience import scaled

PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.215.14", "2001:4860:4860::8888", "2a00:1450:4001:82a::200e", "2606:4700::1111")
PRIVATE = (
    "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "100.127.255.255", "::1", "fc00::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3",
)  # fmt: skip
NOWHERE = (
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "169.254.1.1", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "233.252.0.1", "239.255.255.255",
    "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16",
    "::", "::8.8.8.8", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "100::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:20::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1",
    "2002:7f00:1::", "2002:808:808::1", "2002:a9fe:a9fe::", "64:ff9b:1::1", "64:ff9b:1::7f00:1",
    "fd00:ec2::254", "fd20:ce::254", "2a00:1450:4001:82a:0:5efe:a00:1", "2a00:1450:4001:82a:200:5efe:7f00:1",
    "::ffff:169.254.169.254", "::ffff:0.0.0.0", "64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16",
    "::ffff:0:127.0.0.1",
)  # fmt: skip


def answering(*answers: Sequence[str]) -> tuple[Any, list[str]]:
    """Return a resolver that gives each answer in turn, repeating the last, and the list of names it looked up."""
    lookups, left = list[str](), list(answers)

    async def resolve(host: str, _port: int) -> Sequence[str]:
        lookups.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, lookups


def resolved(url: str, *addresses: str, allow_private: bool = False) -> Target:
    resolve, _ = answering(addresses)
    return asyncio.run(Targets(allow_private=allow_private, resolve=resolve).resolved(url))


def refusal(url: str, *addresses: str, allow_private: bool = False) -> str:
    with pytest.raises(SpecRefused) as refused:
        resolved(url, *addresses, allow_private=allow_private)
    (error,) = refused.value.errors
    assert error.pointer == "/url"
    return error.code


def test_no_address_is_both_public_and_private() -> None:
    for address, public, private in [
        *((one, True, False) for one in PUBLIC),
        *((one, False, True) for one in PRIVATE),
        *((one, False, False) for one in NOWHERE),
    ]:
        assert (is_public(ip_address(address)), is_private(ip_address(address))) == (public, private), address


@pytest.mark.parametrize("address", [*PRIVATE, *NOWHERE])
def test_name_with_an_internal_address_is_refused_without_naming_it(address: str) -> None:
    assert refusal("https://hooks.example/x", address) == "target_refused"
    for order in (("8.8.8.8", address), (address, "8.8.8.8")):
        with pytest.raises(SpecRefused) as refused:
            resolved("https://hooks.example/x", *order)
        assert address not in refused.value.detail


@pytest.mark.parametrize("address", PUBLIC)
def test_public_name_is_a_target_with_all_its_addresses(address: str) -> None:
    target = resolved("https://hooks.example/x?y=z", address, "8.8.4.4", address)
    assert (str(target.url), [str(one) for one in target.addresses]) == (
        "https://hooks.example/x?y=z",
        [address, "8.8.4.4"],
    )


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_can_be_allowed_also_without_tls(address: str) -> None:
    for url in ("https://lab/x", "http://lab:8080/x"):
        assert list(resolved(url, address, allow_private=True).addresses) == [ip_address(address)]


@pytest.mark.parametrize("address", NOWHERE)
def test_no_setting_allows_metadata_multicast_or_embedded_addresses(address: str) -> None:
    assert refusal("https://lab/x", address, allow_private=True) == "target_refused"


def test_public_address_requires_tls() -> None:
    assert refusal("http://hooks.example/", "8.8.8.8") == "scheme_refused"
    assert refusal("http://hooks.example/", "8.8.8.8", allow_private=True) == "scheme_refused"
    assert refusal("http://hooks.example/", "10.0.0.1", "8.8.8.8", allow_private=True) == "scheme_refused"


HOSTILE = [
    *((f"{scheme}://hooks.example/", "scheme_refused") for scheme in ("ftp", "file", "gopher", "ws", "HTTP", "data")),
    ("javascript:alert(1)", "scheme_refused"), ("//hooks.example/", "scheme_refused"), ("", "scheme_refused"),
    ("hooks.example", "scheme_refused"), ("file:///etc/passwd", "scheme_refused"),
    ("https://", "url_malformed"), ("https:///x", "url_malformed"), ("https://a b/", "url_malformed"),
    ("https://user:secret@hooks.example/", "url_malformed"), ("https://user@hooks.example/", "url_malformed"),
    ("https://127.0.0.1\\@hooks.example/", "url_malformed"), ("https://hooks.example\\.evil/", "url_malformed"),
    ("https://hooks.example/#fragment", "url_malformed"), ("https://hooks.example:0/", "url_malformed"),
    ("https://hooks.example:65536/", "url_malformed"), ("https://hooks.example:-1/", "url_malformed"),
    ("https://hooks.example/\r\nX-Injected: 1", "url_malformed"), ("https://hooks.example/\x00", "url_malformed"),
    ("https://ex%61mple.com/", "url_malformed"), ("https://127.0.0.1%2f.example/", "url_malformed"),
    ("https://[fe80::1%25eth0]/", "url_malformed"), ("https://[::1/", "url_malformed"),
    ("https://[x]/", "url_malformed"),
    ("https://①②⑦.⓪.⓪.①/", "url_malformed"), ("https://１２７.0.0.1/", "url_malformed"),
    ("https://\u200bhooks.example/", "url_malformed"), ("https://hooks.example/" + "x" * 2048, "url_malformed"),
    ("https://-hooks.example/", "url_malformed"), ("https://.hooks.example/", "url_malformed"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "code"), HOSTILE)
def test_malformed_url_is_refused_before_resolution(url: str, code: str) -> None:
    resolve, lookups = answering(("8.8.8.8",))
    with pytest.raises(SpecRefused) as refused:
        asyncio.run(Targets(allow_private=False, resolve=resolve).resolved(url))
    assert (refused.value.errors[0].code, lookups) == (code, [])


DISGUISED = (
    "127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1.", "0",
    "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:1]", "[64:ff9b::7f00:1]",
    "localhost", "LOCALHOST", "localhost.", "169.254.169.254", "2852039166", "[::ffff:a9fe:a9fe]", "10.1",
    "192.168.257",
)  # fmt: skip


@pytest.mark.parametrize("host", DISGUISED)
def test_internal_address_is_refused_in_every_notation(host: str) -> None:
    with pytest.raises(SpecRefused) as refused:
        asyncio.run(Targets(allow_private=False).resolved(f"https://{host}:8443/x"))
    # Some of these are no address to some systems, or no URL at all.
    assert refused.value.errors[0].code in ("target_refused", "target_unresolved", "url_malformed")


def test_loopback_is_refused() -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1"):
        with pytest.raises(SpecRefused, match="not on the internet"):
            asyncio.run(Targets(allow_private=False).resolved(f"https://{host}/"))


def test_unresolvable_name_is_refused_with_the_reason() -> None:
    for host in ("nothing.invalid", "x" * 64 + ".example"):
        with pytest.raises(SpecRefused, match="could not be resolved") as refused:
            asyncio.run(Targets(allow_private=False).resolved(f"https://{host}/"))
        assert refused.value.errors[0].code == "target_unresolved"
    assert refusal("https://hooks.example/") == "target_unresolved"


@pytest.mark.slow
def test_silent_name_server_blocks_neither_the_loop_nor_other_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "RESOLVE_SECONDS", scaled(0.5))
    silence = threading.Event()
    real = socket.getaddrinfo

    def look_up(host: str, *more: Any, **named: Any) -> Any:
        if host == "silent.example":
            silence.wait(scaled(20))
        return real(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def both() -> tuple[float, list[str]]:
        rule, began = Targets(allow_private=True, resolve=Resolver()), time.monotonic()
        ends = await asyncio.gather(
            *(rule.resolved(f"https://{host}/") for host in ["silent.example"] * 60 + ["127.0.0.1"]),
            return_exceptions=True,
        )
        return time.monotonic() - began, [type(one).__name__ for one in ends]

    seconds, ends = asyncio.run(both())
    silence.set()
    assert (set(ends[:60]), ends[60]) == ({"SpecRefused"}, "Target")
    assert seconds < scaled(5)

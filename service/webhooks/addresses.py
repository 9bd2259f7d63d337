"""Which addresses a webhook may be sent to: those of the internet, and on request those of a lab.

Written out rather than left to ``ipaddress.is_global``, which differs between versions of Python and takes 6to4,
multicast and site-local addresses for global ones.

Reference: IANA's registries of special-purpose addresses (RFC 6890).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

SPECIAL_IPV4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # "this" network: 0.0.0.0 is the machine itself
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",  # link-local, and where clouds keep credentials
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.88.99.0/24",  # relays into IPv6
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "168.63.129.16/32",  # Azure's metadata, in the middle of the internet
        ),
    )
)
INTERNET_IPV6 = IPv6Network("2000::/3")
SPECIAL_IPV6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo and others that embed an address
            "2001:db8::/32",
            "2002::/16",  # 6to4 embeds an IPv4 address
            "2620:4f:8000::/48",
            "3fff::/20",
        ),
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
ISATAP = (0x00005EFE, 0x02005EFE)
"""The middle of an address that embeds an IPv4 address, whatever its network."""

PRIVATE = tuple(
    map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
) + tuple(map(IPv6Network, ("::1/128", "fc00::/7")))
METADATA = frozenset(map(IPv4Address, ("100.100.100.200",))) | frozenset(
    map(IPv6Address, ("fd00:ec2::254", "fd20:ce::254"))
)
"""Where clouds keep credentials inside of private networks; never a target."""


def is_public(address: Address) -> bool:
    """Whether the address is a host's on the internet."""
    address = _effective(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_IPV4)
    if int(address) >> 32 & 0xFFFFFFFF in ISATAP or address.scope_id is not None:
        return False
    return address in INTERNET_IPV6 and not any(address in network for network in SPECIAL_IPV6)


def is_private(address: Address) -> bool:
    """Whether the address is this machine's or a private network's; those where clouds keep credentials are neither."""
    address = _effective(address)
    return address not in METADATA and any(address in network for network in PRIVATE)


def _effective(address: Address) -> Address:
    """The IPv4 address that a connection to a mapped or translated IPv6 address would reach."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address

"""Which addresses may be asked: private networks are refused unless someone allowed them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Site-local, and IPv4 within IPv6: both deprecated, and may still be routed.
_OLD = (ipaddress.ip_network("fec0::/10"), ipaddress.ip_network("::/96"))
_SPECIAL: tuple[_Network, ...] = (*EXTRA_BLOCKED_NET_RANGES, *_OLD)


class AllowList:
    """Networks (10.0.0.0/8, a single address) and host names that may be asked though private.

    Raises ValueError for a text with a slash that is no network.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._networks: list[_Network] = []
        self._hosts: set[str] = set()
        for text in allowed:
            try:
                self._networks.append(ipaddress.ip_network(text.strip()))
            except ValueError:
                if "/" in text:
                    raise
                self._hosts.add(text.strip().lower())

    def addresses(self, host: str, port: int | None) -> list[str]:
        """The host's addresses that may be asked, in the resolver's order.

        Raises OSError for a name that leads nowhere.
        """
        try:
            found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a part of it is too long for any name
            raise socket.gaierror(socket.EAI_NONAME, "No such name.") from None
        texts = dict.fromkeys(str(one[4][0]) for one in found)
        return [text for text in texts if self.permits(host, ipaddress.ip_address(text))]

    def permits(self, host: str, address: _Address) -> bool:
        """Whether an address that `host` led to may be asked: a public one, or an allowed one."""
        address = _plain(address)
        if any(address in net for net in self._networks) or host.lower() in self._hosts:
            return True
        special = address.is_private or address.is_multicast or address.is_unspecified
        return not special and not any(address in net for net in _SPECIAL)


def _plain(address: _Address) -> _Address:
    """An IPv4 address in IPv6 clothes as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address

"""Which addresses may be asked: private networks are refused unless someone allowed them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import EXTRA_BLOCKED_NET_RANGES
from requests_hardened.ip_filter_adapter import IPFilterAdapter

from ingestion.resilience.deadline import POOLS

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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

    def address(self, host: str, port: int | None) -> str | None:
        """The host's address when it is allowed here; None leaves the decision to the filter.

        IPv4 before IPv6: what stands in a private network often listens on IPv4 alone.
        """
        if not self._networks and not self._hosts:
            return None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return None
        addresses = [_plain(ipaddress.ip_address(one[4][0])) for one in found]
        for address in sorted(addresses, key=lambda one: one.version):
            if host.lower() in self._hosts or any(address in net for net in self._networks):
                return str(address)
        return None

    def permits(self, host: str, address: _Address) -> bool:
        """Whether an address that `host` led to may be asked: a public one, or an allowed one."""
        address = _plain(address)
        if any(address in net for net in self._networks) or host.lower() in self._hosts:
            return True
        special = address.is_private or address.is_multicast or address.is_unspecified
        return not special and not any(address in net for net in EXTRA_BLOCKED_NET_RANGES)


def _plain(address: _Address) -> _Address:
    """An IPv4 address in IPv6 clothes as what it is."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


class GuardedAdapter(IPFilterAdapter):  # type: ignore[misc]
    """requests-hardened's filter (resolve once, check, connect to that address) with an allow-list.

    The library itself can only allow loopback as a whole.
    """

    def __init__(self, scheme: str, allowed: AllowList) -> None:
        super().__init__(is_https_proto=scheme == "https")
        self._allowed = allowed

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Pools whose connections keep to the deadline of the whole answer."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Where to connect: an allowed address as it is, any other through the filter."""
        parts = urlsplit(request.url or "")
        hostname = str(parts.hostname or "")
        address = self._allowed.address(hostname, parts.port)
        if address is None:
            pinned: tuple[Any, Any] = super().build_connection_pool_key_attributes(
                request, verify, cert
            )
            return pinned
        host, pool = HTTPAdapter.build_connection_pool_key_attributes(self, request, verify, cert)
        request.headers["Host"] = parts.netloc.rpartition("@")[2]
        host["host"] = f"[{address}]" if ":" in address else address
        if self._is_https_proto:
            # The certificate must be valid for the name, not for the address it was pinned to.
            pool["assert_hostname"] = pool["server_hostname"] = hostname  # type: ignore[typeddict-unknown-key]
        return host, pool

"""The address of a database server in settings.yaml: what is refused before anything connects."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_FORM = "Write postgresql://USER@HOST/NAME, or postgresql:///NAME?host=FOLDER for a Unix socket."
_PGPASS = "Write it into ~/.pgpass (mode 0600) as HOST:5432:NAME:USER:PASSWORD, or name such a file in PGPASSFILE."
_TLS = "Add ?sslmode=verify-full, or set `database_without_tls: true` for a private network such as WireGuard."


class Refused(ValueError):
    """An address that is refused, without the address: it may hold a password."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def check(url: str, *, without_tls: bool) -> str:
    """The address as it was given. Raises Refused."""
    parts, options = _split(url)
    if parts.password is not None or "password" in options:
        raise Refused("must hold no password", _PGPASS)
    if "service" in options:
        raise Refused("must name its host itself, not a service", _FORM)
    remote = [host for host in _hosts(parts, options) if not is_local(host)]
    if remote and options.get("sslmode", [""])[-1] != "verify-full" and not without_tls:
        raise Refused(f"{remote[0]} is another computer, and the connection would not be encrypted and verified", _TLS)
    return url


def _split(url: str) -> tuple[SplitResult, dict[str, list[str]]]:
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise Refused("is not an address", _FORM) from None
    if parts.scheme not in ("postgresql", "postgres") or parts.fragment or len(parts.path) < 2:
        raise Refused("must be the address of a PostgreSQL database", _FORM)
    return parts, options


def _hosts(parts: SplitResult, options: dict[str, list[str]]) -> list[str]:
    """Every host that the address names, those of its options included; none for the default Unix socket."""
    places = [place.rpartition("@")[2] for place in parts.netloc.split(",")]
    named = [_without_port(place) for place in places]
    for option in ("host", "hostaddr"):
        named += [host for value in options.get(option, []) for host in value.split(",")]
    return [unquote(host) for host in named if host]


def _without_port(place: str) -> str:
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition(":")[0]


def is_local(host: str) -> bool:
    """Whether a host is this computer: a loopback address, or the folder of a Unix socket."""
    if host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # another name
        return False

"""Where the big tables are, when not in the default database: READINGS_URL in its parts. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_EXAMPLE = "clickhouse://user:password@host:8123/database"
_PORTS = {"clickhouse": 8123, "clickhouses": 8443}


@dataclass(frozen=True, slots=True)
class Address:
    """A ClickHouse server, or a directory for the engine inside this process (`directory`).

    The password shows in no text made of it. `given_by` is what people have to correct.
    """

    host: str = ""
    port: int = 0
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    encrypted: bool = False
    directory: str = ""
    given_by: str = field(default="READINGS_URL", compare=False)

    @classmethod
    def of(cls, url: str, given_by: str = "READINGS_URL") -> Address | None:
        """The parts of READINGS_URL (or of what else gave the address); None for an empty one.

        `clickhouses://` speaks TLS. `chdb:///directory` runs the engine in this process, which
        alone may open the directory: for tests and trials. Raises ImproperlyConfigured, without
        repeating the text: it may hold a password.
        """
        if not url:
            return None
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _unusable("its host or port cannot be read", given_by) from error
        if parts.scheme == "chdb":
            if parts.netloc or len(parts.path) < 2:
                raise _unusable("chdb:// takes the absolute path of a directory", given_by)
            return cls(directory=unquote(parts.path), given_by=given_by)
        if parts.scheme not in _PORTS:
            raise _unusable(
                "it begins neither with clickhouse:// nor with clickhouses://", given_by
            )
        database = unquote(parts.path.strip("/"))
        if not parts.hostname or not database or "/" in database or parts.query or parts.fragment:
            raise _unusable("it does not name exactly a host and a database", given_by)
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            database=database,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            encrypted=parts.scheme == "clickhouses",
            given_by=given_by,
        )

    def __str__(self) -> str:
        """For people: which server and database, without user and password."""
        if self.directory:
            return f"ClickHouse in {self.directory}"
        return f"ClickHouse at {self.host}:{self.port}, database {self.database}"


def _unusable(why: str, given_by: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(
        f"{given_by} cannot be used: {why}. Write it like {_EXAMPLE}, or leave it empty to keep "
        "readings in the default database."
    )

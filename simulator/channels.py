"""The model: what is known about a channel, its rows, and the set of channels of a server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

Value = str | int | float | bool | None
"""One recorded value. ThingSpeak itself only ever sends text or null; a recording may hold numbers.
"""

MAX_ROWS = 8000
DEFAULT_ROWS = 100


@dataclass(frozen=True, slots=True)
class Facts:
    """The channel block of an answer, who may read it, and what the catalogue tells beyond that.

    `labels` maps field numbers 1..8 to their labels; only labelled fields exist. `created_at` and
    `updated_at` are texts. A channel without `read_key` is public. `notes` go into the catalogue
    only.
    """

    id: int
    name: str
    labels: Mapping[int, str]
    created_at: str
    updated_at: str
    description: str | None = None
    latitude: str = "0.0"
    longitude: str = "0.0"
    elevation: str | None = None
    metadata: str | None = None
    read_key: str | None = None
    write_key: str | None = None
    last_entry_id: int | None = None
    notes: Mapping[str, object] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether anybody may read the channel without a key."""
        return self.read_key is None

    def opens_with(self, key: str | None) -> bool:
        """Whether a request with this key may read: any key of the channel, read or write, opens a
        private one.
        """
        return self.public or (key is not None and key in {self.read_key, self.write_key})


class Row:
    """One entry. Compared by identity, so that sets and caches of rows cost next to nothing.

    `at` orders and selects it (seconds since 1970 UTC); `created_at` is a text to be served as it
    stands, or None for the API's own form of `at`; `values` follow the order of the channel's
    labels; `plain_json` remembers its encoding.
    """

    __slots__ = (
        "at",
        "created_at",
        "elevation",
        "entry_id",
        "latitude",
        "longitude",
        "plain_json",
        "status",
        "values",
    )

    def __init__(
        self,
        at: float,
        entry_id: int | str | None,
        values: tuple[Value, ...],
        created_at: str | None = None,
        extras: tuple[Value, Value, Value, Value] = (None, None, None, None),
    ) -> None:
        self.at = at
        self.entry_id = entry_id
        self.values = values
        self.created_at = created_at
        self.latitude, self.longitude, self.elevation, self.status = extras
        self.plain_json: str | None = None

    def changed(
        self,
        *,
        at: float | None = None,
        entry_id: int | str | None = None,
        values: tuple[Value, ...] | None = None,
    ) -> "Row":
        """A copy with another time, number or values."""
        return Row(
            self.at if at is None else at,
            self.entry_id if entry_id is None else entry_id,
            self.values if values is None else values,
            self.created_at if at is None else None,
            (self.latitude, self.longitude, self.elevation, self.status),
        )


class Channel(Protocol):
    """Anything that can be served as a ThingSpeak channel. All times are seconds since 1970 UTC,
    bounds inclusive.
    """

    @property
    def facts(self) -> Facts:
        """What is known about the channel."""

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """The newest `limit` rows of the window as it is at `now`, oldest first."""

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row with this number, if it exists at `now`."""

    def last_entry_id(self, now: float) -> int | None:
        """The number of the newest entry, None while the channel is empty."""


class Channels:
    """The channels of a server by id, in the order they were added."""

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self._by_id: dict[int, Channel] = {}
        for channel in channels:
            self.add(channel)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, channel_id: int) -> bool:
        return channel_id in self._by_id

    def add(self, channel: Channel) -> None:
        """Offer one more channel; its id must be free."""
        if channel.facts.id in self._by_id:
            raise ValueError(f"channel {channel.facts.id} exists twice")
        self._by_id[channel.facts.id] = channel

    def get(self, channel_id: int) -> Channel | None:
        """The channel with this id."""
        return self._by_id.get(channel_id)

    def catalogue(self) -> list[dict[str, object]]:
        """What a person or a seeding script needs to know of each channel, ready for JSON."""
        return [
            {
                "id": facts.id,
                "name": facts.name,
                "latitude": facts.latitude,
                "longitude": facts.longitude,
                "elevation": facts.elevation,
                "read_key": facts.read_key,
                "fields": {f"field{number}": label for number, label in facts.labels.items()},
                **facts.notes,
            }
            for facts in (channel.facts for channel in self)
        ]

"""Faults in the data: a channel seen through them still behaves like a channel."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from simulator.channels import Channel, Facts, Row, Value
from simulator.faults import Fault

Change = Callable[[Row], Row]


class Cleared:
    """The owner has cleared the channel: older rows are gone, numbering has started again at 1."""

    def __init__(self, channel: Channel, since: float) -> None:
        self.facts = replace(channel.facts, last_entry_id=None)
        self._channel = channel
        self._since = since
        self._base = channel.last_entry_id(since) or 0

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """Rows that came after the clearing."""
        start = self._since if start is None else max(start, self._since)
        rows = self._channel.rows(start, end, limit, now)
        return [
            row.changed(entry_id=row.entry_id - self._base)
            for row in rows
            if row.at > self._since and isinstance(row.entry_id, int)
        ]

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row that has this number since the clearing."""
        row = self._channel.entry(entry_id + self._base, now) if entry_id > 0 else None
        return row.changed(entry_id=entry_id) if row is not None and row.at > self._since else None

    def last_entry_id(self, now: float) -> int | None:
        """Number of the newest row since the clearing, None if there is none."""
        return max(0, (self._channel.last_entry_id(now) or 0) - self._base) or None


class Late:
    """Rows newer than an instant are held back; they appear when the fault ends."""

    def __init__(self, channel: Channel, until: float) -> None:
        self.facts = channel.facts
        self._channel = channel
        self._until = until

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """Rows up to the instant."""
        return self._channel.rows(
            start, self._until if end is None else min(end, self._until), limit, now
        )

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row, if it is not held back."""
        row = self._channel.entry(entry_id, now)
        return row if row is not None and row.at <= self._until else None

    def last_entry_id(self, now: float) -> int | None:
        """Number of the newest row that is not held back."""
        return self._channel.last_entry_id(min(now, self._until))


class Mapped:
    """Each row changed by itself, and the labels with it."""

    def __init__(self, channel: Channel, facts: Facts, change: Change) -> None:
        self.facts = facts
        self._channel = channel
        self._change = change

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """The changed rows."""
        return [self._change(row) for row in self._channel.rows(start, end, limit, now)]

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The changed row."""
        row = self._channel.entry(entry_id, now)
        return None if row is None else self._change(row)

    def last_entry_id(self, now: float) -> int | None:
        """As before."""
        return self._channel.last_entry_id(now)


class Repeated(Mapped):
    """Every row is sent twice."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, channel.facts, lambda row: row)

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """Each row twice, side by side; the limit counts both."""
        rows = self._channel.rows(start, end, limit, now)
        return [row for row in rows for _ in range(2)][-limit:] if limit else []


class Falling(Mapped):
    """Newer rows have smaller numbers, as after an import of old data; a row's number does not
    change between answers.
    """

    def __init__(self, channel: Channel, since: float) -> None:
        self._mirror = 2 * (channel.last_entry_id(since) or 0) + 1_000_000
        super().__init__(channel, channel.facts, self._mirrored)

    def _mirrored(self, row: Row) -> Row:
        return (
            row.changed(entry_id=self._mirror - row.entry_id)
            if isinstance(row.entry_id, int)
            else row
        )

    def entry(self, entry_id: int, now: float) -> Row | None:
        """The row with this mirrored number."""
        return super().entry(self._mirror - entry_id, now)

    def last_entry_id(self, now: float) -> int | None:
        """The mirrored number of the newest row."""
        last = self._channel.last_entry_id(now)
        return None if last is None else self._mirror - last


class Ahead(Mapped):
    """Rows dated in the future follow the newest one: copies of it, a second apart."""

    def __init__(self, channel: Channel, since: float, ahead_s: float, extra: int) -> None:
        super().__init__(channel, channel.facts, lambda row: row)
        model = channel.rows(None, since, 1, since)
        self._extra = [
            row.changed(
                at=float(int(since + ahead_s)) + step, entry_id=row.entry_id + 1_000_000 + step
            )
            for row in model
            for step in range(extra)
            if isinstance(row.entry_id, int)
        ]

    def rows(self, start: float | None, end: float | None, limit: int, now: float) -> list[Row]:
        """The rows, then those of the future that the window holds."""
        extra = [
            row
            for row in self._extra
            if (start is None or row.at >= start) and (end is None or row.at <= end)
        ][-limit:]
        if len(extra) >= limit:
            return extra
        return super().rows(start, end, limit - len(extra), now) + extra


def _position(facts: Facts, number: int) -> int | None:
    return list(facts.labels).index(number) if number in facts.labels else None


def _renamed(channel: Channel, fault: Fault) -> Channel:
    number = int(fault.number("field"))
    if number not in channel.facts.labels:
        return channel
    labels = {**channel.facts.labels, number: str(fault.options["label"])}
    return Mapped(channel, replace(channel.facts, labels=labels), lambda row: row)


def _swapped(channel: Channel, fault: Fault) -> Channel:
    """The labels change for all, the values of rows from then on: what was sent is sent."""
    numbers = int(fault.number("first")), int(fault.number("second"))
    first, second = (_position(channel.facts, number) for number in numbers)
    if first is None or second is None:
        return channel
    labels = dict(channel.facts.labels)
    if fault.options["labels"]:
        labels[numbers[0]], labels[numbers[1]] = labels[numbers[1]], labels[numbers[0]]

    def change(row: Row) -> Row:
        values: list[Value] = list(row.values)
        values[first], values[second] = values[second], values[first]
        return row.changed(values=tuple(values)) if row.at > fault.since else row

    return Mapped(channel, replace(channel.facts, labels=labels), change)


def _vanished(channel: Channel, fault: Fault) -> Channel:
    number = int(fault.number("field"))
    position = _position(channel.facts, number)
    if position is None:
        return channel
    labels = {known: label for known, label in channel.facts.labels.items() if known != number}
    return Mapped(
        channel,
        replace(channel.facts, labels=labels),
        lambda row: row.changed(values=row.values[:position] + row.values[position + 1 :]),
    )


def _scaled(channel: Channel, fault: Fault) -> Channel:
    """From the start of the fault on, the device sends a field in another unit."""
    position = _position(channel.facts, int(fault.number("field")))
    if position is None:
        return channel

    def change(row: Row) -> Row:
        values: list[Value] = list(row.values)
        values[position] = _in_another_unit(values[position], fault)
        return row.changed(values=tuple(values)) if row.at > fault.since else row

    return Mapped(channel, channel.facts, change)


def _in_another_unit(value: Value, fault: Fault) -> Value:
    """number x factor + offset with the fault's decimals; what is no number stays."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value
    changed = number * fault.number("factor") + fault.number("offset")
    return f"{changed:.{int(fault.number('decimals'))}f}"


_VIEWS: dict[str, Callable[[Channel, Fault], Channel]] = {
    "cleared": lambda channel, fault: Cleared(channel, fault.since),
    "late": lambda channel, fault: Late(channel, fault.since - fault.number("seconds")),
    "duplicate": lambda channel, _fault: Repeated(channel),
    "future": lambda channel, fault: Ahead(
        channel, fault.since, fault.number("seconds"), int(fault.number("count"))
    ),
    "falling_ids": lambda channel, fault: Falling(channel, fault.since),
    "rename": _renamed,
    "swap": _swapped,
    "vanish": _vanished,
    "scale": _scaled,
}


def seen_through(channel: Channel, faults: Iterable[Fault]) -> Channel:
    """The channel as the faults in the data show it."""
    for fault in faults:
        if fault.stage == "data":
            channel = _VIEWS[fault.kind](channel, fault)
    return channel

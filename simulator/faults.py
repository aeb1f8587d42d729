"""Faults on demand: which exist, which are active, and which of them a request meets.

Four stages, in this order: `answer` replaces what the API says, `access` and `data` change what it
knows, `delivery` harms the bytes on their way.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

REQUIRED = object()
Option = tuple[type, object]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: its stage and its options with type and default."""

    stage: str
    options: Mapping[str, Option] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "latency": Kind("delivery", {"seconds": (float, REQUIRED)}),
    "reset": Kind("delivery", {"after_bytes": (int, 0)}),
    "cutoff": Kind("delivery", {"fraction": (float, 0.5)}),
    "drip": Kind("delivery", {"chunk": (int, 16), "interval_s": (float, 0.1)}),
    "status": Kind(
        "answer", {"code": (int, REQUIRED), "retry_after": (float, None), "as_date": (bool, False)}
    ),
    "html": Kind("answer", {"code": (int, 200)}),
    "minus_one": Kind("answer", {"code": (int, 400)}),
    "redirect": Kind("answer", {"to": (str, REQUIRED), "code": (int, 302)}),
    "huge": Kind("answer", {"bytes": (int, 10_000_000)}),
    "wrong_key": Kind("access"),
    "cleared": Kind("data"),
    "rename": Kind("data", {"field": (int, REQUIRED), "label": (str, REQUIRED)}),
    "swap": Kind("data", {"first": (int, 1), "second": (int, 2), "labels": (bool, True)}),
    "vanish": Kind("data", {"field": (int, REQUIRED)}),
    "scale": Kind(
        "data",
        {
            "field": (int, REQUIRED),
            "factor": (float, 1.0),
            "offset": (float, 0.0),
            "decimals": (int, 2),
        },
    ),
    "late": Kind("data", {"seconds": (float, 0.0)}),
    "duplicate": Kind("data"),
    "future": Kind("data", {"seconds": (float, 86400.0), "count": (int, 1)}),
    "falling_ids": Kind("data"),
}


class FaultError(Exception):
    """A fault was described wrongly; the message says how."""


@dataclass(slots=True)
class Fault:
    """An active fault. `channel` None means all; `remaining` None means until cleared; `since` is
    simulated time.
    """

    id: int
    kind: str
    channel: int | None
    remaining: int | None
    since: float
    options: dict[str, object]

    @property
    def stage(self) -> str:
        """Where it strikes: answer, access, data or delivery."""
        return KINDS[self.kind].stage

    def number(self, name: str) -> float:
        """A numeric option."""
        value = self.options[name]
        if not isinstance(value, int | float):
            raise FaultError(f"{name} of {self.kind} is no number")
        return value

    def as_json(self) -> dict[str, object]:
        """The fault as an object for the control API."""
        return {
            "id": self.id,
            "kind": self.kind,
            "channel": self.channel,
            "requests": self.remaining,
            "since": self.since,
            **self.options,
        }


def _option(kind: str, name: str, expected: type, value: object) -> object:
    if value is REQUIRED:
        raise FaultError(f"{kind} needs {name}")
    if value is None:
        return None
    if type(value) not in ({float, int} if expected is float else {expected}):
        raise FaultError(f"{name} of {kind} must be {expected.__name__}, not {value!r}")
    if isinstance(value, int | float) and not 0 <= value < math.inf:
        raise FaultError(f"{name} of {kind} must not be negative or infinite")
    return value


def _check(kind: str, options: Mapping[str, object]) -> None:
    """Values that have the right type and still make no sense."""
    code = options.get("code")
    if isinstance(code, int) and not 200 <= code <= 599:
        raise FaultError(f"{code} is no status of HTTP")
    for name in ("field", "first", "second"):
        if name in options and options[name] not in range(1, 9):
            raise FaultError(f"{name} of {kind} must be 1 to 8")
    if kind == "drip" and not options["chunk"]:
        raise FaultError("chunk of drip must be 1 at least")
    target = str(options.get("to", ""))
    if not target.isprintable() or not target.isascii():
        raise FaultError("to must be a plain URL")


class Faults:
    """The active faults."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._ids = count(1)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._active)

    def add(self, described: Mapping[str, object], now: float) -> Fault:
        """Activate a fault from its JSON description: kind, channel, requests and the options of
        the kind.
        """
        given = dict(described)
        kind = given.pop("kind", None)
        if not isinstance(kind, str) or kind not in KINDS:
            raise FaultError(f"kind must be one of {', '.join(sorted(KINDS))}")
        channel, requests = given.pop("channel", None), given.pop("requests", None)
        for name, value in (("channel", channel), ("requests", requests)):
            if value is not None and (type(value) is not int or value < 1):
                raise FaultError(f"{name} must be a whole number above 0")
        known = KINDS[kind].options
        unknown = given.keys() - known.keys()
        if unknown:
            raise FaultError(f"{kind} does not know {', '.join(sorted(unknown))}")
        options = {name: _option(kind, name, *_typed(known[name], given, name)) for name in known}
        _check(kind, options)
        fault = Fault(next(self._ids), kind, channel, requests, now, options)  # type: ignore[arg-type]
        self._active.append(fault)
        return fault

    def clear(self, *, fault_id: int | None = None, channel: int | None = None) -> int:
        """End faults: one by its id, those of one channel, or all. Returns how many ended."""
        before = len(self._active)
        self._active = [
            fault
            for fault in self._active
            if (fault_id is not None and fault.id != fault_id)
            or (channel is not None and fault.channel != channel)
        ]
        return before - len(self._active)

    def active(self, channel: int | None) -> list[Fault]:
        """The faults that concern a channel."""
        return [
            fault for fault in self._active if fault.channel is None or fault.channel == channel
        ]

    def meet(self, channel: int | None) -> list[Fault]:
        """The faults that a request for this channel meets now; those for n requests are used up by
        one.
        """
        if not self._active:
            return []
        met = self.active(channel)
        for fault in met:
            if fault.remaining is not None:
                fault.remaining -= 1
        self._active = [
            fault for fault in self._active if fault.remaining is None or fault.remaining > 0
        ]
        return met


def _typed(option: Option, given: Mapping[str, object], name: str) -> tuple[type, object]:
    expected, default = option
    return expected, given.get(name, default)

"""The read endpoints of one channel: what each says, with the conventions for no access and no
data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from simulator.aggregate import slots, within
from simulator.answers import error
from simulator.channels import DEFAULT_ROWS, MAX_ROWS, Channel, Facts, Row, Value
from simulator.messages import CSV, HTML, JSON, SCRIPT, TEXT, XML, Answer
from simulator.query import Aggregate, View, aggregate_of, bounds_of, view_of, window_of
from simulator.render import (
    channel_object,
    csv_table,
    dumps,
    feeds_json,
    row_object,
    shown_fields,
    table,
    xml,
)

CONTENT_TYPES: Mapping[str | None, str] = {
    "json": JSON,
    "csv": CSV,
    "xml": XML,
    "txt": TEXT,
    "text": TEXT,
    "html": HTML,
    None: HTML,
}
"""Formats by suffix; without one ThingSpeak sends JSON (or the bare value) in an HTML page."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request for one channel. `field` is its field number, `which` is last, last_data_age or
    an entry number.
    """

    channel: Channel
    params: Mapping[str, str]
    format: str | None
    permitted: bool
    now: float
    field: int | None = None
    which: str | None = None

    @property
    def facts(self) -> Facts:
        """What is known about the channel."""
        return self.channel.facts


@dataclass(slots=True)
class Outcome:
    """An answer and the rows it shows."""

    answer: Answer
    rows: list[Row]


def _said(call: Call, body: str, status: int = 200) -> Answer:
    callback = call.params.get("callback")
    if callback and call.format == "json" and status == 200:
        return Answer(status, f"{callback}({body})".encode(), SCRIPT)
    return Answer(status, body.encode(), CONTENT_TYPES[call.format])


def _none(call: Call) -> Outcome:
    """No access or no data on a single value: "-1" as JSON text, -1 in CSV, with status 200."""
    if call.format == "xml":
        return Outcome(_said(call, xml("feed", {"id": -1, "entry_id": -1})), [])
    return Outcome(_said(call, "-1" if call.format == "csv" else '"-1"'), [])


def _view(call: Call) -> View:
    return view_of(call.params, call.field)


def feeds(call: Call) -> Outcome:
    """feeds.<f> and fields/<n>.<f>: the channel block and a window of rows. No access: 400 and -1
    in every format.
    """
    if not call.permitted:
        return Outcome(_said(call, "-1", 400), [])
    view = _view(call)
    window = window_of(call.params, view.zone, call.now)
    rows = (
        call.channel.rows(window.start, window.end, window.limit, call.now) if window.limit else []
    )
    low, high = bounds_of(call.params)
    if low is not None or high is not None:
        rows = within(rows, low, high)
    aggregate = aggregate_of(call.params)
    if aggregate:
        return Outcome(_said(call, _aggregated(call, rows, view, aggregate)), [])
    return Outcome(_said(call, _listed(call, rows, view)), rows)


def _block(call: Call, view: View) -> dict[str, object]:
    metadata = call.params.get("metadata") == "true"
    return channel_object(call.facts, call.channel.last_entry_id(call.now), view, metadata=metadata)


def _listed(call: Call, rows: list[Row], view: View) -> str:
    if call.format == "csv":
        return csv_table(call.facts, rows, view)
    if call.format == "xml":
        return _xml_list(_block(call, view), [row_object(row, call.facts, view) for row in rows])
    return feeds_json(call.facts, _block(call, view), rows, view)


def _aggregated(call: Call, rows: list[Row], view: View, aggregate: Aggregate) -> str:
    shown = slots(rows, call.facts, view, aggregate)
    if call.format == "csv":
        names = ["created_at", *(f"field{number}" for _, number in shown_fields(call.facts, view))]
        return table(
            names, [["" if value is None else value for value in slot.values()] for slot in shown]
        )
    if call.format == "xml":
        return _xml_list(_block(call, view), shown)
    return dumps({"channel": _block(call, view), "feeds": shown})


def _xml_list(block: Mapping[str, object], shown: list[dict[str, Value]]) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return head + xml("channel", {**block, "feeds": shown})


def _newest(call: Call) -> Row | None:
    """The newest row; of a field the newest in which it is not null, as recorded answers show."""
    if call.field is None:
        return next(iter(call.channel.rows(None, None, 1, call.now)), None)
    position = (
        list(call.facts.labels).index(call.field) if call.field in call.facts.labels else None
    )
    if position is None:
        return None
    for limit in (DEFAULT_ROWS, MAX_ROWS):
        for row in reversed(call.channel.rows(None, None, limit, call.now)):
            if row.values[position] is not None:
                return row
    return None


def single(call: Call) -> Outcome:
    """feeds/last, feeds/<entry_id>, fields/<n>/last, fields/<n>/<entry_id>: one row without the
    channel block.
    """
    row = (
        _newest(call)
        if call.which == "last"
        else call.channel.entry(int(call.which or 0), call.now)
    )
    if not call.permitted or row is None:
        return _none(call)
    view = _view(call)
    shown = row_object(row, call.facts, view)
    if call.format == "csv":
        return Outcome(_said(call, csv_table(call.facts, [row], view)), [row])
    if call.format == "xml":
        return Outcome(_said(call, xml("feed", shown)), [row])
    if call.format != "json" and call.field is not None:
        value = shown.get(f"field{call.field}")
        before, after = call.params.get("prepend", ""), call.params.get("append", "")
        text = "" if value is None else str(value)
        return Outcome(_said(call, f"{before}{text}{after}"), [row])
    return Outcome(_said(call, dumps(shown)), [row])


def data_age(call: Call) -> Outcome:
    """feeds/last_data_age and fields/<n>/last_data_age in seconds. The shape is not documented: it
    is our guess.
    """
    row = _newest(call)
    if not call.permitted or row is None:
        return _none(call)
    age = max(0, int(call.now - row.at))
    if call.format == "csv":
        return Outcome(
            _said(call, table(["last_data_age", "last_data_age_units"], [[age, "s"]])), []
        )
    if call.format == "xml":
        return Outcome(_said(call, xml("last_data_age", age)), [])
    body = (
        dumps({"last_data_age": str(age), "last_data_age_units": "s"})
        if call.format == "json"
        else str(age)
    )
    return Outcome(_said(call, body), [])


def last_entry_id(call: Call) -> Outcome:
    """last_entry_id: a bare number in every format, -1 without access or data."""
    last = call.channel.last_entry_id(call.now) if call.permitted else None
    return Outcome(_said(call, "-1" if last is None else str(last)), [])


def status(call: Call) -> Outcome:
    """status.<f>: the status texts of one day unless told otherwise, and a short channel block."""
    if not call.permitted:
        return _none(call)
    view = _view(call)
    window = window_of({"days": "1", **call.params}, view.zone, call.now)
    rows = (
        call.channel.rows(window.start, window.end, window.limit, call.now) if window.limit else []
    )
    bare = replace(call.facts, labels={})
    shown = [row_object(row, bare, replace(view, status=True, location=False)) for row in rows]
    block = {
        "name": call.facts.name,
        "latitude": call.facts.latitude,
        "longitude": call.facts.longitude,
    }
    if call.format == "csv":
        return Outcome(
            _said(call, csv_table(bare, rows, replace(view, status=True, location=False))), []
        )
    if call.format == "xml":
        return Outcome(_said(call, _xml_list(block, shown)), [])
    return Outcome(_said(call, dumps({"channel": block, "feeds": shown})), [])


def card(channel: Channel, now: float, view: View) -> dict[str, object]:
    """A channel as the channel view and the public list show it."""
    facts = channel.facts
    created_at = channel_object(facts, None, view)["created_at"]
    return {
        "id": facts.id,
        "name": facts.name,
        "description": facts.description,
        "metadata": facts.metadata,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
        "created_at": created_at,
        "elevation": facts.elevation,
        "last_entry_id": channel.last_entry_id(now),
        "ranking": 70,
        "username": "demo",
        "tags": [],
    }


def channel_view(call: Call) -> Outcome:
    """channels/<id>.<f>. A private channel opens to its owner's user key only: with a channel key
    it answers 400.
    """
    if call.format == "csv":
        return Outcome(error(406), [])
    if not call.facts.public or not call.permitted:
        return Outcome(_said(call, "-1", 400), [])
    shown = card(call.channel, call.now, view_of(call.params))
    return Outcome(_said(call, xml("channel", shown) if call.format == "xml" else dumps(shown)), [])


ENDPOINTS: Mapping[str, Callable[[Call], Outcome]] = {
    "feeds": feeds,
    "single": single,
    "last_data_age": data_age,
    "last_entry_id": last_entry_id,
    "status": status,
    "view": channel_view,
}

"""Rows and channel blocks as JSON, CSV and XML: text or null, labelled fields only, compact."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from simulator.channels import Facts, Row, Value
from simulator.query import PLAIN, View
from simulator.times import csv_form, json_form, parse

_PLAIN_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")


def dumps(value: object) -> str:
    """Compact JSON, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def shown_fields(facts: Facts, view: View) -> list[tuple[int, int]]:
    """(position in a row's values, field number) of the fields that the view shows."""
    return [
        (index, number) for index, number in enumerate(facts.labels) if view.field in {None, number}
    ]


def rounded(value: Value, decimals: int | None) -> Value:
    """A plain number with so many decimals; a decimal comma is understood and kept; everything else
    as it is.
    """
    if decimals is None or not isinstance(value, str) or not _PLAIN_NUMBER.fullmatch(value):
        return value
    number = round(float(value.replace(",", ".")), decimals)
    text = str(number if decimals else int(number))
    return text.replace(".", ",") if "," in value else text


def _created_at(row: Row, view: View) -> str:
    return json_form(row.at, view.zone) if row.created_at is None else row.created_at


def row_object(row: Row, facts: Facts, view: View) -> dict[str, Value]:
    """One row as the object of a feed."""
    shown: dict[str, Value] = {"created_at": _created_at(row, view), "entry_id": row.entry_id}
    for index, number in shown_fields(facts, view):
        shown[f"field{number}"] = rounded(row.values[index], view.decimals)
    if view.location:
        shown.update(latitude=row.latitude, longitude=row.longitude, elevation=row.elevation)
    if view.status:
        shown["status"] = row.status
    return shown


def channel_object(
    facts: Facts, last_entry_id: int | None, view: View, *, metadata: bool = False
) -> dict[str, object]:
    """The channel block; description, elevation and labels appear only if they are set."""
    block: dict[str, object] = {"id": facts.id, "name": facts.name}
    if facts.description:
        block["description"] = facts.description[:255]
    block.update(latitude=facts.latitude, longitude=facts.longitude)
    if metadata and facts.metadata:
        block["metadata"] = facts.metadata
    block.update({f"field{number}": label for number, label in facts.labels.items()})
    block.update(
        created_at=_zoned(facts.created_at, view), updated_at=_zoned(facts.updated_at, view)
    )
    if facts.elevation:
        block["elevation"] = facts.elevation
    block["last_entry_id"] = last_entry_id
    return block


def _zoned(text: str, view: View) -> str:
    at = parse(text, None)
    return text if at is None else json_form(at, view.zone)


def _plain_json(row: Row, facts: Facts) -> str:
    """The usual form of a row, remembered, because live polls ask for it again and again."""
    row.plain_json = dumps(row_object(row, facts, PLAIN))
    return row.plain_json


def feeds_json(facts: Facts, block: Mapping[str, object], rows: Iterable[Row], view: View) -> str:
    """The answer of feeds.json and fields/<n>.json."""
    if view == PLAIN:
        texts = [row.plain_json or _plain_json(row, facts) for row in rows]
    else:
        texts = [dumps(row_object(row, facts, view)) for row in rows]
    return f'{{"channel":{dumps(block)},"feeds":[{",".join(texts)}]}}'


def csv_table(facts: Facts, rows: Iterable[Row], view: View) -> str:
    """Header and rows as CSV; null is an empty cell."""
    plain = replace(view, zone=PLAIN.zone)
    names = list(row_object(Row(0, None, (None,) * len(facts.labels)), facts, plain))
    lines = []
    for row in rows:
        cells = row_object(row, facts, plain)
        if row.created_at is None:
            cells["created_at"] = csv_form(row.at, view.zone)
        lines.append(["" if value is None else value for value in cells.values()])
    return table(names, lines)


def table(names: Iterable[str], lines: Iterable[Iterable[object]]) -> str:
    """Lines under a header as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(lines)
    return out.getvalue()


def xml(name: str, value: object) -> str:
    """A value as an XML element: names with dashes, null as nil, lists of feeds."""
    name = name.replace("_", "-")
    if value is None:
        return f'<{name} nil="true"/>'
    if isinstance(value, Mapping):
        return f"<{name}>{''.join(xml(key, part) for key, part in value.items())}</{name}>"
    if isinstance(value, list):
        parts = "".join(xml(name.removesuffix("s"), part) for part in value)
        return f'<{name} type="array">{parts}</{name}>'
    if isinstance(value, int):
        return f'<{name} type="integer">{value}</{name}>'
    kind = ' type="dateTime"' if name.endswith("-at") else ""
    return f"<{name}{kind}>{escape(str(value))}</{name}>"

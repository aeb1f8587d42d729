"""The dry run: reads all of a file, stores nothing, says what an import would do and why."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

from devices.models import Source
from ingestion.imports.choices import Choices
from ingestion.imports.csv_export import Export
from ingestion.imports.header import Proposed, propose, read_header
from ingestion.imports.portion import Target
from ingestion.imports.stepping import Place, next_portion
from ingestion.imports.tally import Tally
from ingestion.models import PollState
from ingestion.verify import (
    Preview,
    Proposal,
    Unusable,
    metrics_known_to,
    preview,
    propose_mappings,
)
from ingestion.verify.confirming import with_mappings

AT_ONCE = 2 * 2**20
"""Bytes of the largest file that is checked while a person waits (a few seconds)."""


def labels_of(source: Source) -> Mapping[str, str]:
    """The channel's own names of its fields: as last seen, else as they were when mapped."""
    mapped = dict(source.mappings.exclude(remote_label="").values_list("field", "remote_label"))
    return {**mapped, **PollState.objects.labels_of(source.pk)}


def first_choices(raw: BinaryIO, source: Source, encoding: str = "") -> Choices:
    """What a first check reads renamed columns as: the proposals, for somebody to confirm.

    Raises UnreadableFile.
    """
    header = read_header(raw, encoding)
    proposed = propose(header, labels_of(source))
    columns = {place: one.field for place, one in proposed.items()}
    return Choices(encoding=encoding, columns=columns)


def check_file(raw: BinaryIO, source: Source, choices: Choices, now: datetime) -> dict[str, Any]:
    """Findings of a whole file, as JSON. Raises UnreadableFile."""
    place = Place()
    target = Target(source, choices.replace)
    options = choices.options()
    while not place.ended:
        next_portion(raw, options, place, target, now)
    return findings(raw, source, choices, place.tally, now)


def findings(
    raw: BinaryIO, source: Source, choices: Choices, tally: Tally, now: datetime
) -> dict[str, Any]:
    """What a finished tally says about a file, with its header. Raises UnreadableFile."""
    export = Export(raw, choices.options())
    header = export.header
    proposed = propose(header, labels_of(source))
    return {
        "tally": tally.as_json(),
        "choices": choices.as_json(),
        "names": list(header.names),
        "roles": list(header.roles),
        "read_as": {str(place): role for place, role in export.columns.items()},
        "proposed": {str(place): [one.field, one.why] for place, one in proposed.items()},
        "delimiter": header.delimiter,
        "encoding": header.encoding.name,
        "numbered": export.numbered,
        "checked_at": now.isoformat(),
    }


def proposed_columns(found: Mapping[str, Any]) -> dict[int, Proposed]:
    """The proposals of stored findings, by place of the column."""
    return {int(place): Proposed(*one) for place, one in found["proposed"].items()}


def open_columns(found: Mapping[str, Any]) -> list[str]:
    """Names of renamed columns about which nobody has said anything yet."""
    said = found["choices"]["columns"]
    return [found["names"][int(one)] for one in found["proposed"] if one not in said]


def previews(source: Source, tally: Tally) -> list[tuple[Proposal, Preview | None, str]]:
    """Each field of the file, the metric it feeds (or could feed), and what its last values give.

    A mapping that cannot work has no preview, but a sentence that says why.
    """
    known = metrics_known_to(source)
    by_name = {one.name: one for one in known}
    proposals = propose_mappings(labels_of(source), tally.latest_samples(), known)
    shown: list[tuple[Proposal, Preview | None, str]] = []
    for one in with_mappings(source, proposals):
        if one.field not in tally.samples:
            continue
        try:
            shown.append((one, preview(one, by_name.get(one.name)), ""))
        except Unusable as error:
            shown.append((one, None, str(error)))
    return shown

"""One poll's answer held against what its source's fields were: what waits, what is remembered.

Works on what was loaded with the claim and asks the database for nothing; `record` writes the
findings of a whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta

from devices.models import FieldMapping, Source
from devices.phrases import shortened
from ingestion.derived import derived
from ingestion.drift import naming, passing, telling
from ingestion.drift.answer import INSTANT, Answer
from ingestion.drift.detect import Verdict, judge
from ingestion.drift.fields import Watched, nothing_unusual, watch_fields
from ingestion.drift.findings import Findings, add_pause
from ingestion.drift.stored import from_suspicion
from ingestion.drift.values import what
from ingestion.drift.waiting import Waiting
from ingestion.drift.watch import Suspected, Suspicion
from ingestion.entries import Entry
from ingestion.models import MappingPause, PauseKind, PollState
from ingestion.sources.base import Fetched

PATIENCE = timedelta(hours=1)
"""A suspicion is decided by then, with as many values as there are."""
FEWEST = 3
"""So many values confirm a suspicion that time decides."""
KINDS = {
    Suspected.UNIT: PauseKind.UNIT,
    Suspected.SWAP: PauseKind.SWAPPED,
    Suspected.TYPE: PauseKind.TYPE,
}


def examine(state: PollState, fetched: Fetched, now: datetime) -> Findings:
    """Hold an answer against names and fingerprints of its source's fields.

    `state` comes with its source, mappings, pauses, former fields and profiles loaded.
    """
    answer = Answer.of(state, fetched, now)
    findings = Findings(_as_stored(answer))
    mappings = _enabled(answer.source)
    naming.review(answer, mappings, findings)
    passing.review(answer, findings)
    pauses = (*findings.waiting.pauses, *findings.new)
    busy = {one.mapping_id for one in pauses if one.holds or one in findings.named_again}
    free = [one for one in mappings if one.pk not in busy]
    past = [one for one in pauses if not one.holds]
    watched = {} if nothing_unusual(answer, free, past) else watch_fields(answer, free, past)
    for entry in answer.entries if watched else ():
        _take(entry, watched, answer, findings)
    for one in watched.values():
        _lose_patience(one, answer, findings)
        _remember(one, answer, findings)
    _conclude(watched, findings)
    return findings


@derived
def _enabled(source: Source) -> Sequence[FieldMapping]:
    return [one for one in source.mappings.all() if one.enabled]


def _as_stored(answer: Answer) -> Waiting:
    """What waits, in copies: a batch that failed is examined again, answer by answer."""
    stored = Waiting.of(answer.source)
    if not stored.pauses:
        return stored
    loaded = {one.pk: one for one in answer.source.mappings.all()}
    pauses = [copy(one) for one in stored.pauses if one.mapping_id in loaded]
    for pause in pauses:
        pause.mapping, pause.source = loaded[pause.mapping_id], answer.source
    return Waiting(pauses, stored.suspected, stored.former)


def _take(entry: Entry, watched: Mapping[str, Watched], answer: Answer, findings: Findings) -> None:
    """Judge one entry; a confirmed change ends the watch of its field."""
    watches = {name: one.watch for name, one in watched.items() if not one.paused}
    values = {name: what(entry.fields.get(name)) for name in watches}
    verdicts = judge(watches, values, entry.at.isoformat(), entry.sequence)
    for name, verdict in verdicts.items():
        if verdict is Verdict.CONFIRMED:
            _confirm(watched[name], watched, answer, findings)


def _confirm(
    one: Watched, watched: Mapping[str, Watched], answer: Answer, findings: Findings
) -> None:
    """Pause what the field feeds; of an exchange, the other side too."""
    suspicion = one.watch.suspicion
    if suspicion is None or one.paused:
        return
    _pause(one, suspicion, answer, findings)
    other = watched.get(suspicion.guesses[0].other)
    if other is not None and not other.paused and other.watch.suspicion is not None:
        _confirm(other, watched, answer, findings)


def _pause(one: Watched, suspicion: Suspicion, answer: Answer, findings: Findings) -> None:
    one.paused, one.watch.suspicion = True, None
    kind = KINDS[suspicion.guesses[0].of]
    for mapping in one.mappings:
        pause = MappingPause(
            mapping=mapping,
            source=answer.source,
            kind=kind,
            since=_since(suspicion, answer),
            found_at=answer.now,
            text=shortened(telling.values_changed(mapping, suspicion)),
            evidence={
                **from_suspicion(suspicion),
                "usual": list(one.watch.fingerprint.usual),
                "level": one.watch.fingerprint.level,
            },
        )
        add_pause(pause, findings)


def _since(suspicion: Suspicion, answer: Answer) -> datetime:
    """From which entry on nothing is certain: behind a hole, right after the last one known."""
    first = datetime.fromisoformat(suspicion.held[0].at)
    at = answer.state.cursor_at
    return at + INSTANT if answer.hole and at is not None and at < first else first


def _lose_patience(one: Watched, answer: Answer, findings: Findings) -> None:
    """Decide what has waited for long: a device may have fallen silent in mid-suspicion."""
    suspicion = one.watch.suspicion
    if suspicion is None or not suspicion.since:
        return
    if answer.now - datetime.fromisoformat(suspicion.since) < PATIENCE:
        return
    if len(suspicion.held) >= FEWEST:
        _pause(one, suspicion, answer, findings)
    else:
        one.watch.suspicion = None


def _remember(one: Watched, answer: Answer, findings: Findings) -> None:
    """Note what is to be written of a field, and which held entries are free again."""
    suspicion = one.watch.suspicion
    if one.held_before is not None and suspicion is None and not one.paused:
        earlier = findings.released
        findings.released = min(one.held_before, earlier) if earlier else one.held_before
    profile = one.update(answer)
    if profile is not None:
        findings.profiles.append(profile)


def _conclude(watched: Mapping[str, Watched], findings: Findings) -> None:
    before = findings.waiting
    if not (watched or findings.new or findings.passed or before.suspected):
        return  # as it is stored
    suspected = {
        name: datetime.fromisoformat(one.watch.suspicion.held[0].at)
        for name, one in watched.items()
        if one.watch.suspicion is not None
    }
    pauses = [one for one in before.pauses if one not in findings.passed]
    findings.waiting = Waiting([*pauses, *findings.new], suspected, before.former)

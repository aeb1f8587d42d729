"""Fingerprints and suspicions as they are stored: short JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingestion.drift.conversions import Change
from ingestion.drift.fingerprint import Fingerprint, quantile
from ingestion.drift.values import Type
from ingestion.drift.watch import Guess, Held, Suspected, Suspicion


def from_fingerprint(known: Fingerprint) -> dict[str, Any]:
    """A fingerprint to be stored; numbers keep nine digits."""
    return {
        "count": known.count,
        "calm": known.calm,
        "kinds": [known.numbers, known.words, known.texts, known.blanks],
        "grain": known.grain,
        "last": known.last,
        "places": [_short(one) for one in known.places],
        "steps": [_short(one) for one in known.steps],
    }


def to_fingerprint(stored: Mapping[str, Any]) -> Fingerprint:
    """The fingerprint that was stored; a new one from nothing."""
    if not stored:
        return Fingerprint()
    numbers, words, texts, blanks = stored["kinds"]
    return Fingerprint(
        count=stored["count"],
        calm=stored["calm"],
        numbers=numbers,
        words=words,
        texts=texts,
        blanks=blanks,
        grain=stored["grain"],
        last=stored["last"],
        places=tuple(stored["places"]),
        steps=tuple(stored["steps"]),
        step=quantile(stored["steps"], 0.5),
    )


def from_suspicion(suspicion: Suspicion) -> dict[str, Any]:
    """A suspicion to be stored; also the evidence of a pause."""
    return {
        "since": suspicion.since,
        "anchor": suspicion.anchor,
        "others": dict(suspicion.others),
        "guesses": [_from_guess(one) for one in suspicion.guesses],
        "held": [{"at": one.at, "n": one.sequence, "value": one.value} for one in suspicion.held],
    }


def to_suspicion(stored: Mapping[str, Any] | None) -> Suspicion | None:
    """The suspicion that was stored, if any."""
    if not stored:
        return None
    return Suspicion(
        guesses=tuple(map(to_guess, stored["guesses"])),
        anchor=stored["anchor"],
        others=stored["others"],
        held=tuple(Held(one["at"], one["n"], one["value"]) for one in stored["held"]),
        since=stored["since"],
    )


def to_guess(stored: Mapping[str, Any]) -> Guess:
    """One guess of a suspicion."""
    change, kind = stored.get("change"), stored.get("type")
    return Guess(
        Suspected(stored["of"]),
        Change(*change) if change else None,
        stored.get("other", ""),
        Type(kind) if kind else None,
    )


def _from_guess(guess: Guess) -> dict[str, Any]:
    told: dict[str, Any] = {"of": guess.of.value}
    if guess.change is not None:
        told["change"] = list(guess.change)
    if guess.other:
        told["other"] = guess.other
    if guess.type is not None:
        told["type"] = guess.type.value
    return told


def _short(number: float) -> float:
    return float(f"{number:.9g}")

"""What was measured beside what is promised: collected while tests run, shown at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sized
from dataclasses import asdict, dataclass
from pathlib import Path

# Named by the environment, so that the processes of a spread run write into one file.
VARIABLE = "CHAOS_REPORT"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `bound` says in words what it must be; `holds` whether it is."""

    proof: str
    what: str
    measured: float
    unit: str
    bound: str
    holds: bool


def tell(figure: Figure) -> None:
    """Keep a figure for the closing table; nothing is kept where no report was asked for."""
    path = os.environ.get(VARIABLE)
    if path:
        with Path(path).open("a", encoding="utf-8") as report:
            report.write(json.dumps(asdict(figure), ensure_ascii=False) + "\n")


def at_most(proof: str, what: str, measured: float, bound: float, unit: str = "") -> None:
    """Keep a figure and fail the test when it exceeds its bound."""
    _judge(Figure(proof, what, measured, unit, f"≤ {bound:g}", measured <= bound))


def at_least(proof: str, what: str, measured: float, bound: float, unit: str = "") -> None:
    """Keep a figure and fail the test when it falls short of its bound."""
    _judge(Figure(proof, what, measured, unit, f"≥ {bound:g}", measured >= bound))


def exactly(proof: str, what: str, measured: float, bound: float, unit: str = "") -> None:
    """Keep a figure and fail the test when it is any other number."""
    _judge(Figure(proof, what, measured, unit, f"= {bound:g}", measured == bound))


def none(proof: str, what: str, found: Sized) -> None:
    """Keep how many of something there are, and fail the test with them when there are any."""
    tell(Figure(proof, what, len(found), "", "= 0", not found))
    assert not found, f"{what}: {found}"


def note(proof: str, what: str, measured: float, unit: str = "") -> None:
    """Keep a figure that nothing was promised about."""
    tell(Figure(proof, what, measured, unit, "", True))


def _judge(figure: Figure) -> None:
    tell(figure)
    words = f"{figure.what}: {figure.measured:g} {figure.unit}".rstrip()
    assert figure.holds, f"{words}, promised {figure.bound}"


def read(path: Path) -> list[Figure]:
    """The figures of a report, in the order in which they were measured."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Figure(**json.loads(line)) for line in lines]


def table(figures: Iterable[Figure]) -> list[str]:
    """The figures as lines of text, one column below the other."""
    rows = [("proof", "what", "measured", "promised", "")]
    for one in figures:
        measured = f"{one.measured:,.4g}" if abs(one.measured) < 1e4 else f"{one.measured:,.0f}"
        verdict = "ok" if one.holds else "MISSED"
        rows.append((one.proof, one.what, f"{measured} {one.unit}".strip(), one.bound, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)).rstrip()
        for row in rows
    ]

"""What every format of file gives: what its columns are, and its rows from any place on. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from devices.masking import fit

Place = Sequence[int]
"""How far a file was read, as its format counts; JSON keeps it."""
TIME_NAMES = ("time",)
ENTRY_NAMES = ("entry", "entry number")
OFFSET_NAMES = ("utc offset",)


@dataclass(frozen=True, slots=True)
class Damage:
    """A cell that holds no value but a spreadsheet's complaint, such as `#REF!`."""

    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """What a file says about itself.

    `names` of the columns are as written. `units` are what the file says of each column beside
    its name; None: nothing, the name itself may hold the unit. `facts` are those of `Table.facts`,
    as far as the format keeps them.
    """

    form: str
    names: Sequence[str]
    units: Sequence[str | None]
    facts: Mapping[str, str] = field(default_factory=dict)

    def fit(self) -> Self:
        """With texts that every database takes: findings, choices and jobs keep them."""
        return replace(
            self,
            names=[fit(name) for name in self.names],
            units=[unit and fit(unit) for unit in self.units],
            facts={name: fit(fact) for name, fact in self.facts.items()},
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One row. `cells` fit the heading's names; None: no row, for the reason in `fault`.

    `where` says for people where it stands, `raw` what stands there; `place` is behind it and
    `done` how much of the file is read then.
    """

    where: str
    cells: Sequence[Any] | None
    place: Place
    done: int
    raw: str = ""
    fault: str = ""


class Content(ABC):
    """An opened file."""

    heading: Heading
    total: int
    """How much there is to read, in `unit`s."""
    unit: str

    @abstractmethod
    def lines(self, place: Place) -> Iterator[Line]:
        """The rows behind a place, blank ones left out; the empty place is the beginning."""

    def close(self) -> None:  # noqa: B027 (most formats leave nothing behind)
        """Forget whatever was opened; the stream itself belongs to somebody else."""


def titled(cells: Sequence[str]) -> list[str]:
    """Titles of columns; those without one are called by their place."""
    return [cell.strip() or f"column {place}" for place, cell in enumerate(cells, start=1)]

"""Named tuples made of columns are what their own constructor makes; no row is lost on the way."""

from __future__ import annotations

from itertools import repeat
from typing import NamedTuple

import pytest

from devices.tuples import of_columns


class Pair(NamedTuple):
    """Two fields are enough."""

    left: int
    right: str


def test_columns_become_named_tuples() -> None:
    made = of_columns(Pair, [1, 2], repeat("x"))
    assert made == [Pair(1, "x"), Pair(2, "x")]
    assert made[1].right == "x"
    assert of_columns(Pair, [], repeat("x")) == []


@pytest.mark.parametrize("columns", [([1, 2], ["x"]), ([1],), ([1], ["x"], ["y"])])
def test_columns_that_do_not_fit_are_refused(columns: tuple[list[object], ...]) -> None:
    with pytest.raises(ValueError, match="Pair"):
        of_columns(Pair, *columns)


def test_without_any_column_of_a_length_it_would_never_end() -> None:
    with pytest.raises(ValueError, match="Pair"):
        of_columns(Pair, repeat(1), repeat("x"))

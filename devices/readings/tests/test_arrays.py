"""Columns as PostgreSQL takes them: what was sent comes back, NULL and all, on both its cursors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.readings.store.arrays import Column
from devices.readings.tests.network import examples

pytestmark = pytest.mark.django_db
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    "bool": st.booleans(),
    "timestamptz": st.datetimes(
        datetime(1, 1, 2),  # noqa: DTZ001 - the zone is drawn
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    ),
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
}


@settings(max_examples=examples(200), deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("cursor", [psycopg.Cursor, psycopg.ClientCursor])
@pytest.mark.parametrize("kind", VALUES)
def test_what_was_sent_comes_back(
    kind: str, cursor: type[psycopg.Cursor[Sequence[Any]]], data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=20))
    connection.ensure_connection()
    with cursor(connection.connection) as opened:
        opened.execute(f"SELECT %s::{kind}[]", [Column(kind, values)])
        row = opened.fetchone()
    assert row is not None
    assert row[0] == values

"""Many rows read or written at once, each with values of its own: one statement on PostgreSQL.

Django's `bulk_update` writes a CASE with a branch per row and column, and its `bulk_create` builds
an object for each row, and a query set takes ten times as long to be built as to be answered: each
costs more than all the rest of a poll. Here statements are put together once, and rows travel as
one array for each column, which PostgreSQL turns into a relation; SQLite runs one prepared
statement for each row.
"""

from __future__ import annotations

from ingestion.bulk.reading import read_rows, read_values
from ingestion.bulk.session import one_of, rows_of
from ingestion.bulk.writing import insert_rows, update_rows

__all__ = ["insert_rows", "one_of", "read_rows", "read_values", "rows_of", "update_rows"]

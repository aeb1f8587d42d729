"""Tables of one server, replicated ones, and tables that stand for those of a whole cluster.

What is asked and inserted is the same for all. What is dropped is dropped where the rows are.
"""

# ruff: noqa: S608 - SQL is put together from constants of this package and names of the server

from __future__ import annotations

import re
from typing import NamedTuple

from devices.readings.store.clickhouse.schema import COLUMNS, KEYS, create
from devices.readings.store.clickhouse.server import Server

_DISTRIBUTED = re.compile(r"Distributed\('([^']+)', '([^']*)', '([^']+)'")
_REPLICATED = (
    "ReplicatedReplacingMergeTree('/clickhouse/tables/{{shard}}/{{database}}/{{table}}', "
    "'{{replica}}', {})"
)


class Place(NamedTuple):
    """Where a table's rows are."""

    database: str
    table: str
    cluster: str
    """Empty: on this server."""

    @property
    def target(self) -> str:
        """What stands after ALTER TABLE and DELETE FROM."""
        name = f"{self.database}.{self.table}"
        return f"{name} ON CLUSTER '{self.cluster}'" if self.cluster else name

    @property
    def parts(self) -> str:
        """What stands after FROM to see the parts of one replica of each shard."""
        return f"cluster('{self.cluster}', system.parts)" if self.cluster else "system.parts"


def place_of(server: Server, table: str) -> Place:
    """Where the rows of one of our tables are."""
    ((database, engine),) = server.rows(
        "SELECT database, engine_full FROM system.tables "
        f"WHERE database = currentDatabase() AND name = '{table}'"
    )
    return placed(database, table, engine)


def placed(database: str, table: str, engine: str) -> Place:
    """The same, from what the server says of a table's engine."""
    found = _DISTRIBUTED.match(engine)
    if found is None:
        return Place(database, table, "")
    cluster, behind, local = found.groups()
    return Place(behind or database, local, cluster)


def statements(cluster: str, *, distributed: bool) -> list[str]:
    """What makes our tables on a cluster, to be run once before the site uses it.

    Replicated on every server of one shard; or, `distributed`, spread over shards by whose a row
    is, under the names that the site uses.
    """
    where = f"ON CLUSTER '{cluster}'"
    made = []
    for table in COLUMNS:
        local = f"{table}_local" if distributed else table
        made.append(create(table, _REPLICATED, f"{local} {where}"))
        if distributed:
            owner = KEYS[table][0] if table in KEYS else "metric_id"
            made.append(
                f"CREATE TABLE IF NOT EXISTS {table} {where} AS {local} "
                f"ENGINE = Distributed('{cluster}', currentDatabase(), {local}, {owner})"
            )
    return made

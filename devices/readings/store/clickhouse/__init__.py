"""ClickHouse for the big tables, for those who outgrow one PostgreSQL; books stay in the database.

ClickHouse knows no transactions over several statements: what is written is there at once, also
when the caller's transaction is undone later. `doubting` says how the next write repairs that.
"""

from devices.readings.store.clickhouse.engine import ClickhouseEngine
from devices.readings.store.clickhouse.server import (
    RowsAway,
    RowsRefused,
    Server,
)

__all__ = ["ClickhouseEngine", "RowsAway", "RowsRefused", "Server"]

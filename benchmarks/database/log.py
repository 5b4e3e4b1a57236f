"""What `system.query_log` has about one run of a query."""

from typing import Any
from uuid import uuid4

from benchmarks.database.workplace import Workplace


def logged(workplace: Workplace, query: str, column: str) -> Any:
    """Run a query and return an expression over its row of the log."""
    execute, mark = workplace.connection.execute, f"/* {uuid4().hex} */"
    execute(f"{mark} {query}")
    execute("SYSTEM FLUSH LOGS")
    (value,) = execute(
        f"SELECT {column} AS value FROM system.query_log "
        "WHERE type = 'QueryFinish' AND startsWith(query, {mark:String})",
        {"mark": mark},
    )["value"]
    return value

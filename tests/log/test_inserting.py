"""What is inserted is what a plain INSERT of all columns would have put there."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fillbook.log._sqlite import IntegrityError, connect
from fillbook.log.columns import COLUMNS
from fillbook.log.inserting import insert_events, insert_raws

RAW_COLUMNS = ("seq", "length", "salt", "sha256", "raw")
BLOBS = {"input_hash", "raw_digest", "event_hash", "salt", "sha256", "raw"}


def any_rows(columns: tuple[str, ...]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Return rows in which whatever may be empty is empty now and then."""
    other = st.integers(-(2**63), 2**63 - 1) | st.text()
    kinds = [st.none() | (st.binary() if name in BLOBS else other) for name in columns]
    return st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), *kinds[2:]), max_size=4)


@pytest.mark.parametrize(
    ("table", "columns", "insert"),
    [("events", COLUMNS, insert_events), ("raws", RAW_COLUMNS, insert_raws)],
    ids=["events", "raws"],
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_it_is_what_a_statement_of_all_columns_puts_there(
    table: str, columns: tuple[str, ...], insert: Any, data: st.DataObject
) -> None:
    rows = data.draw(any_rows(columns))
    connection = connect(":memory:")
    connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
    connection.execute(f"CREATE TABLE plain ({', '.join(columns)})")
    connection.executemany(f"INSERT INTO plain VALUES ({', '.join('?' * len(columns))})", rows)

    insert(connection, rows)

    found = connection.execute(f"SELECT * FROM {table}").fetchall()
    assert found == connection.execute("SELECT * FROM plain").fetchall() == rows
    connection.close()


def test_a_column_that_may_not_be_empty_is_refused_by_name() -> None:
    connection = connect(":memory:")
    connection.execute(f"CREATE TABLE events ({', '.join(COLUMNS)}, CHECK (body IS NOT NULL))")
    with pytest.raises(IntegrityError, match="body"):
        insert_events(connection, [(1,) * (len(COLUMNS) - 2) + (b"hash", None)])
    connection.close()

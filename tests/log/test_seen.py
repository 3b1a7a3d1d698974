"""What a writer has seen spares questions; it must never hide a key or id that is in the file."""

from pathlib import Path

import pytest

from fillbook.errors import AppendRefused, IdempotencyConflict
from fillbook.log.seen import Seen
from fillbook.log.sqlite import SqliteLog
from log.making import draft, new_order


def test_nothing_that_was_noted_is_called_new() -> None:
    seen = Seen()
    noted = [f"fill:{n}:{n % 7}" for n in range(50_000)]
    for each in noted:
        seen.note(each)
    assert all(seen.may_hold(each) for each in noted)
    assert sum(seen.may_hold(f"R-{n}") for n in range(50_000)) < 100


@pytest.mark.parametrize("is_reopened", [False, True])
@pytest.mark.parametrize("is_flushed", [False, True])
def test_a_batch_finds_what_is_in_the_ledger(
    tmp_path: Path, is_reopened: bool, is_flushed: bool
) -> None:
    """In the file or only staged, by this writer or by an earlier one."""
    path = tmp_path / "x.ledger"
    log = SqliteLog.open(path)
    if is_reopened:
        log.append([new_order("R-1"), draft(idempotency_key="K", input_hash=b"1")])
        log.close()
        log = SqliteLog.open(path)
    with log, log.batch() as batch:
        if not is_reopened:
            batch.add(new_order("R-1"))
            batch.add(draft(idempotency_key="K", input_hash=b"1"))
            if is_flushed:
                batch.flush()
        assert batch.add(draft(idempotency_key="K", input_hash=b"1")).seq == 3
        with pytest.raises(IdempotencyConflict):
            batch.add(draft(idempotency_key="K", input_hash=b"2"))
        with pytest.raises(AppendRefused):
            batch.add(new_order("R-1"))
        batch.flush()
        assert log.find_client_order("R-1") == 2
        assert log.find_key("K") == 3
        assert log.find_client_order("R-2") is None
        assert log.find_key("L") is None

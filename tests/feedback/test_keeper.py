"""What is taken in is durable, whole or not at all, also where the disk fails."""

from decimal import Decimal
from pathlib import Path

import pytest

from feedback.desk import Desk, filled, told
from fillbook.brokers.port import Message
from fillbook.core.reports import TransferReport
from fillbook.core.values import Source
from fillbook.errors import StorageFailed
from fillbook.log.batch import SqliteBatch


def test_a_full_disk_stops_intents_and_not_feedback(monkeypatch: pytest.MonkeyPatch):
    """The first write fails as on a full disk; the room that is kept takes what the venue says."""
    desk = Desk()
    order = desk.submit()
    (call,) = desk.step()
    desk.answer(call, told(order))
    flush, failures = SqliteBatch.flush, [1]

    def full_once(self):
        if failures:
            failures.pop()
            self._writer.discard()
            raise StorageFailed("a.ledger", "the disk is full")
        return flush(self)

    monkeypatch.setattr(SqliteBatch, "flush", full_once)
    desk.hear(filled(order, "T1", "4", "4"))

    held = desk.tracker.book.find_order(order.client_order_id, None)
    assert held is not None
    assert held.standing.cum_qty == Decimal(4)
    assert desk.types().count("order.filled") == 1
    with pytest.raises(StorageFailed, match="full"):
        desk.submit()
    desk.tracker.intents.cancel(held, desk.now)
    assert "cancel" in [call.kind for call in desk.step()]


def test_a_transfer_is_counted_once_over_a_restart(tmp_path: Path):
    """A restart asks for the activities again, from before its end."""
    desk = Desk(path=str(tmp_path / "a.ledger"), start=False)
    report = TransferReport(instrument_id="SBER", transfer_id="M-1", transferred_qty=Decimal(4))
    message = Message(0, "transfer", report, b"{}")
    assert desk.keeper.hear(message, Source.POLL).outcome == "RECORDED"
    desk.crash()

    assert desk.keeper.hear(message, Source.POLL).outcome == "DUPLICATE"

    assert [view.position_qty for view in desk.keeper.book.position_views()] == [4]
    desk.log.close()


def test_an_intent_that_could_not_be_made_durable_is_not_sent(monkeypatch: pytest.MonkeyPatch):
    desk = Desk()

    def full(self):
        self._writer.discard()
        raise StorageFailed("a.ledger", "the disk is full")

    monkeypatch.setattr(SqliteBatch, "flush", full)
    with pytest.raises(StorageFailed):
        desk.submit()
    monkeypatch.undo()

    assert "submit" not in [call.kind for call in desk.step()]
    assert "order.submitted" not in desk.types()
    assert not desk.tracker.book.open

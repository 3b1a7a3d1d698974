"""The fast fold reads columns; it must lead to the book that the events lead to."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from attrs import evolve

from brokers.paper_day import play_day
from fillbook.brokers.port import Message
from fillbook.core.book import Book
from fillbook.core.events import InstrumentDefined, OrderFilled, OrderSubmitted
from fillbook.core.exact import EXACT, ROUNDED, divided
from fillbook.core.lifecycle import new_lifecycle
from fillbook.core.replaying import book_state, replay
from fillbook.core.values import Contract, OrderStatus, Side
from fillbook.feedback.recorder import Recorder
from fillbook.log.columns import STATUS_OF_CODE
from fillbook.log.port import Draft
from fillbook.log.sqlite import SqliteLog
from fillbook.wiring import LogHistory, recover


def _state(book: Book) -> dict[str, Any]:
    book.refresh_positions()
    return book_state(book)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_day_with_every_trouble_folds_to_the_same_book(seed: int) -> None:
    with SqliteLog.open(":memory:") as log:
        live = Book(LogHistory(log))
        live.apply(next(log.records()))
        recorder = Recorder(live, lambda draft: log.append([draft])[0], lambda key: False)
        for line, content in enumerate(play_day(seed, 60).messages, 1):
            recorder.record(Message(line, "", content, b""))
        assert live.seq > 150

        assert _state(recover(log, use_snapshot=False)) == _state(live)


FEES = [("0.001", "BTC"), ("-0.002", "BTC"), ("1.5", "USD"), ("0.3", None), (None, None)]


@pytest.mark.parametrize("contract", list(Contract))
def test_fees_of_every_kind_fold_to_the_same_position(contract: Contract) -> None:
    """Paid in kind, in money, in a currency that nobody told, and not at all."""
    random = Random(1)
    with SqliteLog.open(":memory:") as log:
        event = InstrumentDefined(
            instrument_id="X", contract=contract, base_currency="BTC", quote_currency="USD"
        )
        log.append([Draft(event=event, stream=None, actor="OPERATOR")])
        log.append([_submitted()])
        for number in range(1, 41):
            commission, currency = FEES[number % len(FEES)]
            log.append([_fill(number, random, commission, currency)])
        live = Book(LogHistory(log))
        for record in log.records():
            live.apply(record)

        assert _state(recover(log, use_snapshot=False)) == _state(live)
        (view,) = live.position_views()
        assert view.trade_count == 40


def _says(status: OrderStatus, cum_qty: int) -> dict[str, Any]:
    return {
        "account_id": "A", "instrument_id": "X", "side": Side.BUY, "client_order_id": "R-1",
        "order_status": status, "order_qty": Decimal(1000), "cum_qty": Decimal(cum_qty),
        "leaves_qty": Decimal(1000 - cum_qty),
    }  # fmt: skip


def _submitted() -> Draft:
    event = OrderSubmitted(**_says(OrderStatus.PENDING_NEW, 0), order_type="LIMIT")
    return Draft(event=event, stream=None, actor="ROBOT", client_order_id="R-1")


def _fill(number: int, random: Random, commission: str | None, currency: str | None) -> Draft:
    told = _says(OrderStatus.PARTIALLY_FILLED, number) | {
        "side": random.choice([Side.BUY, Side.SELL])
    }
    event = OrderFilled(
        **told,
        fill_no=number,
        trade_id=f"T{number}",
        last_qty=Decimal(random.randrange(1, 30)),
        last_px=Decimal(random.randrange(900, 1100)) / 10,
        commission=None if commission is None else Decimal(commission),
        commission_currency=currency,
    )
    return Draft(event=event, stream=3, actor="VENUE", position=0 if number == 1 else 4)


def test_what_hangs_on_the_machine_fires_in_the_fast_fold() -> None:
    machine, seen = new_lifecycle(), []
    with SqliteLog.open(":memory:") as log:
        log.append([_submitted()])
        log.append([evolve(_fill(1, Random(1), None, None), stream=2, position=0)])
        (step,) = machine.events["fill_partly"].transitions["PENDING_NEW"]
        step.after.append(lambda *_: seen.append("fill_partly"))
        history = LogHistory(log)
        replay(Book(history, machine), log.rows(), history, STATUS_OF_CODE)
    assert seen == ["fill_partly"]


def test_a_run_of_records_that_is_read_ahead_is_what_each_read_by_itself_is() -> None:
    """The log may grow meanwhile, and somebody may go back."""
    with SqliteLog.open(":memory:") as log:
        log.append([_submitted()])
        history = LogHistory(log)
        ahead = [history.record(seq).seq for seq in (1, 2)]
        log.append([evolve(_submitted(), client_order_id=f"R-{n}") for n in range(2, 202)])
        ahead += [history.record(seq).seq for seq in (*range(3, 150), 2, 3, 149, 200)]
        assert ahead == [1, 2, *range(3, 150), 2, 3, 149, 200]
        with pytest.raises(LookupError):
            history.record(log.head().seq + 1)


def test_a_division_is_the_one_of_a_decimal_at_28_digits() -> None:
    """`divided` takes a short way in whole numbers; it must never show."""
    random = Random(1)
    seen = 0
    for _ in range(20_000):
        numerator = random.choice([1, -1]) * random.randrange(10 ** random.randrange(1, 80))
        denominator = random.choice([1, -1]) * (1 + random.randrange(10 ** random.randrange(1, 50)))
        if random.random() < 0.3:
            denominator = random.choice([2, 3, 4, 5, 7, 8, 125, -6])
        if random.random() < 0.2:
            numerator = denominator * random.randrange(10**29) + random.choice([0, 1, -1])
        if random.random() < 0.1:  # on or beside the middle between two results of 28 digits
            unit = 10 ** random.randrange(1, 30)
            middle = (2 * random.randrange(10**27, 10**28) + 1) * unit // 2
            denominator = random.choice([3, 8, 700, 10**31, 11**20])
            numerator = middle * denominator // random.choice([1, 10**6, 10**29])
            numerator += random.choice([0, 0, 1, -1])
        seen += numerator % denominator != 0
        share, places = divided(numerator, denominator)
        value = ROUNDED.divide(Decimal(numerator), Decimal(denominator))
        if numerator % denominator or abs(numerator) >= abs(denominator) * 10**28:
            exponent = value.as_tuple().exponent
            assert isinstance(exponent, int)
            assert (share, places) == (
                int(value.scaleb(max(-exponent, 0), EXACT)),
                max(-exponent, 0),
            )
        else:
            assert (share, places) == (numerator // denominator, 0)
    assert seen > 10_000

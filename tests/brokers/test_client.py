"""A client of four methods as a broker: what its dictionaries mean, and what they do not."""

import asyncio
import inspect
import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from brokers.chapter_clients import AsyncClient, ChapterClient, FullClient
from builders import Desk, a_cancel, a_replace, an_intent
from fillbook.brokers import ClientBroker
from fillbook.brokers.client import NoAnswer
from fillbook.brokers.live import Broker, BrokerRefused, Capabilities, NotSent, OrderRef
from fillbook.core.reports import OrderReport, PositionReport
from fillbook.core.values import ExecType, OrderStatus, Side

NOW = 1_773_385_200_000_000_000
OPEN = {"order_id": "V-1", "status": "pending", "filled_quantity": 0, "average_price": 0}
REF = OrderRef(
    client_order_id="R-1",
    first_client_order_id="R-1",
    venue_order_id="V-1",
    account_id="default",
    instrument_id="INST",
)


def a_broker(client: Any = None, *, options: Any = None, **answers: Any) -> ClientBroker:
    """A broker whose client answers the same whenever it is asked."""
    prepared = {name: answer if isinstance(answer, list) and name != "get_positions" else [answer]
                for name, answer in answers.items()}  # fmt: skip
    made = client or FullClient(prepared)
    return ClientBroker(made, clock=lambda: NOW, **(options or {}))


def told(answer: Any, **options: Any) -> list[Any]:
    return a_broker(get_order_status=answer, options=options).look_up(REF)


def the_report(answer: Any, **options: Any) -> OrderReport:
    (message,) = told(answer, **options)
    assert message.problem is None, message
    assert isinstance(message.content, OrderReport)
    return message.content


def the_problem(messages: list[Any]) -> str:
    (message,) = messages
    assert message.content is None
    assert message.raw
    return str(message.problem)


# ---- placing


def test_an_order_is_written_with_the_words_of_the_chapter():
    """A client that exists must not be changed."""
    broker = a_broker(place_order={"order_id": "V-1"})

    broker.submit(an_intent(order_qty="100", limit_px="275.50"))

    ((_, order),) = broker._client.calls
    assert order == {
        "client_order_id": "R-1", "symbol": "INST", "side": "BUY", "quantity": Decimal(100),
        "type": "limit", "price": Decimal("275.5"),
    }  # fmt: skip
    assert isinstance(order["quantity"], Decimal)


def test_further_terms_are_written_where_the_order_has_them():
    broker = a_broker(place_order={"order_id": "V-1"})

    broker.submit(
        an_intent(
            side=Side.SELL, order_type="STOP_LIMIT", stop_px="99", time_in_force="GTD",
            expire_time=NOW, account_id="A-7",
        )
    )  # fmt: skip

    ((_, order),) = broker._client.calls
    assert order["side"] == "SELL"
    assert order["type"] == "stop_limit"
    assert order["stop_price"] == Decimal(99)
    assert order["time_in_force"] == "gtd"
    assert order["expire_time"] == datetime.fromtimestamp(NOW // 10**9, UTC)
    assert order["account"] == "A-7"


@pytest.mark.parametrize(
    ("amounts", "expected"), [(Decimal, Decimal("0.1")), (str, "0.1"), (float, 0.1)]
)
def test_amounts_come_as_the_client_wants_them(amounts: Any, expected: Any):
    broker = a_broker(place_order={"order_id": "V-1"}, options={"amounts": amounts})

    broker.submit(an_intent(order_qty="0.1"))

    ((_, order),) = broker._client.calls
    assert order["quantity"] == expected
    assert type(order["quantity"]) is type(expected)


def test_an_amount_that_no_float_repeats_is_not_sent():
    """The client would order something else than the ledger says."""
    broker = a_broker(place_order={"order_id": "V-1"}, options={"amounts": float})

    with pytest.raises(NotSent, match=r"0\.12345678901234567891"):
        broker.submit(an_intent(order_qty="0.12345678901234567891"))
    with pytest.raises(NotSent):
        broker.submit(an_intent(order_qty=None, cash_order_qty="1000"))

    assert broker._client.calls == []


@pytest.mark.parametrize(
    ("answer", "status", "cum_qty"),
    [
        ({"order_id": "V-1"}, "PENDING_NEW", None),
        ({"order_id": "V-1", "status": "pending"}, "NEW", None),
        ({"order_id": "V-1", "status": "pending_new"}, "PENDING_NEW", None),
        ({"order_id": "V-1", "error": "late"}, "PENDING_NEW", None),
        # a status that says something traded is believed only with the quantity
        ({"order_id": "V-1", "status": "filled"}, "PENDING_NEW", None),
        ({"order_id": "V-1", "status": "filled", "filled_quantity": 10}, "FILLED", "10"),
    ],
)
def test_an_answer_with_an_id_is_a_report(answer: Any, status: str, cum_qty: str | None):
    (message,) = a_broker(place_order=answer).submit(an_intent())

    report = message.content
    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.venue_order_id) == ("R-1", "V-1")
    assert report.order_status == status
    assert report.cum_qty == (None if cum_qty is None else Decimal(cum_qty))
    assert report.ts_received == NOW
    assert json.loads(message.raw) == answer


@pytest.mark.parametrize(
    "answer",
    [
        None, {}, {"ok": True}, {"order_id": None}, {"order_id": ""}, {"order_id": True}, "V-1",
        {"order_id": "V-1", "symbol": "OTHER"}, {"order_id": "V-1", "side": "SELL"},
        {"order_id": "V-1", "client_order_id": "R-2"},
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_without_our_order_is_no_evidence(answer: Any):
    """The chapter takes it for a failure and forgets an order that may be working."""
    with pytest.raises(NoAnswer):
        a_broker(place_order=answer).submit(an_intent())


def test_an_id_counts_though_the_rest_cannot_be_read():
    """Without it nobody could ask for the order again."""
    answer = {"order_id": "V-1", "status": "dreaming"}

    receipt, aside = a_broker(place_order=answer).submit(an_intent())

    assert receipt.content.venue_order_id == "V-1"
    assert receipt.content.order_status is OrderStatus.PENDING_NEW
    assert "status: 'dreaming'" in str(aside.problem)


# ---- what is a refusal, and what is nothing


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        ({"status": "rejected", "text": "no funds"}, "OTHER", "no funds"),
        ({"status": "REJECTED", "order_id": "V-1", "reason": "exceeds_limit"}, "EXCEEDS_LIMIT",
         "exceeds_limit"),
        ({"error": "no such symbol"}, "OTHER", "no such symbol"),
        ({"error": "used", "reason": "DUPLICATE_ORDER"}, "DUPLICATE_ORDER", "used"),
    ],
)  # fmt: skip
def test_a_refusal_in_the_answer(answer: Any, reason: str, text: str):
    with pytest.raises(BrokerRefused) as refused:
        a_broker(place_order=answer).submit(an_intent())

    assert (refused.value.reason, refused.value.text) == (reason, text)
    assert json.loads(refused.value.raw) == answer


def test_an_error_is_no_refusal_where_the_owner_says_so():
    """Many clients answer a timeout of their own as {"error": …}."""
    broker = a_broker(place_order={"error": "timed out"}, options={"error_refuses": False})

    with pytest.raises(NoAnswer, match="timed out"):
        broker.submit(an_intent())


class NoFundsError(Exception):
    """What a client raises for a no."""


class UsedIdError(NoFundsError):
    reason = "DUPLICATE_ORDER"


@pytest.mark.parametrize(
    ("refusals", "error", "reason"),
    [
        ((NoFundsError,), NoFundsError("no"), "OTHER"),
        ((NoFundsError,), UsedIdError("no"), "DUPLICATE_ORDER"),
        ({NoFundsError: "EXCEEDS_LIMIT"}, NoFundsError("no"), "EXCEEDS_LIMIT"),
    ],
)
def test_errors_that_refuse_are_named_by_the_owner(refusals: Any, error: Any, reason: str):
    with pytest.raises(BrokerRefused) as refused:
        a_broker(place_order=error, options={"refusals": refusals}).submit(an_intent())

    assert refused.value.reason == reason
    assert refused.value.__cause__ is error


@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionError("gone"), ValueError("?")])
def test_other_errors_come_as_they_are(error: Exception):
    """None of them says what became of the order."""
    broker = a_broker(place_order=error, options={"refusals": (NoFundsError,)})

    with pytest.raises(type(error)) as raised:
        broker.submit(an_intent())

    assert raised.value is error


def test_errors_that_prove_that_nothing_left():
    broker = a_broker(
        place_order=ConnectionRefusedError("shut"), options={"not_sent": (ConnectionRefusedError,)}
    )

    with pytest.raises(NotSent, match="shut"):
        broker.submit(an_intent())


def test_a_status_that_is_rejected_is_a_report_and_no_refusal_of_the_question():
    report = the_report(OPEN | {"status": "rejected", "text": "no funds"})

    assert (report.order_status, report.text) == (OrderStatus.REJECTED, "no funds")


# ---- asking for the status


class Word(Enum):
    """The chapter's own enum, in part."""

    FILLED = "filled"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", "NEW"), ("partially_filled", "PARTIALLY_FILLED"), ("filled", "FILLED"),
        ("cancelled", "CANCELED"), ("canceled", "CANCELED"), ("rejected", "REJECTED"),
        ("expired", "EXPIRED"), ("NEW", "NEW"), ("PENDING_CANCEL", "PENDING_CANCEL"),
        ("Partially Filled", "PARTIALLY_FILLED"), ("done-for-day", "DONE_FOR_DAY"),
        (Word.FILLED, "FILLED"),
    ],
)  # fmt: skip
def test_words_for_statuses(word: Any, status: str):
    assert the_report(OPEN | {"status": word}).order_status == status


def test_further_words_are_declared():
    assert the_report(OPEN | {"status": "OPEN"}, statuses={"open": "NEW"}).order_status == "NEW"


def test_a_status_is_a_snapshot_of_our_order():
    answer = {"status": "partially_filled", "filled_quantity": 4, "average_price": 275.1}

    report = the_report(answer)

    assert report == OrderReport(
        client_order_id="R-1",
        venue_order_id="V-1",
        account_id="default",
        instrument_id="INST",
        order_status=OrderStatus.PARTIALLY_FILLED,
        cum_qty=Decimal(4),
        avg_px=Decimal("275.1"),
        ts_received=NOW,
    )
    assert report.is_snapshot


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, "0.1"), (1e-7, "0.0000001"), (3, "3"), ("2.50", "2.5"), (Decimal("1.10"), "1.1"),
        (0.1 + 0.2, "0.30000000000000004"),
    ],
)  # fmt: skip
def test_a_float_is_what_its_author_wrote(value: Any, expected: str):
    """Its binary expansion has digits that nobody meant."""
    report = the_report(OPEN | {"filled_quantity": value, "average_price": value})

    assert str(report.cum_qty) == str(Decimal(expected)) or report.cum_qty == Decimal(expected)
    assert report.avg_px == Decimal(expected)


@pytest.mark.parametrize("average", [0, 0.0, "0", None])
def test_an_average_of_nothing_is_unknown(average: Any):
    """Clients begin with 0; a fill for 0 would be profit from nowhere."""
    report = the_report(OPEN | {"filled_quantity": 4, "average_price": average})

    assert report.avg_px is None


def test_nothing_has_no_average():
    """Some clients show the limit price there until something trades."""
    assert the_report(OPEN | {"average_price": 275.5}).avg_px is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"status": None}, "status: missing"),
        ({"status": "open"}, "status: 'open' is none of"),
        ({"status": "unknown"}, "status: 'unknown' is none of"),
        ({"status": 2}, "status: found 2, expected a word"),
        ({"filled_quantity": None}, "filled_quantity: missing"),
        ({"filled_quantity": -1}, "filled_quantity: -1 is negative"),
        ({"filled_quantity": float("nan")}, "filled_quantity: 'nan' is not a decimal number"),
        ({"filled_quantity": float("inf")}, "filled_quantity: 'inf' is not a decimal number"),
        ({"filled_quantity": Decimal("NaN")}, "filled_quantity: 'NaN' is not a decimal number"),
        ({"filled_quantity": Decimal("1E+999999")}, "filled_quantity: "),
        ({"filled_quantity": 10**130}, "filled_quantity: a whole number of"),
        ({"filled_quantity": True}, "filled_quantity: found True, expected a number"),
        ({"filled_quantity": [4]}, "filled_quantity: found [4], expected a number"),
        ({"filled_quantity": 4, "average_price": "NaN"}, "average_price: 'NaN'"),
        ({"quantity": -10}, "quantity: -10 is negative"),
        ({"symbol": "OTHER"}, "symbol: 'OTHER', expected 'INST'"),
        ({"side": "UP"}, "side: 'UP' is none of"),
        ({"order_id": "V-2"}, "order_id: 'V-2', expected 'V-1'"),
        ({"client_order_id": "R-9"}, "client_order_id: 'R-9', expected 'R-1'"),
    ],
    ids=str,
)
def test_what_cannot_be_believed_is_set_aside(change: Any, problem: str):
    assert the_problem(told(OPEN | change)).startswith(problem)


def test_an_order_of_somebody_else_may_have_any_id_of_ours():
    """A fill showed it, by the venue's id alone; what it is called is news, no contradiction."""
    answer = OPEN | {"client_order_id": "X-1"}
    broker = a_broker(get_order_status=answer)

    [message] = broker.look_up(evolve(REF, client_order_id="", first_client_order_id=""))

    assert message.problem is None
    assert message.content.client_order_id == "X-1"


@pytest.mark.parametrize("is_known", [True, False])
def test_an_order_may_be_told_under_the_id_of_a_replacement(is_known: bool):
    """Its answer was lost: setting every poll aside from then on would lose the fills."""
    broker = a_broker(get_order_status=OPEN | {"client_order_id": "R-2"})

    [message] = broker.look_up(evolve(REF, asked_client_order_ids=("R-2",) if is_known else ()))

    assert (message.problem is None) is is_known
    if is_known:
        assert message.content.client_order_id == "R-1"


def test_what_is_no_dictionary_is_set_aside():
    assert the_problem(told("filled")) == "found 'filled', expected a dictionary"


@pytest.mark.parametrize("answer", [None, {}, "", False, {"error": "timed out"}], ids=str)
def test_nothing_is_no_evidence(answer: Any):
    with pytest.raises(NoAnswer):
        told(answer)


class NoSuchOrderError(Exception):
    """How a client says that it knows no such order."""


def test_only_a_word_or_a_named_error_is_not_found():
    assert told({"status": "not_found"}) == []
    assert told(NoSuchOrderError(), not_found=(NoSuchOrderError,)) == []
    with pytest.raises(NoSuchOrderError):
        told(NoSuchOrderError())


def test_fills_come_before_the_status():
    answer = OPEN | {
        "status": "partially_filled", "filled_quantity": 4, "side": "buy",
        "fills": [{"trade_id": 71, "quantity": 4, "price": 275.1, "commission": "0.5",
                   "commission_currency": "RUB", "timestamp": "2026-03-13T07:00:00Z"}],
    }  # fmt: skip

    fill, status = told(answer)

    assert fill.content.exec_type is ExecType.TRADE
    assert (fill.content.trade_id, fill.content.venue_order_id) == ("71", "V-1")
    assert (fill.content.last_qty, fill.content.last_px) == (Decimal(4), Decimal("275.1"))
    assert (fill.content.commission, fill.content.commission_currency) == (Decimal("0.5"), "RUB")
    assert fill.content.ts_event == NOW
    assert fill.content.side is Side.BUY
    assert json.loads(fill.raw) == answer["fills"][0]
    assert status.content.cum_qty == 4


def test_a_fill_counts_though_the_status_beside_it_cannot_be_read():
    """A fill is a fact, a status is an opinion."""
    fills = [{"trade_id": "T-1", "quantity": 4, "price": 275}, {"quantity": 4, "price": 275},
             {"trade_id": "T-3", "quantity": 0, "price": 275}]  # fmt: skip

    fill, nameless, empty, status = told(OPEN | {"status": "dreaming", "fills": fills})

    assert fill.content.trade_id == "T-1"
    assert nameless.problem == "trade_id: missing"
    assert empty.problem == "quantity: a fill is more than 0"
    assert "dreaming" in status.problem


def test_fills_of_another_symbol_count_for_nothing():
    fills = [{"trade_id": "T-1", "quantity": 4, "price": 275}]

    assert "symbol" in the_problem(told(OPEN | {"symbol": "OTHER", "fills": fills}))


@pytest.mark.parametrize("moment", [1773385200, "yesterday", datetime(2026, 3, 13)])
def test_a_time_without_unit_or_zone_is_not_said(moment: Any):
    fills = [{"trade_id": "T-1", "quantity": 4, "price": 275, "timestamp": moment}]

    fill, _ = told(OPEN | {"filled_quantity": 4, "fills": fills})

    assert fill.content.ts_event is None


def test_the_other_side_is_disputed_and_moves_nothing():
    """The adapter does not hold the side; the book does."""
    desk = Desk()
    desk.say(an_intent())
    answer = OPEN | {"status": "filled", "filled_quantity": 10, "average_price": 5, "side": "SELL"}

    judgements = [desk.recorder.record(message) for message in told(answer)]

    assert [each.outcome for each in judgements] == ["DISPUTED"]
    assert desk.order().standing.cum_qty == 0


# ---- cancel, replace, lists


@pytest.mark.parametrize("answer", [True, {"ok": 1}, "accepted", {"status": "cancelled"}], ids=str)
def test_a_cancel_is_taken_note_of(answer: Any):
    broker = a_broker(cancel_order=answer)

    assert broker.cancel(a_cancel("C-1"), REF) == []
    assert broker._client.calls == [("cancel_order", "V-1")]


def test_a_cancel_that_answers_a_whole_status_is_a_report():
    answer = {"order_id": "V-1", "status": "cancelled", "filled_quantity": 4, "average_price": 9}

    (message,) = a_broker(cancel_order=answer).cancel(a_cancel("C-1"), REF)

    assert message.content.order_status is OrderStatus.CANCELED
    assert message.content.cum_qty == 4


@pytest.mark.parametrize("answer", [None, False, {}], ids=str)
def test_a_cancel_that_answers_nothing_is_no_evidence(answer: Any):
    with pytest.raises(NoAnswer):
        a_broker(cancel_order=answer).cancel(a_cancel("C-1"), REF)


def test_a_cancel_that_is_refused():
    answer = {"error": "it is filled", "reason": "TOO_LATE_TO_CANCEL"}

    with pytest.raises(BrokerRefused, match="TOO_LATE_TO_CANCEL: it is filled"):
        a_broker(cancel_order=answer).cancel(a_cancel("C-1"), REF)


def test_without_the_id_of_the_venue_no_cancel_leaves():
    ref = OrderRef(
        client_order_id="R-1",
        first_client_order_id="R-1",
        venue_order_id=None,
        account_id="default",
        instrument_id="INST",
    )
    broker = a_broker(ChapterClient({}))

    with pytest.raises(NotSent):
        broker.cancel(a_cancel("C-1"), ref)
    with pytest.raises(NoAnswer):
        broker.look_up(ref)

    assert broker._client.calls == []


def test_a_replacement_is_real_where_an_id_is_answered():
    broker = a_broker(place_order={"order_id": "V-1"}, replace_order={"order_id": "V-2"})
    desk, request = Desk(), a_replace("R-2", "6")
    desk.say(an_intent())
    for each in broker.submit(an_intent()):
        desk.recorder.record(each)
    desk.say(request)

    (message,) = broker.replace(request, REF)
    desk.recorder.record(message)

    assert broker._client.calls[-1] == (
        "replace_order", "V-1", {"client_order_id": "R-2", "quantity": Decimal(6)}
    )  # fmt: skip
    assert desk.order().standing.order_qty == 6
    assert desk.order().venue_order_ids[-1] == "V-2"


def test_a_replacement_without_an_id_was_taken_note_of():
    assert a_broker(replace_order=True).replace(a_replace("R-2", "6"), REF) == []
    assert a_broker(replace_order={"order_id": "V-2", "status": "pending_replace"}).replace(
        a_replace("R-2", "6"), REF
    ) == []  # fmt: skip
    with pytest.raises(NoAnswer):
        a_broker(replace_order=None).replace(a_replace("R-2", "6"), REF)


def test_positions():
    rows = [
        {"symbol": "SBER", "quantity": 100, "average_price": 275.5},
        {"symbol": "GAZP", "quantity": "-20", "average_price": 0},
    ]

    messages = a_broker(get_positions=rows).positions()

    assert [message.content for message in messages] == [
        PositionReport(instrument_id="SBER", position_qty=Decimal(100), avg_px=Decimal("275.5")),
        PositionReport(instrument_id="GAZP", position_qty=Decimal(-20)),
    ]
    assert [message.kind for message in messages] == ["position", "position"]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"quantity": 1}, "symbol: missing"),
        ({"symbol": "SBER"}, "quantity: missing"),
        ({"symbol": "SBER", "quantity": float("nan")}, "quantity: 'nan'"),
        ({"symbol": "SBER", "quantity": 5, "side": "short"}, "quantity: 5 is long"),
        ("SBER", "found 'SBER', expected a dictionary"),
    ],
    ids=str,
)
def test_a_position_that_cannot_be_believed_is_set_aside(row: Any, problem: str):
    assert the_problem(a_broker(get_positions=[row]).positions()).startswith(problem)


def test_an_instrument_that_is_listed_twice_is_told_by_neither_line():
    """The chapter keeps the last one."""
    rows = [{"symbol": "SBER", "quantity": 5}, {"symbol": "SBER", "quantity": -2}]

    assert [m.content for m in a_broker(get_positions=rows).positions()] == [None, None]


def test_no_list_is_not_an_empty_one():
    """An account that holds nothing and a client that failed are not the same."""
    assert a_broker(get_positions=[]).positions() == []
    for answer in (None, {}, {"error": "timed out"}):
        with pytest.raises(NoAnswer):
            a_broker(get_positions=answer).positions()


def test_open_orders_and_fills():
    row = OPEN | {"client_order_id": "R-1", "symbol": "SBER", "side": "sell", "quantity": 10}
    fill = {"order_id": "V-1", "symbol": "SBER", "side": "sell", "trade_id": "T-1",
            "quantity": 4, "price": 275}  # fmt: skip
    broker = a_broker(get_open_orders=[[row, {"status": "new"}]], get_fills=[[fill]])

    order, nameless = broker.open_orders()
    (filled,) = broker.fills_since(NOW + 999)

    assert order.content.client_order_id == "R-1"
    assert (order.content.instrument_id, order.content.side) == ("SBER", Side.SELL)
    assert order.content.order_qty == 10
    assert nameless.problem == "order_id: missing"
    assert (filled.content.venue_order_id, filled.content.trade_id) == ("V-1", "T-1")
    assert broker._client.calls[-1] == (
        "get_fills", datetime.fromtimestamp(NOW // 10**9, UTC)
    )  # fmt: skip


# ---- ids, capabilities


def test_ids_that_are_numbers_stay_numbers():
    """A client that wants 7 does not know "7"."""
    broker = a_broker(
        place_order={"order_id": 7}, cancel_order=True, options={"order_ids": int}
    )  # fmt: skip

    (message,) = broker.submit(an_intent())
    broker.cancel(a_cancel("C-1"), _ref("7"))

    assert message.content.venue_order_id == "7"
    assert broker._client.calls[-1] == ("cancel_order", 7)


def test_that_ids_are_numbers_is_noticed_once():
    broker = a_broker(place_order={"order_id": 7}, cancel_order=True)

    _, aside = broker.submit(an_intent())
    again = broker.submit(an_intent("R-2"))
    broker.cancel(a_cancel("C-1"), _ref("7"))

    assert "order_ids=int" in aside.problem
    assert len(again) == 1
    assert broker._client.calls[-1] == ("cancel_order", 7)


def _ref(venue_order_id: str | None) -> OrderRef:
    return OrderRef(
        client_order_id="R-1",
        first_client_order_id="R-1",
        venue_order_id=venue_order_id,
        account_id="default",
        instrument_id="INST",
    )


def test_capabilities_are_what_the_methods_show():
    four, eight = ClientBroker(ChapterClient()).capabilities, a_broker().capabilities

    assert four == Capabilities(
        name="ChapterClient", can_look_up_by_venue_id=True, has_positions=True
    )
    assert eight == Capabilities(
        name="FullClient", can_look_up=True, can_look_up_by_venue_id=True, has_open_orders=True,
        has_fills_since=True, has_positions=True, can_replace=True,
    )  # fmt: skip


def test_what_is_declared_must_have_a_method():
    declared = Capabilities(name="api", client_id_form="UUID", has_positions=True)

    assert ClientBroker(ChapterClient(), capabilities=declared).capabilities is declared
    with pytest.raises(TypeError, match="get_order_by_client_id"):
        ClientBroker(ChapterClient(), capabilities=Capabilities(name="api", can_look_up=True))
    with pytest.raises(TypeError, match="has_stream"):
        ClientBroker(ChapterClient(), capabilities=Capabilities(name="api", has_stream=True))
    with pytest.raises(TypeError, match="place_order"):
        ClientBroker(object())


def test_an_order_without_an_id_of_the_venue_is_looked_up_by_ours():
    broker = a_broker(get_order_by_client_id=OPEN)

    (message,) = broker.look_up(_ref(None))

    assert message.content.venue_order_id == "V-1"
    assert broker._client.calls == [("get_order_by_client_id", "R-1")]


def test_it_is_a_broker():
    broker: Broker = a_broker()

    broker.connect(None)  # type: ignore[arg-type]
    broker.close()


MOVING = Path(__file__).parents[2] / "docs" / "moving.md"


def test_what_the_page_for_movers_says_can_be_said():
    """Its options are our arguments, and its keys are read."""
    text = MOVING.read_text("utf-8")
    said = set(re.findall(r"ClientBroker\(api, (\w+)=", text)) | set(
        re.findall(r"\| `(?:ClientBroker\(api, )?(\w+)=", text)
    )

    assert {"refusals", "order_ids", "statuses", "not_found", "capabilities"} <= said
    assert said <= set(inspect.signature(ClientBroker).parameters)


# ---- the chapter's day through the book


def test_partial_fills_of_a_canceled_order_are_booked_once():
    """The chapter loses them: it moves the position only when an order is filled."""
    broker = a_broker(
        place_order={"order_id": "V-1"},
        get_order_status=[
            OPEN,
            OPEN | {"status": "partially_filled", "filled_quantity": 4, "average_price": 275.1},
            OPEN | {"status": "partially_filled", "filled_quantity": 4, "average_price": 275.1},
            OPEN | {"status": "cancelled", "filled_quantity": 6, "average_price": 275.2},
        ],
    )
    desk, order = Desk(), an_intent()
    desk.say(order)

    for message in broker.submit(order) + [m for _ in range(4) for m in broker.look_up(REF)]:
        desk.recorder.record(message)

    assert desk.order().order_status is OrderStatus.CANCELED
    assert desk.order().standing.cum_qty == 6
    assert desk.position().position_qty == 6
    assert desk.position().avg_px == Decimal("275.2")


# ---- async clients


@pytest.fixture
def an_async_broker() -> Iterator[ClientBroker]:
    client = AsyncClient(
        {"place_order": [{"order_id": "V-1"}], "get_order_status": [OPEN], "get_positions": [[]]}
    )
    broker = ClientBroker(client, clock=lambda: NOW, timeout_s=5)
    yield broker
    broker.close()


def test_coroutines_run_on_one_loop_whoever_calls(an_async_broker: ClientBroker):
    """A session belongs to the loop it was made on."""
    threads = [
        threading.Thread(target=an_async_broker.look_up, args=(REF,), daemon=True)
        for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    (message,) = an_async_broker.submit(an_intent())

    assert message.content is not None
    assert len(an_async_broker._client.calls) == 9
    assert set(an_async_broker._client.threads) == {"fillbook-client"}


def test_plain_methods_run_in_the_thread_of_the_caller():
    broker = a_broker(ChapterClient({"get_order_status": [OPEN]}))

    broker.look_up(REF)

    assert broker._client.threads == [threading.current_thread().name]


def test_a_running_loop_of_the_robot_is_not_touched(an_async_broker: ClientBroker):
    async def robot() -> int:
        return len(await asyncio.to_thread(an_async_broker.look_up, REF))

    assert asyncio.run(robot()) == 1


class HangingClient(ChapterClient):
    """Its status never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.has_ended = threading.Event(), threading.Event()

    async def get_order_status(self, order_id: Any) -> Any:
        self.is_asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            self.has_ended.set()

    async def aclose(self) -> None:
        self.calls.append(("aclose", asyncio.get_running_loop()))


def test_a_coroutine_that_hangs_is_canceled():
    client = HangingClient()
    broker = ClientBroker(client, timeout_s=0.05)

    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        broker.look_up(REF)

    assert client.has_ended.wait(10)
    broker.close()


def test_close_ends_what_is_under_way_and_the_thread():
    client = HangingClient()
    broker = ClientBroker(client, timeout_s=30)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            broker.look_up(REF)
        except Exception as exc:
            errors.append(exc)

    caller = threading.Thread(target=ask, daemon=True)
    caller.start()
    assert client.is_asked.wait(10)
    thread = broker._loop._thread
    assert thread is not None
    broker.close()
    broker.close()
    caller.join(10)

    assert [type(error) for error in errors] == [ConnectionAbortedError]
    assert not thread.is_alive()
    assert [name for name, _ in client.calls] == ["aclose"]
    with pytest.raises(NotSent, match="closed"):
        broker.submit(an_intent())


class CoroutineGiver(ChapterClient):
    """A plain method that gives a coroutine, as a decorated one does."""

    def get_order_status(self, order_id: Any) -> Any:
        async def later() -> Any:
            return self._answer("get_order_status", order_id)

        return later()


def test_a_plain_method_may_give_something_to_await():
    broker = a_broker(CoroutineGiver({"get_order_status": [OPEN]}))

    (message,) = broker.look_up(REF)
    broker.close()

    assert message.content is not None
    assert broker._client.threads == ["fillbook-client"]


def test_errors_of_coroutines_come_as_they_are():
    error = TimeoutError("the client's own")
    broker = ClientBroker(AsyncClient({"get_order_status": [error]}))

    with pytest.raises(TimeoutError) as raised:
        broker.look_up(REF)
    broker.close()

    assert raised.value is error

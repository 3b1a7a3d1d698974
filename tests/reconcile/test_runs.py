"""A run from its first reading to its event: what agrees, what is explained, what is settled."""

from decimal import Decimal

from attrs import evolve

from feedback.desk import filled, told
from fillbook.brokers.port import Message
from fillbook.core.reports import InstrumentReport
from fillbook.core.values import Contract, ExecType
from fillbook.reconcile.policies import Action
from reconcile.house import House, policies


def test_what_agrees_is_read_once_and_is_one_event():
    house = House()
    house.begin()
    house.hold("10")
    head = len(house.events())
    house.live(301)

    (_, run) = house.runs()
    assert (run.outcome, run.cause, run.reads, run.compared) == ("AGREED", "SCHEDULE", 1, 1)
    assert len(house.events()) == head + 1
    assert house.tracker.book.agreements.weakest().is_so


def test_trading_waits_for_the_first_run_and_goes_on_after_it():
    house = House(SBER="5")
    house.tracker.start(house.now)
    house.live(0)
    assert not house.tracker.schedule.is_open
    house.live(30)
    assert house.tracker.schedule.is_open
    (run,) = house.runs()
    assert (run.cause, run.outcome, run.minor, run.alerted) == ("START", "DIFFERS", 1, 1)


def test_a_fill_that_was_missed_explains_the_difference():
    house = House()
    house.begin()
    house.hold("10")
    house.by_hand("3", is_told=True)
    run = house.reconcile()

    assert house.held() == "13"
    assert (run.outcome, run.explained, run.gaps) == ("AGREED", 1, ())
    assert not house.of_type("position.adopted")


def test_each_policy_does_what_it_says():
    for action, held, halts in (
        (Action.ALERT, "10", []), (Action.ADOPT, "8", []), (Action.HALT, "10", ["SBER"]),
    ):  # fmt: skip
        house = House(policies(minor=action))
        house.begin()
        house.hold("10")
        house.by_hand("-2", is_told=False)
        house.live(340)
        assert (house.held(), house.halts()) == (held, halts), action
        (gap,) = next(run for run in house.runs() if run.gaps).gaps
        assert (gap.gap_qty, gap.size, gap.action) == (Decimal(-2), "MINOR", action)


def test_restoring_adopts_and_trades_back_once():
    house = House(policies(minor=Action.RESTORE))
    house.begin()
    house.hold("10")
    house.by_hand("-2", is_told=False)
    house.live(340)

    (order,) = house.restoring()
    assert (str(order.side), order.order_qty, order.order_type) == ("BUY", Decimal(2), "MARKET")
    (adopted,) = house.of_type("position.adopted")
    assert (adopted.held_qty, adopted.reported_qty) == (Decimal(10), Decimal(8))
    assert house.held() == "8"
    house.live(2000)
    assert len(house.restoring()) == 1


def test_a_second_pass_adds_nothing_but_its_own_event():
    house = House(policies(minor=Action.ADOPT))
    house.begin()
    house.hold("10")
    house.by_hand("-2", is_told=False)
    house.live(340)
    assert house.held() == "8"
    head = len(house.events())
    runs = len(house.runs())
    house.live(600)
    assert len(house.runs()) > runs
    assert len(house.events()) == head + len(house.runs()) - runs
    assert house.outcomes()[-1] == "AGREED"


def test_an_empty_answer_never_takes_a_position_away():
    house = House(policies(Action.ADOPT, Action.ADOPT, Action.ADOPT))
    house.begin()
    house.hold("50")
    house.theirs.clear()
    house.live(2000)

    assert house.held() == "50"
    assert not house.of_type("position.adopted")
    assert house.outcomes()[-1] == "DIFFERS"
    (gap,) = house.runs()[-1].gaps
    assert gap.reported_qty is None
    assert gap.action == "ALERT"


def test_a_fee_taken_in_the_base_currency_explains_what_is_missing():
    """The stream told the fill without its fee; who is asked for fills tells it."""
    house = House()
    house.begin()
    coin = InstrumentReport(instrument_id="SBER", contract=Contract.SPOT, base_currency="BTC")
    house.hear(coin)
    order = house.submit("1", "100")
    house.live(0)
    fill = evolve(filled(order, "T1", "1", "1"), ts_event=house.now)
    house.hear(fill)
    house.theirs["SBER"] = Decimal("0.999")
    house.live(20)
    house.untold.append(evolve(fill, commission=Decimal("0.001"), commission_currency="BTC"))
    run = house.reconcile()

    assert (run.outcome, run.explained, run.adopted) == ("AGREED", 1, 0)
    assert house.held() == "0.999"


def test_open_orders_are_compared_where_positions_agree():
    """An order that somebody else placed, and one of ours that is gone from the broker's list."""
    house = House()
    house.begin()
    mine = house.submit("5", "90")
    house.live(60)
    foreign = evolve(
        told(mine), client_order_id=None, venue_order_id="V-HAND", exec_type=ExecType.ORDER_STATUS
    )

    def tell(call):
        if call.kind == "open_orders":
            return [Message(0, "report", foreign, b"{}")]
        return [] if call.kind == "look_up" else None

    house.tell = tell
    run = house.reconcile()
    assert (run.outcome, run.open_orders) == ("AGREED", 1)
    assert run.orders_found == ("V-HAND",)
    assert run.orders_left == (mine.client_order_id,)
    house.tell = lambda call: None  # from now on it lists ours alone
    run = house.reconcile()
    assert (run.orders_found, run.orders_left) == ((), ("V-HAND",))


def test_an_order_that_is_gone_from_the_list_is_asked_about():
    house = House()
    house.begin()
    mine = house.submit("5", "90")
    house.live(60)
    canceled = evolve(told(mine, "CANCELED", exec_type=ExecType.ORDER_STATUS), ts_event=house.now)

    def tell(call):
        if call.kind == "open_orders":
            return []
        return [Message(0, "report", canceled, b"{}")] if call.kind == "look_up" else None

    house.tell = tell
    run = house.reconcile()
    assert (run.orders_found, run.orders_left) == ((), ())
    assert str(house.tracker.book.order(mine.stream).order_status) == "CANCELED"

"""What holds of any history, however little sense it makes."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, Decimal, Inexact, localcontext

from hypothesis import given
from hypothesis import strategies as st

from builders import Desk
from core.claims import claims, timed_claims
from fillbook.core.exact import EXACT
from fillbook.core.policies import FillPolicy
from fillbook.core.values import Side

policies = st.builds(FillPolicy, wait_ns=st.sampled_from([0, 2]))


@contextmanager
def coarse_arithmetic() -> Iterator[None]:
    """Let any sum that is left to the process's own decimal context raise where it rounds.

    A robot may have set that context to anything; no figure of ours may hang on it.
    """
    with localcontext(Context(prec=1, traps=[Inexact])):
        yield


def signed_sums(desk: Desk) -> dict[tuple[str, str], Decimal]:
    """Return the signed sum of what the orders filled, per account and instrument."""
    sums: dict[tuple[str, str], Decimal] = {}
    for order in desk.orders():
        key = (order.account_id, order.instrument_id)
        filled = order.standing.cum_qty
        if order.side is not Side.BUY:
            filled = filled.copy_negate()
        sums[key] = EXACT.add(sums.get(key, Decimal(0)), filled)
    return sums


@given(st.lists(claims, max_size=12), policies)
def test_any_messages_are_decided_and_folded(history, policy):
    """Nothing that a reader lets through stops the book, and everybody agrees on what it says.

    `Desk` stores each event, folds it, and holds it against the order; the log refuses a key that
    was used before.
    """
    desk = Desk(policy=policy)
    with coarse_arithmetic():
        for message in history:
            desk.say(message)
            desk.wait_until(3)

        views = desk.book.position_views()
    held = {(view.account_id, view.instrument_id): view.position_qty for view in views}
    sums = signed_sums(desk)
    assert {key: sums.get(key, Decimal(0)) for key in held} == held
    assert not any(qty for key, qty in sums.items() if key not in held)


@given(st.lists(timed_claims, min_size=1, max_size=12), policies)
def test_the_same_again_adds_nothing(history, policy):
    """Streams repeat themselves, and a restart asks for what was told before.

    Of messages without any time and id nobody can say whether they are repetitions or news.
    """
    desk = Desk(policy=policy)
    for message in history:
        desk.say(message)
        count = len(desk.log.records)
        again = desk.say(message)
        assert len(desk.log.records) == count, f"{again.outcome}: {desk.types()[count:]}"
        desk.wait_until(3)

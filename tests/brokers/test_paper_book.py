"""Price, then time, and nothing lost: what one book of the paper exchange may and may not do.

The rules are held against a second book that is too simple to be wrong: a list, searched anew for
every match.
"""

from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from fillbook.brokers.paper_book import Book, Resting

ORDERS = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(95, 105),
        st.integers(1, 30),
        st.sampled_from([None, "a", "b"]),
        st.booleans(),
    ),
    max_size=40,
)
"""Incoming orders: (is_buy, limit_px, qty, account_id, whether the rest may wait)."""


@define
class Waiting:
    is_buy: bool
    px: int
    leaves: int
    account_id: str | None


class SimpleBook:
    """The same rules in the plainest way."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []

    def take(self, is_buy, limit_px, qty, account_id):
        matches, prevented = [], []
        while qty:
            there = [
                each
                for each in self.waiting
                if each.is_buy is not is_buy
                and (each.px <= limit_px if is_buy else each.px >= limit_px)
            ]
            if not there:
                break
            best_px = min(each.px for each in there) if is_buy else max(each.px for each in there)
            first = next(each for each in there if each.px == best_px)
            if account_id is not None and first.account_id == account_id:
                prevented.append(first)
                self.waiting.remove(first)
                continue
            size = min(qty, first.leaves)
            first.leaves -= size
            qty -= size
            matches.append((first.px, size))
            if not first.leaves:
                self.waiting.remove(first)
        return matches, prevented


def a_book(*resting: Resting) -> Book:
    book = Book(100)
    for order in resting:
        book.rest(order)
    return book


def taken(book: Book, **order) -> list[tuple[int, int]]:
    matches, _ = book.take(**({"limit_px": None, "account_id": "me"} | order))
    return [(match.px, match.qty) for match in matches]


@given(ORDERS)
def test_matches_are_those_of_the_simple_book(orders):
    """Price before time, at the resting order's price, whoever meets whom."""
    book, simple = Book(100), SimpleBook()
    for is_buy, limit_px, qty, account_id, may_wait in orders:
        matches, prevented = book.take(
            is_buy=is_buy, qty=qty, limit_px=limit_px, account_id=account_id
        )
        expected, expected_prevented = simple.take(is_buy, limit_px, qty, account_id)

        assert [(match.px, match.qty) for match in matches] == expected
        assert [(each.px, each.leaves) for each in prevented] == [
            (each.px, each.leaves) for each in expected_prevented
        ]
        left = qty - sum(match.qty for match in matches)
        if left and may_wait:
            book.rest(Resting(is_buy, limit_px, left, account_id))
            simple.waiting.append(Waiting(is_buy, limit_px, left, account_id))

    for is_buy in (True, False):
        rows = [(each.px, each.leaves) for each in book.resting(is_buy=is_buy)]
        waiting = [(each.px, each.leaves) for each in simple.waiting if each.is_buy is is_buy]
        assert rows == sorted(waiting, key=lambda row: -row[0] if is_buy else row[0])


@given(ORDERS)
def test_no_quantity_is_lost_or_negative_and_the_book_is_never_crossed(orders):
    book, came, gone = Book(100), 0, 0
    for is_buy, limit_px, qty, account_id, may_wait in orders:
        matches, prevented = book.take(
            is_buy=is_buy, qty=qty, limit_px=limit_px, account_id=account_id
        )
        traded = sum(match.qty for match in matches)
        assert 0 <= traded <= qty
        assert all(match.qty > 0 and match.resting.leaves >= 0 for match in matches)
        gone += traded + sum(each.leaves for each in prevented)
        if qty > traded and may_wait:
            came += qty - traded
            book.rest(Resting(is_buy, limit_px, qty - traded, account_id))
        bid, ask = book.best(is_buy=True), book.best(is_buy=False)
        assert bid is None or ask is None or bid < ask
    resting = [each for is_buy in (True, False) for each in book.resting(is_buy=is_buy)]
    assert all(each.leaves > 0 for each in resting)
    assert came == gone + sum(each.leaves for each in resting)


@given(ORDERS, st.booleans(), st.one_of(st.none(), st.integers(95, 105)), st.integers(1, 500))
def test_what_is_takeable_is_what_is_taken(orders, is_buy, limit_px, qty):
    """A fill or kill is decided by `takeable` and carried out by `take`: they may not differ."""
    book = Book(100)
    for side, px, size, account_id, _ in orders:
        matches, _ = book.take(is_buy=side, qty=size, limit_px=px, account_id=account_id)
        left = size - sum(match.qty for match in matches)
        if left:
            book.rest(Resting(side, px, left, account_id))

    most = book.takeable(is_buy=is_buy, limit_px=limit_px, account_id="a")
    matches, _ = book.take(is_buy=is_buy, qty=qty, limit_px=limit_px, account_id="a")

    assert sum(match.qty for match in matches) == min(most, qty)


def test_the_better_price_is_taken_first():
    book = a_book(Resting(False, 102, 5), Resting(False, 101, 5))
    assert taken(book, is_buy=True, qty=7) == [(101, 5), (102, 2)]


def test_at_one_price_the_earlier_order_is_taken_first():
    first, second = Resting(True, 100, 5, "a"), Resting(True, 100, 5, "b")
    book = a_book(first, second)

    assert taken(book, is_buy=False, qty=6) == [(100, 5), (100, 1)]
    assert (first.leaves, second.leaves) == (0, 4)


def test_a_limit_is_never_passed():
    book = a_book(Resting(False, 101, 5), Resting(False, 103, 5))
    assert taken(book, is_buy=True, qty=10, limit_px=102) == [(101, 5)]


def test_nobody_trades_with_himself():
    """The resting order leaves instead, and the next one is taken."""
    mine, other = Resting(False, 101, 5, "me"), Resting(False, 102, 5, "you")
    book = a_book(mine, other)

    matches, prevented = book.take(is_buy=True, qty=3, limit_px=None, account_id="me")

    assert [(match.px, match.qty) for match in matches] == [(102, 3)]
    assert prevented == [mine]
    assert list(book.resting(is_buy=False)) == [other]


def test_the_crowd_withdraws_what_is_out_of_line_and_leaves_orders_alone():
    ours = Resting(True, 90, 5, "me")
    book = a_book(Resting(True, 90, 1), ours, Resting(True, 99, 1), Resting(True, 101, 1))

    book.withdraw_crowd(is_buy=True, lowest=95, highest=100)

    assert [(each.px, each.account_id) for each in book.resting(is_buy=True)] == [
        (99, None),
        (90, "me"),
    ]

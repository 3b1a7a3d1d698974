"""The codec gives every event one form in bytes, and takes nothing else back."""

import json
import typing
from decimal import Decimal
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any

import pytest
from attrs import evolve, fields, has
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.events import Event, OrderFilled, OrderFilledV1
from fillbook.core.exact import canonical
from fillbook.errors import BadValue, UnknownEventVersion
from fillbook.log.chain import utf8
from fillbook.log.codec import decode, encode
from fillbook.log.upcast import UPCASTERS, upcast
from log.making import a_cancel, a_fill, a_note, draft, open_fixed

TIMES = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
AMOUNTS = st.builds(
    lambda digits, places: canonical(Decimal(digits).scaleb(-places)),
    st.integers(-(10**18), 10**18) | st.integers(-(10**30), 10**30),
    st.integers(-4, 40),
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of one field, by what its annotation says."""
    if isinstance(annotation, UnionType):
        return st.one_of(*map(values_of, typing.get_args(annotation)))
    if annotation is NoneType:
        return st.none()
    if annotation is str:
        return TEXTS
    if annotation is int:
        return st.integers(-(2**63), 2**63 - 1)
    if annotation is bool:
        return st.booleans()
    if annotation is Decimal:
        return AMOUNTS
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return st.sampled_from(annotation)
    if typing.get_origin(annotation) is tuple:
        return st.lists(values_of(typing.get_args(annotation)[0]), max_size=3).map(tuple)
    assert has(annotation), annotation
    return built(annotation)


@cache
def built(cls: Any) -> st.SearchStrategy[Any]:
    return st.builds(
        cls,
        **{
            a.name: TIMES if a.metadata.get("column") else values_of(a.type)
            for a in fields(cls)
            if a.init
        },
    )


def reference_form(value: Any) -> Any:
    """What the body must hold, said a second time and slowly."""
    if has(type(value)):
        return {
            a.name: reference_form(getattr(value, a.name))
            for a in fields(type(value))
            if not a.metadata.get("column") and getattr(value, a.name) is not None
        }
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, tuple):
        return [reference_form(each) for each in value]
    return value


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_event_is_canonical_json_and_comes_back(
    cls: type[Event], data: st.DataObject
) -> None:
    """Sorted keys, no spaces, decimals as plain text, nothing escaped that need not be."""
    event = data.draw(built(cls))

    body = encode(event)

    assert body == json.dumps(
        reference_form(event), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    again = decode(event.type, event.version, body, event.ts_event, event.ts_received)
    assert again == event
    assert type(again) is type(event)


def test_times_are_columns_and_not_in_the_body() -> None:
    assert "ts_" not in encode(a_cancel(ts_event=1, ts_received=2))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("10", "10"),
        ("1E+3", "1000"),
        ("1.50", "1.5"),
        ("-0", "0"),
        ("0.00", "0"),
        ("1E-9", "0.000000001"),
        ("-12.340", "-12.34"),
        ("-10", "-10"),
        ("123456789012345678901234567890.5", "123456789012345678901234567890.5"),
    ],
)
def test_one_amount_has_one_text(amount: str, text: str) -> None:
    """Two ways to write the same number would be two hashes."""
    assert f'"last_qty":"{text}"' in encode(a_fill(last_qty=Decimal(amount)))


@pytest.mark.parametrize("amount", [1.5, 4, "4", True])
def test_only_a_decimal_is_an_amount(amount: Any) -> None:
    with pytest.raises(TypeError, match="last_qty"):
        encode(a_fill(last_qty=amount))


@pytest.mark.parametrize("amount", ["NaN", "NaN7", "-Infinity", "sNaN", "1E+999999", "1E-999"])
def test_an_amount_is_finite_and_of_a_readable_length(amount: str) -> None:
    with pytest.raises(TypeError):
        encode(a_fill(last_qty=Decimal(amount)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": "BUY"},
        {"fill_no": 1.0},
        {"fill_no": True},
        {"trade_id": 7},
        {"flags": ["GAP"]},
        {"replaces": []},
        {"order_qty": 1.0},
        {"trade_id": None},
    ],
    ids=str,
)
def test_a_field_of_another_kind_is_not_stored(wrong: dict[str, Any]) -> None:
    """What cannot be read back must not get into the file."""
    with pytest.raises((TypeError, AttributeError)):
        encode(a_fill(**wrong))


@pytest.mark.parametrize(
    "change",
    [
        ('{"account_id"', '{"aa":1,"account_id"'),
        ('"fill_no":1', '"fill_no":1.5'),
        ('"fill_no":1', '"fill_no":"1"'),
        ('"last_qty":"4"', '"last_qty":4'),
        ('"last_qty":"4"', '"last_qty":"4.0"'),
        ('"last_qty":"4"', '"last_qty":"1E+999999999"'),
        ('"last_qty":"4"', '"last_qty":"-0"'),
        ('"last_qty":"4"', f'"last_qty":"{"9" * 900}"'),
        ('"side":"BUY"', '"side":"HOLD"'),
        ('"flags":[],', ""),
        ('"flags":[]', '"flags":[1]'),
        ("{", ""),
    ],
    ids=lambda change: change[1][:30],
)
def test_a_body_in_another_form_is_refused_and_named(change: tuple[str, str]) -> None:
    body = encode(a_fill())
    assert change[0] in body

    with pytest.raises(BadValue, match=r"seq 7: order\.filled version 2"):
        decode("order.filled", 2, body.replace(*change, 1), seq=7)


def test_an_unknown_type_or_newer_version_is_its_own_error() -> None:
    with pytest.raises(UnknownEventVersion, match=r"seq 9: event order\.filled version 99"):
        decode("order.filled", 99, "{}", seq=9)
    with pytest.raises(UnknownEventVersion):
        decode("order.dreamt", 1, "{}")


def test_half_a_surrogate_pair_is_refused_before_anything_is_written() -> None:
    """JSON can escape one, UTF-8 cannot hold it, and the chain hashes UTF-8."""
    with pytest.raises(BadValue, match="half a surrogate pair"):
        utf8(encode(a_note("good \ud800 bad")))
    with open_fixed(":memory:") as log:
        for field in ("client_order_id", "venue_order_id", "correlation", "idempotency_key"):
            with pytest.raises(BadValue, match="surrogate"):
                log.append([draft(**{field: "\udfff"})])
        assert log.head().seq == 1


def version_1() -> OrderFilledV1:
    fill = a_fill()
    told = {a.name: getattr(fill, a.name) for a in fields(OrderFilledV1)}
    return OrderFilledV1(**told)


def test_the_first_version_of_a_fill_reads_as_the_second() -> None:
    new = upcast(version_1())

    assert new == a_fill(exec_id="T-1", liquidity=None, last_mkt=None)
    assert isinstance(new, OrderFilled)


def test_an_execution_id_that_was_told_stays() -> None:
    assert upcast(evolve(version_1(), exec_id="E-9")) == a_fill(exec_id="E-9")


def test_every_older_version_has_a_way_up() -> None:
    newest: dict[str, int] = {}
    for type_, version in EVENT_TYPES:
        newest[type_] = max(version, newest.get(type_, 0))
    older = {key for key in EVENT_TYPES if key[1] < newest[key[0]]}
    assert older, "the mechanism is tested on at least one"
    assert set(UPCASTERS) == older


def test_a_record_reads_in_its_newest_version_and_stays_as_stored() -> None:
    with open_fixed(":memory:") as log:
        log.append([draft(version_1(), None)])
        (record,) = log.records(after=1)
        assert record.type_version == 1
        assert record.event == a_fill(exec_id="T-1")
        assert "liquidity" not in record.body

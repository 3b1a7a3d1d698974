"""The ids of our orders: what each form holds, that it comes back, and that none comes twice."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fillbook.core.client_ids import FORMS, ClientId, client_order_id, parse
from fillbook.errors import BadValue

RUN, HEAD = 0x9F86D081, bytes.fromhex("4e07ad") + bytes(29)
SHAPES = {
    "TEXT": r"[A-Za-z0-9_-]{1,36}",
    "UUID": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "INTEGER": r"[1-9][0-9]{0,17}",
    "SHORT": r"[A-Za-z0-9_-]{1,12}",
}

forms = st.sampled_from(sorted(FORMS))
runs = st.integers(0, 2**32 - 1)
heads = st.binary(min_size=32, max_size=32)
seqs = st.one_of(st.integers(1, 1000), st.integers(1, 36**5 - 1))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("TEXT", "9f86d081-2s-4e07ad"),
        ("UUID", "9f86d081-4e07-8ad0-8000-000000000064"),
        ("INTEGER", "267641254500000100"),
        ("SHORT", "189gt4x0002s"),
    ],
)
def test_the_forms(form: str, expected: str):
    """They are in ledgers and at brokers: a form never changes."""
    assert client_order_id(form, RUN, 100, HEAD) == expected


@given(forms, runs, seqs, heads)
def test_an_id_fits_its_form_and_comes_back(form: str, run: int, seq: int, head: bytes):
    text = client_order_id(form, run, seq, head)

    carried = head[:3] if form in ("TEXT", "UUID") else b""
    assert re.fullmatch(SHAPES[form], text)
    assert parse(form, text) == ClientId(run, seq, carried)


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize("run", [0, 2**32 - 1])
def test_the_ends_of_the_range_fit(form: str, run: int):
    for seq in (1, FORMS[form] - 1):
        text = client_order_id(form, run, seq, b"\xff" * 32)
        found = parse(form, text)
        assert re.fullmatch(SHAPES[form], text)
        assert found is not None
        assert (found.run, found.seq) == (run, seq)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_number_too_large_is_refused(form: str):
    """Cut off it would be the id of another order."""
    with pytest.raises(BadValue, match=form):
        client_order_id(form, RUN, FORMS[form], HEAD)


@given(forms, st.tuples(runs, seqs), st.tuples(runs, seqs), heads)
def test_another_run_or_number_is_another_id(
    form: str, one: tuple[int, int], other: tuple[int, int], head: bytes
):
    ids = {client_order_id(form, *each, head) for each in (one, other)}

    assert len(ids) == len({one, other})


@pytest.mark.parametrize("form", sorted(FORMS))
def test_neighbors_do_not_collide(form: str):
    """Where the parts meet, a carry or a missing zero would make two orders one."""
    runs_here = [0, 1, 2, 35, 36, 36**6 - 1, 36**6, 2**31, 2**32 - 1]
    seqs_here = [*range(1, 40), 36**4 - 1, 36**4, 36**5 - 1]
    ids = {client_order_id(form, run, seq, HEAD) for run in runs_here for seq in seqs_here}

    assert len(ids) == len(runs_here) * len(seqs_here)
    assert len({text.upper() for text in ids}) == len(ids)  # for a venue that has no small letters


@given(runs, st.integers(1, 2**62 - 1), heads)
def test_the_uuid_is_one(run: int, seq: int, head: bytes):
    made = uuid.UUID(client_order_id("UUID", run, seq, head))

    assert made.version == 8
    assert made.variant == uuid.RFC_4122


@given(forms, st.text(alphabet="0123456789abcdefz-", max_size=37))
def test_what_is_read_is_what_we_would_write(form: str, text: str):
    """Two writings of one id would be two ids to a broker."""
    found = parse(form, text)

    if found is not None:
        assert client_order_id(form, found.run, found.seq, found.head or HEAD) == text


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("TEXT", ""), ("TEXT", "R-1"), ("TEXT", "9f86d081-02s-4e07ad"),
        ("TEXT", "9f86d081-0-4e07ad"), ("TEXT", "9F86D081-2s-4e07ad"),
        ("TEXT", "9f86d081-2s-4e07ad\n"), ("TEXT", "9f86d081-zzzzzzzzzzzzz-4e07ad"),
        ("UUID", "9f86d081-4e07-4ad0-8000-000000000064"),
        ("UUID", "9f86d081-4e07-8ad1-8000-000000000064"),
        ("UUID", "9f86d081-4e07-8ad0-c000-000000000064"),
        ("UUID", "9f86d081-4e07-8ad0-8000-000000000000"),
        ("INTEGER", "067641254500000100"), ("INTEGER", "-1"), ("INTEGER", "100000000"),
        ("INTEGER", "999999999999999999"), ("INTEGER", "١"),
        ("SHORT", "189gt4x0000"), ("SHORT", "189gt4x00000"), ("SHORT", "zzzzzzz0002s"),
    ],
)  # fmt: skip
def test_what_we_would_not_make_is_not_ours(form: str, text: str):
    assert parse(form, text) is None

"""Make the ids that our orders go by, in the form that a broker takes, and read them again.

An id carries the run that made it (random bits, drawn when the robot starts), a sequence number
that the ledger never gives twice, and where there is room the first bytes of the chain's head.  A
ledger that was rolled back repeats its numbers; the run then keeps its ids from repeating, and the
head tells from the broker's own records which history an order was sent from.

| form    | length | looks like                           | run     | seq below | head    |
|---------|--------|--------------------------------------|---------|-----------|---------|
| TEXT    | <= 29  | 9f86d081-2s-4e07ad                   | 32 bits | 2**63     | 24 bits |
| UUID    | 36     | 9f86d081-4e07-8ad0-8000-000000000064 | 32 bits | 2**62     | 24 bits |
| INTEGER | <= 18  | 267641254500000100                   | 32 bits | 10**8     | none    |
| SHORT   | 12     | 189gt4x0002s                         | 32 bits | 36**5     | none    |

TEXT is run in hexadecimal, seq in base 36, head in hexadecimal.  UUID is version 8 (RFC 9562,
section 5.8): run, head, a zero, and seq in the 62 bits after the variant.  INTEGER is run * 10**8 +
seq.  SHORT is run in seven and seq in five digits of base 36.  No form needs the case of a letter.
Within a form, another run or another seq is always another id, whatever the head.
"""

import re

from attrs import frozen

from fillbook.errors import BadValue

__all__ = ["FORMS", "HEAD_BYTES", "RUN_BITS", "ClientId", "client_order_id", "is_of_form", "parse"]

RUN_BITS = 32
HEAD_BYTES = 3

FORMS = {"TEXT": 1 << 63, "UUID": 1 << 62, "INTEGER": 10**8, "SHORT": 36**5}
"""Each form with the first sequence number that it has no room for."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TEXT = re.compile(r"([0-9a-f]{8})-([0-9a-z]{1,13})-([0-9a-f]{6})", re.ASCII)
_UUID = re.compile(
    r"([0-9a-f]{8})-([0-9a-f]{4})-8([0-9a-f]{2})0-([89ab][0-9a-f]{3})-([0-9a-f]{12})", re.ASCII
)
_INTEGER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_SHORT = re.compile(r"([0-9a-z]{7})([0-9a-z]{5})", re.ASCII)
_VARIANT = 0b10 << 62

_TAKEN = {
    "TEXT": re.compile(r"[A-Za-z0-9_-]{1,36}", re.ASCII),
    "UUID": re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII),
    "INTEGER": re.compile(r"[0-9]{1,18}", re.ASCII),
    "SHORT": re.compile(r"[A-Za-z0-9_-]{1,12}", re.ASCII),
}
"""What a broker that takes ids of a form takes, ours and those that a robot's author makes."""


@frozen
class ClientId:
    """What an id of ours says.

    Attributes:
        run: The random bits of the run that made it.
        seq: Its number in the ledger, from 1.
        head: The first bytes of the chain's head; empty in a form without room.
    """

    run: int
    seq: int
    head: bytes


def is_of_form(form: str, text: str) -> bool:
    """Tell whether a broker that takes ids of *form* takes *text*, whole and unchanged."""
    return _TAKEN[form].fullmatch(text) is not None


def client_order_id(form: str, run: int, seq: int, head: bytes) -> str:
    """Return the id in *form*; *head* is the chain's head, of which the first bytes are taken.

    Raises `BadValue` where the form has no room for *seq*.
    """
    assert 0 <= run < 1 << RUN_BITS, f"run {run} has not {RUN_BITS} bits"
    assert seq > 0, f"seq {seq}: numbers begin with 1"
    assert len(head) >= HEAD_BYTES, f"a head of {len(head)} bytes"
    if seq >= FORMS[form]:
        raise BadValue("seq", f"{seq} has no room in a client order id of the form {form}")
    witness = head[:HEAD_BYTES].hex()
    if form == "TEXT":
        return f"{run:08x}-{_base36(seq)}-{witness}"
    if form == "UUID":
        tail = f"{_VARIANT | seq:016x}"
        return f"{run:08x}-{witness[:4]}-8{witness[4:]}0-{tail[:4]}-{tail[4:]}"
    if form == "INTEGER":
        return str(run * FORMS["INTEGER"] + seq)
    return f"{_base36(run):0>7}{_base36(seq):0>5}"


def parse(form: str, text: str) -> ClientId | None:
    """Return what *text* says as an id of *form*; None where it is none that we would make.

    Somebody else's id may look like one of ours, a number above all: the run tells.
    """
    if form == "TEXT":
        found = _from_text(text)
    elif form == "UUID":
        found = _from_uuid(text)
    elif form == "INTEGER":
        found = _from_integer(text)
    else:
        found = _from_short(text)
    if found is None or not 0 < found.seq < FORMS[form] or found.run >> RUN_BITS:
        return None
    return found


def _from_text(text: str) -> ClientId | None:
    match = _TEXT.fullmatch(text)
    if match is None or match[2].startswith("0"):  # a number has one writing
        return None
    return ClientId(int(match[1], 16), int(match[2], 36), bytes.fromhex(match[3]))


def _from_uuid(text: str) -> ClientId | None:
    match = _UUID.fullmatch(text)
    if match is None:
        return None
    seq = int(match[4] + match[5], 16) ^ _VARIANT
    return ClientId(int(match[1], 16), seq, bytes.fromhex(match[2] + match[3]))


def _from_integer(text: str) -> ClientId | None:
    match = _INTEGER.fullmatch(text)
    return None if match is None else ClientId(*divmod(int(text), FORMS["INTEGER"]), b"")


def _from_short(text: str) -> ClientId | None:
    match = _SHORT.fullmatch(text)
    return None if match is None else ClientId(int(match[1], 36), int(match[2], 36), b"")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"

"""Find the FIX messages on a line of a log, check that each is whole, and take it apart.

A log may show SOH as itself, as `|` or `;`, or as the characters `^A` or `<SOH>`; which one, each
message says right after its first field, `8=FIX…`.  What stands before that is the log's prefix.
BodyLength and CheckSum are verified as if the separators were SOH.

BodyLength leads, so that a text that quotes `8=FIX` or `10=` does not cut its message in two.  Only
where it is wrong do we look for the next `10=`, and believe a new message to begin at the next
`8=FIX`.

Source: FIX 4.2, FIX 4.4 volume 1 and FIXT 1.1, "message format": BeginString (8), BodyLength (9),
CheckSum (10), fields of type data.
"""

import re
from typing import NamedTuple
from zlib import adler32

from fillbook.brokers.bounds import shown
from fillbook.brokers.fix.tables import DATA_LENGTHS
from fillbook.errors import BadValue

__all__ = ["BEGIN", "Frame", "begin_of", "frame_at"]

BEGIN = b"8=FIX"

_SOH = b"\x01"
_HEAD = re.compile(rb"8=(FIXT?\.\d\.\d(?:SP\d)?)(\x01|\||;|\^A|<SOH>)(?:9=(\d{1,9})\2)?")
_WHOLE_HEAD = re.compile(rb"8=FIXT?\.\d\.\d(?:SP\d)?(\x01|\||;|\^A|<SOH>)9=\d{1,9}\1")
_TRAILER = re.compile(rb"([\x01|;])10=(\d{3})(?!=FIX)")  # that 8 begins the next message
_ANY_TRAILER = {
    separator: re.compile(re.escape(separator) + rb"10=(\d{0,9})")
    for separator in (_SOH, b"|", b";")
}
_TYPE = re.compile(rb"\x0135=([^\x01]{1,16})\x01")
_LITERAL = re.compile(rb"\x01(?!\d+=|\Z)")
_NOT_MARKS = bytes(byte for byte in range(256) if byte not in b"=\x01")
_LENGTH_TAGS = frozenset(DATA_LENGTHS.values())
_THREE_DIGITS = [b"%03d" % number for number in range(256)]
_HEADER_BYTES = 128
_LARGE = 1 << 20
"""Longer messages are verified but not taken apart: a list of all securities, not an order."""


class Frame(NamedTuple):
    """One message on a line.

    Attributes:
        raw: Its own bytes, without the log's prefix.
        version: BeginString; empty where it cannot be read.
        fields: Value by tag, the first where a tag is repeated; at least `35` where that is there.
        doubt: What is wrong with its length or checksum; the fields are there all the same.
        fault: Why the other fields of a whole message cannot be read.
        problem: Why it is no whole message at all.
    """

    raw: bytes
    version: str
    fields: dict[str, str]
    doubt: str | None = None
    fault: str | None = None
    problem: str | None = None


def begin_of(line: bytes, start: int) -> int:
    """Return where the next message begins at or behind *start*, or -1.

    Behind a digit the 8 is the end of another tag, 148=FIX…, unless a whole header follows: that
    is a message written behind one that was cut.
    """
    at = line.find(BEGIN, start)
    while at > start and line[at - 1 : at].isdigit() and not _WHOLE_HEAD.match(line, at):
        at = line.find(BEGIN, at + 1)
    return at


def frame_at(line: bytes, at: int) -> tuple[Frame, int]:
    """Return the message that begins at *at*, and where it ends."""
    head = _HEAD.match(line, at)
    if head is None:
        end = _limit(line, at)
        found = line[at + 2 : min(end, at + 18)].decode("latin-1")
        problem = f"BeginString (8): found {shown(found)}, expected a FIX version and SOH, | or ;"
        return Frame(line[at:end], "", {}, problem=problem), end
    version, separator, length = head.groups()
    if len(separator) > 1:
        return _spelled_out(line, at, separator)
    body = head.end()
    doubt = None
    trailer = _TRAILER.match(line, body + int(length) - 1) if length else None
    if trailer is not None and trailer[1] == separator:
        end = trailer.start() + 1
        checksum = trailer[2]
    else:
        trailer = _ANY_TRAILER[separator].search(line, body - 1, _limit(line, at))
        if trailer is None:
            end = _limit(line, at)
            problem = "truncated: the message ends before CheckSum (10)"
            told = _type_only(line[at:end], separator)
            return Frame(line[at:end], version.decode(), told, problem=problem), end
        end = trailer.start() + 1
        checksum = trailer[1]
        if length is None:
            doubt = f"BodyLength (9): missing, the body has {end - body} bytes"
        elif int(length) != end - body:
            doubt = f"BodyLength (9): found {int(length)}, the body has {end - body} bytes"
    text = line[at:end] if separator == _SOH else _with_soh(line[at:end], separator)
    if doubt is None:
        expected = _sum(text) & 0xFF
        if checksum != _THREE_DIGITS[expected]:
            found = checksum.decode()
            doubt = f"CheckSum (10): found {found or 'nothing'}, the bytes sum to {expected:03}"
    end = trailer.end()
    if line[end : end + 1] == separator:
        end += 1
    fields, fault = _fields(text)
    return Frame(line[at:end], version.decode(), fields, doubt, fault), end


def _spelled_out(line: bytes, at: int, separator: bytes) -> tuple[Frame, int]:
    """Read a message whose separator is spelled in several characters."""
    limit = _limit(line, at)
    text = _with_soh(line[at:limit], separator)
    frame, end = frame_at(text, 0)
    end = min(at + end + text.count(_SOH, 0, end) * (len(separator) - 1), limit)
    return frame._replace(raw=line[at:end]), end


def _limit(line: bytes, at: int) -> int:
    """Return where the next message begins behind *at*, or the line ends."""
    end = begin_of(line, at + len(BEGIN))
    return end if end >= 0 else len(line)


def _with_soh(text: bytes, separator: bytes) -> bytes:
    """Return *text* with SOH for *separator*, except where no field follows: that one is text."""
    text = text.replace(separator, _SOH)
    if len(text) <= _LARGE and _LITERAL.search(text):
        first = text.find(_SOH) + 1
        return text[:first] + _LITERAL.sub(separator, text[first:])
    return text


def _sum(text: bytes) -> int:
    """Return the sum of the bytes.

    The low half of Adler-32 is 1 + that sum, modulo 65521, which 256 bytes cannot reach.
    """
    total = 0
    for start in range(0, len(text), 256):
        total += (adler32(text[start : start + 256]) & 0xFFFF) - 1
    return total


def _fields(text: bytes) -> tuple[dict[str, str], str | None]:
    """Return the fields of a text that ends with SOH, or only its type, and why."""
    if len(text) > _LARGE:
        fault = f"too large: {len(text)} bytes, at most {_LARGE} are taken apart"
        return _type_only(text, _SOH), fault
    marks = text.translate(None, _NOT_MARKS)
    if marks == b"=\x01" * (len(marks) // 2):
        parts = _decoded(text).replace("=", "\x01").split("\x01")
        # From the back, so that the first of two equal tags is put in last and stays.
        fields = dict(zip(parts[-3::-2], parts[-2::-2], strict=True))
        if _LENGTH_TAGS.isdisjoint(fields):
            return fields, None
    try:
        return _fields_each(text), None
    except BadValue as bad:
        return _type_only(text, _SOH), bad.problem


def _fields_each(text: bytes) -> dict[str, str]:
    """Return the fields where a value may hold `=`, or is data that may hold SOH.

    Data is as long as its length field says if a separator follows there, else it ends at the next
    separator: some engines count characters.
    """
    fields: dict[str, str] = {}
    at, size = 0, len(text)
    while at < size:
        end = text.find(_SOH, at)
        end = size if end < 0 else end
        if end == at:  # two separators in a row
            at += 1
            continue
        equals = text.find(b"=", at, end)
        if equals < 0:
            raise BadValue("", f"malformed: {shown(_decoded(text[at:end]))} is not tag=value")
        tag = _decoded(text[at:equals])
        length = fields.get(DATA_LENGTHS.get(tag, ""), "")
        if length and length.isascii() and length.isdigit() and len(length) < 10:
            data_end = equals + 1 + int(length)
            if text[data_end : data_end + 1] == _SOH:
                end = data_end
        fields.setdefault(tag, _decoded(text[equals + 1 : end]))
        at = end + 1
    return fields


def _type_only(text: bytes, separator: bytes) -> dict[str, str]:
    """Return MsgType (35), the third field, of a message that cannot be taken apart."""
    found = _TYPE.search(text[:_HEADER_BYTES].replace(separator, _SOH))
    return {"35": _decoded(found[1])} if found is not None else {}


def _decoded(text: bytes) -> str:
    """Return *text* as UTF-8, or where it is not, byte for byte as Latin-1."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")

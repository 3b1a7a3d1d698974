"""Turn events into the canonical JSON that is stored and hashed, and back.

An encoder and a decoder are generated per class the first time it is met, because a general one
costs several times as much.  Only what an event's annotations can say is known here: text,
integers, booleans, decimals, the closed enums, tuples of text and tuples of nested values; another
kind of field is a `TypeError` when its class is first met.  The form: keys sorted, no spaces,
decimals as plain text, None left out.  Decoding takes no key and no decimal in another form.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_args, get_origin

from attrs import Attribute, fields, has

from fillbook.core.event_types import EVENT_TYPES
from fillbook.core.events import Event
from fillbook.core.exact import plain
from fillbook.errors import BadValue, UnknownEventVersion
from fillbook.log.upcast import upcast

if TYPE_CHECKING:
    import msgspec

    from fillbook.log.port import Record

__all__ = ["decode", "decode_record", "encode"]

_MAX_CHARS = 800
"""Longest decimal in a body: products of what `exact.decimal_of` lets in stay below it."""

_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]*[1-9])?")


def encode(event: Event) -> str:
    """Return the body of *event*; `TypeError` where a field is not of its declared kind."""
    cls = event.__class__
    encoder = _ENCODERS.get(cls)
    if encoder is None:
        encoder = _ENCODERS[cls] = _make_encoder(cls)
    return encoder(event)


def decode(
    type_: str,
    version: int,
    body: str,
    ts_event: int | None = None,
    ts_received: int | None = None,
    seq: int = 0,
) -> Event:
    """Return the event that *body* holds, in the version it was stored in.

    Raises `UnknownEventVersion` for a type or version this program does not know, `BadValue` for
    a body that is not what they demand; *seq* is only named in the message.
    """
    decoder = _DECODERS.get((type_, version))
    if decoder is None:
        cls = EVENT_TYPES.get((type_, version))
        if cls is None:
            raise UnknownEventVersion(seq, type_, version)
        decoder = _DECODERS[type_, version] = _make_decoder(cls)
    try:
        return decoder(body, ts_event, ts_received)
    except ValueError as exc:
        raise BadValue(f"seq {seq}", f"{type_} version {version}: {exc}") from exc


def decode_record(record: "Record") -> Event:
    """Return the event of *record* in its newest version."""
    return upcast(
        decode(
            record.type,
            record.type_version,
            record.body,
            record.ts_event,
            record.ts_received,
            record.seq,
        )
    )


# ---- which kinds of fields there are


class _Kind(NamedTuple):
    """What a field holds: `name` is a key of `_TEXT_OF_KIND`."""

    name: str
    of: type[Any]
    is_optional: bool


def _body_fields(cls: type[Any]) -> list[tuple[str, _Kind, bool]]:
    """Return (name, kind, may be left out) of each field in the body, in the order of the keys."""
    found = []
    for attribute in sorted(fields(cls), key=lambda a: a.name):
        if attribute.metadata.get("column"):
            continue
        kind = _kind(cls, attribute)
        found.append((attribute.name, kind, kind.is_optional))
    return found


def _kind(cls: type[Any], attribute: "Attribute[Any]") -> _Kind:
    annotation: Any = attribute.type
    is_optional = False
    if isinstance(annotation, UnionType):
        inner = [one for one in get_args(annotation) if one is not NoneType]
        is_optional = len(inner) < len(get_args(annotation))
        annotation = inner[0] if len(inner) == 1 else annotation
    if annotation in (str, int, bool):
        return _Kind(annotation.__name__, annotation, is_optional)
    if annotation is Decimal:
        return _Kind("amount", Decimal, is_optional)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return _Kind("enum", annotation, is_optional)
    if get_origin(annotation) is tuple and get_args(annotation)[1:] == (...,):
        item = get_args(annotation)[0]
        if item is str:
            return _Kind("texts", str, is_optional)
        if has(item):
            return _Kind("nested", item, is_optional)
    raise TypeError(f"{cls.__name__}.{attribute.name}: the log cannot store a {annotation}")


# ---- encoding

_ENCODERS: dict[type[Any], Callable[[Any], str]] = {}


def _amount(value: Decimal) -> str:
    if not value.is_finite() or abs(value.adjusted()) > _MAX_CHARS // 2:
        raise TypeError(f"{value!r} is no amount that could be read back")
    return plain(value)


def _texts(values: tuple[str, ...]) -> str:
    return "[" + ",".join([encode_basestring(value) for value in values]) + "]"


def _nested(values: tuple[Any, ...], encoder: Callable[[Any], str]) -> str:
    return "[" + ",".join([encoder(value) for value in values]) + "]"


def _refuse(name: str, value: object) -> NoReturn:
    raise TypeError(f"{name}: {value!r} is a {type(value).__name__}, which the log does not store")


_TEXT_OF_KIND = {
    "str": ("str", "{text($)}"),
    "int": ("int", "{$}"),
    "bool": ("bool", "{'true' if $ else 'false'}"),
    "amount": ("Decimal", '"{$}"'),
    "enum": ("of_{name}", '"{$._value_}"'),
    "texts": ("tuple", "{'[]' if $ == () else texts($)}"),
    "nested": ("tuple", "{'[]' if $ == () else nested($, of_{name})}"),
}
"""Of each kind: the class that a value must have, exactly, and the text as part of an f-string.

``$`` is the variable that holds the value, of an amount its plain text.
"""


def _make_encoder(cls: type[Any]) -> Callable[[Any], str]:
    """Generate ``encode(e)``: one f-string, with each field checked and written before it."""
    namespace: dict[str, Any] = {
        "Decimal": Decimal,
        "amount": _amount,
        "nested": _nested,
        "refuse": _refuse,
        "text": encode_basestring,
        "texts": _texts,
    }
    lines, template = [], ""
    seen_required = False
    for name, kind, may_be_left_out in _body_fields(cls):
        namespace[f"of_{name}"] = _make_encoder(kind.of) if kind.name == "nested" else kind.of
        of, text = (part.replace("{name}", name) for part in _TEXT_OF_KIND[kind.name])
        lines.append(f"v = e.{name}")
        ready, held = [], "v"
        if kind.name == "amount":
            # Most are in plain form already, and to ask a cache would mean to hash a Decimal.
            ready = [
                "t = str(v)",
                "if not t.isdigit() and (t[-1] not in '123456789' or 'E' in t or 'N' in t):",
                "    t = amount(v)",
            ]
            held = "t"
        # Until the first key that is always there the comma follows, from then on it leads.
        if may_be_left_out:
            text = text.replace("$", held)
            pair = f',"{name}":{text}' if seen_required else f'"{name}":{text},'
            lines.append(f"if v is None: f_{name} = ''")
            lines.append(f"elif v.__class__ is {of}:")
            lines += [f"    {line}" for line in (*ready, f"f_{name} = f'''{pair}'''")]
            lines.append(f"else: refuse('{name}', v)")
            template += f"{{f_{name}}}"
        else:
            lines.append(f"if v.__class__ is not {of}: refuse('{name}', v)")
            lines += [*ready, f"f_{name} = {held}"]
            text = text.replace("$", f"f_{name}")  # in its place: no string made between
            template += f'{"," if seen_required else ""}"{name}":{text}'
            seen_required = True
    if not seen_required:
        raise TypeError(f"{cls.__name__}: no field is always there")
    lines.append(f"return f'''{{{{{template}}}}}'''")
    exec("def encode(e):\n    " + "\n    ".join(lines), namespace)
    made: Callable[[Any], str] = namespace["encode"]
    return made


# ---- decoding

_DECODERS: dict[tuple[str, int], Callable[[str, int | None, int | None], Event]] = {}


@lru_cache(maxsize=1 << 14)
def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_CHARS or not _CANONICAL.fullmatch(text) or text == "-0":
        raise ValueError(f"{text[:40]!r} is not a decimal in canonical form")
    return Decimal(text)


def _make_decoder(cls: type[Any]) -> Callable[[str, int | None, int | None], Event]:
    """Return a function from body and the two columns to the event; it raises `ValueError`."""
    import msgspec  # a writer decodes nothing, and this costs a third of its start

    shape, build = _make_shape(cls)
    parse = msgspec.json.Decoder(shape).decode
    decode_error = msgspec.DecodeError

    def decode_one(body: str, ts_event: int | None, ts_received: int | None) -> Event:
        try:
            parsed = parse(body)
        except decode_error as exc:
            raise ValueError(str(exc)) from exc
        event: Event = build(parsed, {"ts_event": ts_event, "ts_received": ts_received})
        return event

    return decode_one


def _make_shape(cls: type[Any]) -> "tuple[type[msgspec.Struct], Callable[..., Any]]":
    """Return a struct that takes exactly the keys of *cls*, and what turns it into one."""
    import msgspec

    required: list[tuple[str, Any]] = []
    optional: list[tuple[str, Any, Any]] = []
    namespace: dict[str, Any] = {"amount": _decimal, "cls": cls}
    arguments = []
    for name, kind, may_be_left_out in _body_fields(cls):
        annotation: Any = kind.of
        argument = f"s.{name}"
        if kind.name == "amount":
            annotation = str
            argument = f"amount(s.{name})"
        elif kind.name == "texts":
            annotation = tuple[str, ...]
        elif kind.name == "nested":
            inner, build_inner = _make_shape(kind.of)
            annotation = tuple[inner, ...]  # type: ignore[valid-type]
            namespace[f"of_{name}"] = build_inner
            argument = f"tuple([of_{name}(one, {{}}) for one in s.{name}])"
        if may_be_left_out:
            optional.append((name, annotation | None, None))
            argument = f"None if s.{name} is None else {argument}"
        else:
            required.append((name, annotation))
        arguments.append(f"{name}={argument}")
    shape = msgspec.defstruct(
        cls.__name__, [*required, *optional], forbid_unknown_fields=True, kw_only=True, gc=False
    )
    exec(f"def build(s, columns): return cls({', '.join(arguments)}, **columns)", namespace)
    return shape, namespace["build"]

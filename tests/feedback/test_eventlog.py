"""Every event is a log line, without secrets, and costs nothing where nobody listens."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.running import day, fill, jsonl, order
from fillbook.feedback import eventlog
from fillbook.feedback.eventlog import EVENTS, JsonLines, TextLines, redacted
from fillbook.wiring import import_file, open_reader


@pytest.fixture
def shown() -> Iterator[tuple[io.StringIO, logging.Handler]]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handlers, level = EVENTS.handlers, EVENTS.level
    EVENTS.handlers = [handler]
    EVENTS.setLevel(logging.INFO)
    yield stream, handler
    EVENTS.handlers = handlers
    EVENTS.setLevel(level)


def taken(tmp_path: Path, rows: bytes) -> list[tuple[int, str]]:
    """Import *rows* and return what the ledger took, but for its own notes of itself."""
    file, ledger = tmp_path / "day.jsonl", str(tmp_path / "day.ledger")
    file.write_bytes(rows)
    import_file(str(file), ledger)
    with open_reader(ledger) as reader:
        return [
            (each.seq, each.type)
            for each in reader.records()
            if each.type not in ("ledger.created", "import.progressed")
        ]


def test_every_event_is_one_json_line(tmp_path: Path, shown: tuple[io.StringIO, logging.Handler]):
    stream, handler = shown
    handler.setFormatter(JsonLines())

    events = taken(tmp_path, jsonl(day()) + b"not json\n")

    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["seq"], line["type"]) for line in lines] == events
    assert {line["level"] for line in lines if line["type"] == "message.set_aside"} == {"WARNING"}
    assert lines[0]["correlation"] == "day.jsonl:1"
    assert lines[1]["event"]["client_order_id"] == "R-1"


def test_every_event_is_one_line_of_text(
    tmp_path: Path, shown: tuple[io.StringIO, logging.Handler]
):
    stream, handler = shown
    handler.setFormatter(TextLines())

    events = taken(tmp_path, jsonl(day()))

    lines = stream.getvalue().splitlines()
    assert [line.split()[1:3] for line in lines] == [[str(seq), kind] for seq, kind in events]
    assert "R-1 FILLED" in stream.getvalue()


def test_nothing_is_formatted_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def never(*_: object, **__: object) -> None:
        raise AssertionError("somebody made a line")

    monkeypatch.setattr(eventlog, "redacted", never)
    monkeypatch.setattr(JsonLines, "format", never)
    monkeypatch.setattr(EVENTS, "makeRecord", never)

    assert len(taken(tmp_path, jsonl(day()))) == 7


@pytest.mark.parametrize(
    "leak",
    [
        "api_key=hunter2hunter2",
        "apikey: hunter2hunter2",
        'API-KEY "hunter2hunter2"',
        "password=hunter2hunter2",
        "passwd hunter2hunter2",
        "passphrase: hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        "bearer hunter2hunter2",
        "secret=hunter2hunter2&side=BUY",
        "api_secret='hunter2hunter2'",
        "access_token=hunter2hunter2",
        "signature=hunter2hunter2",
        '{"token": "hunter2hunter2"}',
    ],
)
def test_secrets_are_redacted(leak: str):
    assert "hunter2" not in redacted(leak)
    assert "hunter2" not in redacted(json.dumps({"text": leak})), "as a venue's text in a line"
    json.loads(redacted(json.dumps({"text": leak})))


def test_what_is_no_secret_stays():
    for text in ("order R-1 FILLED at 275.4", "insufficient margin", "unknown instrument SBER"):
        assert redacted(text) == text


def test_secrets_in_a_venues_text_stay_out_of_the_log(
    tmp_path: Path, shown: tuple[io.StringIO, logging.Handler]
):
    stream, handler = shown
    handler.setFormatter(JsonLines())
    rows = [order(), fill("T-1", "4", "4", text='bad "api_key": "hunter2hunter2" given')]

    taken(tmp_path, jsonl(rows) + b'{"kind": "token=hunter2hunter2"}\n')

    assert "hunter2" not in stream.getvalue()
    for line in stream.getvalue().splitlines():
        json.loads(line)

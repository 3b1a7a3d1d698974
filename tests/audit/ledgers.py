"""Make ledgers worth auditing: all golden stories told as one day, under ids of their own."""

import json
from pathlib import Path

from ledger.playing import play, story_folders

_IDS = (
    "client_order_id", "orig_client_order_id", "venue_order_id", "trade_id", "exec_id",
    "exec_ref_id", "instrument_id",
)  # fmt: skip


def a_long_day(folder: Path) -> Path:
    """Return the ledger of every story in turn; each keeps to its own orders and instruments."""
    story = folder / "90-long-day"
    story.mkdir()
    lines = []
    for told in story_folders():
        for line in (told / "story.jsonl").read_text().splitlines() if _is_plain(told) else ():
            lines.append(_renamed(line, told.name[:2]))
    (story / "story.jsonl").write_text("\n".join(lines) + "\n")
    ledger = folder / "day.ledger"
    play(story, ledger)
    return ledger


def _is_plain(folder: Path) -> bool:
    return (folder / "story.jsonl").exists() and not (folder / "settings.json").exists()


def _renamed(line: str, mark: str) -> str:
    try:
        said = json.loads(line)
    except json.JSONDecodeError:
        return line
    for key in _IDS:
        if key in said:
            said[key] = f"{mark}/{said[key]}"
    return json.dumps(said)

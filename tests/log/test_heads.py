"""A missing tail is seen from outside the file, because it cannot be seen from inside."""

import shutil
from pathlib import Path

import pytest

from fillbook.errors import HeadBehindCheckpoint, LedgerDamaged
from fillbook.log.heads import HeadsFile, read_checkpoint
from fillbook.log.port import Head
from fillbook.log.reader import open_reader
from fillbook.log.sqlite import SqliteLog
from log.making import draft, open_fixed, ticking

SECOND = 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.ledger"


def cut(path: Path, at_seq: int = 4, then: int = 3) -> None:
    """Leave a ledger that ends at *at_seq*, and the heads file of a longer one."""
    with open_fixed(path) as log:
        log.append([draft() for _ in range(at_seq - 1)])
    shutil.copy(path, path.with_suffix(".older"))
    with SqliteLog.open(path) as log:
        log.append([draft() for _ in range(then)])
    shutil.copy(path.with_suffix(".older"), path)


def test_a_lost_tail_is_noticed_and_nothing_is_written(path: Path) -> None:
    cut(path)
    before = path.read_bytes()
    with pytest.raises(
        HeadBehindCheckpoint, match=r"ends at seq 4.*knows seq 7.*restore"
    ) as caught:
        SqliteLog.open(path)
    assert (caught.value.head_seq, caught.value.checkpoint_seq) == (4, 7)
    assert path.read_bytes() == before
    with open_reader(path) as reader:
        assert reader.head().seq == 4, "reading is always allowed"


def test_a_lost_tail_may_be_accepted_and_is_then_forgotten(path: Path) -> None:
    cut(path)
    with SqliteLog.open(path, on_tail_loss="accept") as log:
        assert any("seq 5 to 7 were lost" in warning for warning in log.warnings)
        assert log.append([draft()])[0].seq == 5
    with SqliteLog.open(path) as log:
        assert log.warnings == ()


def test_an_accepted_loss_is_remembered_even_where_the_next_run_is_killed(path: Path) -> None:
    """Its events take the seqs of what was lost: the old checkpoint would call them damage."""
    cut(path)
    log = SqliteLog.open(path, on_tail_loss="accept")
    log.append([draft() for _ in range(9)])
    shutil.copy(f"{path}.heads", path.with_name("heads.as.killed"))
    log.close()
    shutil.copy(path.with_name("heads.as.killed"), f"{path}.heads")
    with SqliteLog.open(path) as again:
        assert again.head().seq == 13


def test_at_relaxed_a_lost_tail_is_a_warning(path: Path) -> None:
    cut(path)
    with SqliteLog.open(path, durability="relaxed") as log:
        assert any("were lost" in warning for warning in log.warnings)
        assert log.head().seq == 4


def test_a_lost_file_is_a_lost_tail(path: Path) -> None:
    """A robot that finds an empty ledger would send everything again."""
    cut(path)
    path.unlink()
    with pytest.raises(HeadBehindCheckpoint, match="ends at seq 0"):
        SqliteLog.open(path)
    with SqliteLog.open(path, on_tail_loss="accept") as log:
        assert log.head().seq == 1
        assert any("a ledger that is gone" in warning for warning in log.warnings)
    with SqliteLog.open(path) as log:
        assert log.warnings == ()


def test_another_event_under_the_checkpoint_is_damage(path: Path) -> None:
    cut(path, then=3)
    with SqliteLog.open(path, on_tail_loss="accept") as log:
        log.append([draft() for _ in range(5)])
    heads = Path(f"{path}.heads")
    lines = [line for line in heads.read_text().splitlines() if '"seq":7,' in line]
    heads.write_text(lines[0] + "\n")
    for durability in ("strict", "relaxed"):
        with pytest.raises(LedgerDamaged, match="seq 7 is not the event"):
            SqliteLog.open(path, durability=durability)


def test_the_heads_of_another_ledger_are_not_believed(path: Path) -> None:
    cut(path)
    other = path.with_name("y.ledger")
    SqliteLog.open(other).close()
    shutil.copy(f"{path}.heads", f"{other}.heads")
    with pytest.raises(LedgerDamaged, match="is of another ledger"):
        SqliteLog.open(other)


def test_a_missing_heads_file_is_a_warning_and_made_anew(path: Path) -> None:
    with open_fixed(path) as log:
        log.append([draft()])
        assert log.warnings == ()
    Path(f"{path}.heads").unlink()
    with SqliteLog.open(path) as log:
        assert any("heads is missing" in warning for warning in log.warnings)
    with SqliteLog.open(path) as log:
        assert log.warnings == ()


@pytest.mark.parametrize(
    "end", [b'{"crc":"', b"\x00\xff\xfe", b'{"crc":"00000000","seq":9}\n', b"[]"]
)
def test_a_torn_line_at_the_end_is_passed_over(path: Path, end: bytes) -> None:
    with open_fixed(path) as log:
        log.append([draft()])
    with open(f"{path}.heads", "ab") as file:
        file.write(end)
    checkpoint, problem = read_checkpoint(str(path))
    assert checkpoint is not None
    assert (checkpoint.seq, problem) == (2, "")
    with SqliteLog.open(path) as log:
        log.append([draft()])
    checkpoint, _ = read_checkpoint(str(path))
    assert checkpoint is not None
    assert checkpoint.seq == 3, "the next line does not stick to the torn one"


def test_a_heads_file_without_a_whole_line_is_a_warning(path: Path) -> None:
    SqliteLog.open(path).close()
    Path(f"{path}.heads").write_bytes(b"garbage\n")
    with SqliteLog.open(path) as log:
        assert any("no whole checkpoint" in warning for warning in log.warnings)


def seqs_in(path: Path) -> list[int]:
    lines = Path(f"{path}.heads").read_text().split("\n")
    return [int(line.split('"seq":')[1].split(",")[0]) for line in lines if line]


def test_heads_are_written_every_so_many_events(path: Path) -> None:
    with open_fixed(path) as log:
        for _ in range(5):
            log.append([draft() for _ in range(400)])
        assert seqs_in(path) == [1, 1201]
        with log.batch() as batch:
            for _ in range(1000):
                batch.add(draft())
        assert seqs_in(path) == [1, 1201, 3001]
    assert seqs_in(path) == [1, 1201, 3001], "the clean stop had nothing to add"


def test_heads_are_written_every_so_often(path: Path) -> None:
    with open_fixed(path, mono=ticking(0, SECOND)) as log:
        for _ in range(9):
            log.append([draft()])
        assert len(seqs_in(path)) > 2
    assert seqs_in(path)[-1] == 10


@pytest.mark.parametrize("durability", ["strict", "relaxed", "bulk"])
def test_a_clean_stop_writes_the_head_down(path: Path, durability: str) -> None:
    with open_fixed(path, durability=durability) as log:
        log.append([draft()])
        head = log.head()
    checkpoint, _ = read_checkpoint(str(path))
    assert checkpoint is not None
    assert (checkpoint.seq, checkpoint.event_hash) == head


def test_in_bulk_no_head_is_written_down_before_the_end(path: Path) -> None:
    """Nothing is synced until then: a head in that file would be ahead of the ledger."""
    with open_fixed(path, durability="bulk", mono=ticking(10**12, SECOND)) as log:
        log.append([draft() for _ in range(3000)])
        log.append([draft()])
        assert not Path(f"{path}.heads").exists()
    assert seqs_in(path) == [3002]


def test_the_heads_file_does_not_grow_for_ever(path: Path) -> None:
    heads = HeadsFile(str(path), b"\1" * 16)
    for seq in range(1, 1000):
        heads.write(Head(seq, b"\2" * 32), 1, seq, seq)
        assert Path(f"{path}.heads").stat().st_size <= (1 << 16) + 500
    checkpoint, _ = read_checkpoint(str(path))
    assert checkpoint is not None
    assert checkpoint.seq == 999
    assert not Path(f"{path}.heads.new").exists()


def test_a_heads_file_that_cannot_be_written_is_a_warning(path: Path) -> None:
    """The event is in the ledger; only the second witness is missing."""
    with open_fixed(path) as log:
        Path(f"{path}.heads").unlink()
        Path(f"{path}.heads").mkdir()
        assert log.append([draft() for _ in range(1500)])[-1].seq == 1501
        assert any("heads could not be written" in warning for warning in log.warnings)
        assert log.append([draft()])[0].seq == 1502

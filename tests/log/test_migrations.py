"""The library and `sqlite-utils migrate` make the same file."""

import re
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

from fillbook._resources import ledger_path, migrations_path
from fillbook.log import schema, snapshot
from fillbook.log._sqlite import connect
from fillbook.log.chain import CHAIN_DOMAIN
from fillbook.log.columns import COLUMNS
from fillbook.log.port import Record, Run
from fillbook.log.sqlite import SqliteLog
from log.making import draft, open_fixed, python


def sqlite_utils(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def schema_of(path: Path) -> list[tuple[str, ...]]:
    connection = connect(str(path))
    found = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid"
    ).fetchall()
    pragmas = [
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("application_id", "user_version")
    ]
    connection.close()
    return [*found, *pragmas]


def test_both_ways_make_the_same_schema(tmp_path: Path) -> None:
    by_library, by_command = tmp_path / "library", tmp_path / "command"
    open_fixed(by_library).close()
    sqlite_utils("migrate", by_command, migrations_path())

    assert len(schema_of(by_library)) > 25
    assert schema_of(by_library) == schema_of(by_command)
    with open_fixed(by_command) as log:
        assert log.append([draft()])[0].seq == 2
    assert schema_of(by_library) == schema_of(by_command)


def test_a_ledger_has_no_step_left_to_apply(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    open_fixed(path).close()
    before = schema_of(path)
    assert (
        "(none)" in sqlite_utils("migrate", path, migrations_path(), "--list").split("Pending")[1]
    )
    sqlite_utils("migrate", path, migrations_path())
    assert schema_of(path) == before


def notes_of(path: Path) -> list[tuple[object, ...]]:
    """What the file says of the steps it has had; when is told apart only by its form."""
    connection = connect(str(path))
    rows = connection.execute("SELECT * FROM _sqlite_migrations ORDER BY id").fetchall()
    connection.close()
    return [(*row[:-1], re.sub(r"\d", "9", row[-1])) for row in rows]


def test_both_ways_note_the_same_steps(tmp_path: Path) -> None:
    by_library, by_command = tmp_path / "library", tmp_path / "command"
    open_fixed(by_library).close()
    sqlite_utils("migrate", by_command, migrations_path())
    assert notes_of(by_library) == notes_of(by_command)
    assert [row[:3] for row in notes_of(by_library)] == [(1, "fillbook", "0001_ledger")]


def test_an_older_file_gets_the_step_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then `sqlite-utils` is asked, which knows what has been applied."""
    steps = copy_of_steps(tmp_path)
    monkeypatch.setattr(schema, "migrations_path", lambda: steps)
    path = tmp_path / "x.ledger"
    open_fixed(path).close()
    (steps / "0002_more.py").write_text(
        "def migrate(db):\n    db.execute('CREATE TABLE more (x)')\n"
    )
    for _ in range(2):
        connection = connect(str(path))
        connection.execute("BEGIN IMMEDIATE")
        schema.migrate(connection)
        connection.execute("COMMIT")
        connection.close()
        assert [row[2] for row in notes_of(path)] == ["0001_ledger", "0002_more"]
    assert ("table", "more", "more", "CREATE TABLE more (x)") in schema_of(path)

    new = tmp_path / "new.ledger"
    open_fixed(new).close()
    assert schema_of(new) == schema_of(path)


def test_the_numbers_are_the_same_on_both_sides() -> None:
    """The steps import nothing of ours: they run wherever sqlite-utils does."""
    step = run_path(str(migrations_path() / "0001_ledger.py"))
    assert step["APPLICATION_ID"] == schema.APPLICATION_ID
    assert step["FORMAT_VERSION"] == schema.FORMAT_VERSION
    for name in migrations_path().glob("*.py"):
        assert "fillbook." not in name.read_text().replace("`fillbook.log.schema`", "")


def test_steps_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in migrations_path().glob("[0-9]*.py"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def copy_of_steps(folder: Path) -> Path:
    steps = folder / "migrations"
    steps.mkdir()
    for name in migrations_path().glob("*.py"):
        (steps / name.name).write_bytes(name.read_bytes())
    return steps


def test_a_step_that_fails_leaves_an_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = copy_of_steps(tmp_path)
    (steps / "0002_wrong.py").write_text(
        "def migrate(db):\n    db.execute('CREATE TABLE events (x)')\n"
    )
    path = tmp_path / "x.ledger"
    monkeypatch.setattr(schema, "migrations_path", lambda: steps)
    with pytest.raises(Exception, match="events"):
        SqliteLog.open(path)
    monkeypatch.undo()

    connection = connect(str(path))
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    connection.close()
    with SqliteLog.open(path) as log:
        assert log.head().seq == 1


def test_what_is_slow_to_import_is_imported_where_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "x.ledger"
    said = python(
        """
        import sys
        from fillbook.log.port import Draft
        from fillbook.log.sqlite import SqliteLog
        from fillbook.core.events import MessageSetAside
        with SqliteLog.open(sys.argv[1]) as log:
            note = MessageSetAside(kind="x", problem="y")
            log.append([Draft(event=note, stream=0, actor="ROBOT")])
            list(log.records())
        slow = {"sqlite_utils", "rich", "click", "pandas", "transitions", "msgspec", "subprocess"}
        print(sorted(slow & set(sys.modules)))
        """,
        path,
    )
    assert said == "[]\n"


def test_the_columns_of_the_table_are_those_of_the_record() -> None:
    with open_fixed(":memory:") as log:
        assert tuple(row[1] for row in log.fetch("PRAGMA table_info(events)")) != ()
        assert {row[1] for row in log.fetch("PRAGMA table_info(events)")} == set(COLUMNS)
        runs = tuple(row[1] for row in log.fetch("PRAGMA table_info(runs)"))
        positions = tuple(row[1] for row in log.fetch("PRAGMA table_info(positions)"))
        assert log.fetch("SELECT chain_domain FROM meta") == [(CHAIN_DOMAIN,)]
    assert tuple(name for name in Record.__slots__ if not name.startswith("_")) == COLUMNS
    assert runs == tuple(a for a in Run.__slots__ if not a.startswith("__"))
    assert positions == (*snapshot.POSITION_COLUMNS, "as_of_seq")


def test_the_format_page_names_every_table_column_and_view() -> None:
    page = (ledger_path() / "FORMAT.md").read_text()
    with open_fixed(":memory:") as log:
        for (name,) in log.fetch("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"):
            assert f"`{name}`" in page, name
            if name in ("events", "meta", "runs", "raws", "snapshots"):
                for _, column, *_ in log.fetch(f"PRAGMA table_info({name})"):
                    assert column == "id" or f"`{column}`" in page, f"{name}.{column}"

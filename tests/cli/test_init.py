"""`fillbook init` as a person meets it."""

from pathlib import Path

from cli.running import run
from fillbook.configuration import Configuration, parse_configuration, template


def test_init_writes_a_configuration(tmp_path: Path):
    done = run("init", cwd=tmp_path)

    assert done.status == 0, done
    text = (tmp_path / "fillbook.toml").read_text("utf-8")
    assert text == template()
    assert parse_configuration(text, "fillbook.toml") == Configuration()
    assert "fillbook.toml" in done.out


def test_init_takes_a_name_and_speaks_json(tmp_path: Path):
    done = run("init", tmp_path / "sber.toml", "--json")

    size = (tmp_path / "sber.toml").stat().st_size
    assert done.json == {"configuration": str(tmp_path / "sber.toml"), "bytes": size}


def test_init_never_touches_a_file_that_is_there(tmp_path: Path):
    """It may hold the limits of a robot that trades."""
    file = tmp_path / "fillbook.toml"
    file.write_text("[robot]\n")

    run("init", cwd=tmp_path).refused("fillbook.toml", "was not touched")

    assert file.read_text() == "[robot]\n"


def test_init_does_not_write_through_a_link(tmp_path: Path):
    (tmp_path / "fillbook.toml").symlink_to(tmp_path / "elsewhere")

    run("init", cwd=tmp_path).refused("was not touched")

    assert not (tmp_path / "elsewhere").exists()


def test_init_says_where_it_could_not_write(tmp_path: Path):
    run("init", tmp_path / "none" / "a.toml").refused("a.toml", "No such file or directory")

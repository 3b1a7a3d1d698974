"""Keep secrets out of the configuration: it says where one is kept, never what it is.

A key that looks like a secret's takes `{ env = "NAME" }` or `{ file = "path" }` and nothing else;
so does an address with a password in it.  No error repeats what was written there.
"""

import os
import re
from pathlib import Path
from typing import Any

from attrs import frozen

from fillbook.configuration.lines import TomlText
from fillbook.errors import BadInput

__all__ = ["Secret", "checked_options"]

_SECRET_KEY = re.compile(
    r"secret|token|passw|passphrase|pwd|credential|authorization|bearer|cookie"
    r"|(api|private|access|auth|signing|secret)[_-]?key|(^|[_-])pin$",
    re.IGNORECASE,
)
_PASSWORD_IN_ADDRESS = re.compile(r"://[^/@\s]*:[^/@\s]+@")
_KEPT = 'write { env = "NAME" } or { file = "path" } and keep the secret there'


@frozen(kw_only=True)
class Secret:
    """Where a secret is kept; what it is shows in no print and no log."""

    env: str | None = None
    file: str | None = None

    def read(self) -> str:
        """Return the secret, without the newline at a file's end; `BadInput` where it is not."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            problem = f"the environment variable {self.env} is not set"
        else:
            assert self.file is not None
            try:
                value = Path(self.file).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else "not UTF-8"
                raise BadInput(f"{self.file}: {why}", "a secret is to be read from it") from None
            problem = f"{self.file}: the file is empty"
        if not value:
            raise BadInput(problem, "a secret is to be read from it")
        return value


def checked_options(
    toml: TomlText, path: tuple[str, ...], options: dict[str, Any], folder: str
) -> dict[str, Any]:
    """Return *options* with a `Secret` for every reference; refuse secrets that are written out."""
    return {
        key: _checked(toml, (*path, key), value, folder, _SECRET_KEY.search(key) is not None)
        for key, value in options.items()
    }


def _checked(
    toml: TomlText, path: tuple[str, ...], value: Any, folder: str, is_secret: bool
) -> Any:
    if isinstance(value, dict) and value and value.keys() <= {"env", "file"}:
        return _secret(toml, path, value, folder)
    if is_secret:
        raise toml.wrong(path, f"a secret does not belong in this file: {_KEPT}")
    if isinstance(value, str) and _PASSWORD_IN_ADDRESS.search(value):
        raise toml.wrong(path, f"there is a password in this address: {_KEPT}")
    if isinstance(value, dict):
        return checked_options(toml, path, value, folder)
    if isinstance(value, list):
        return [_checked(toml, path, each, folder, False) for each in value]
    return value


def _secret(toml: TomlText, path: tuple[str, ...], said: dict[str, Any], folder: str) -> Secret:
    if len(said) != 1:
        raise toml.wrong(path, "a secret is kept in one place: env or file, not both")
    ((kind, name),) = said.items()
    if not isinstance(name, str) or not name:
        raise toml.wrong(path, f"{kind} takes a name in quotes")
    return Secret(env=name) if kind == "env" else Secret(file=os.path.join(folder, name))

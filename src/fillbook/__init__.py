"""The ledger that a trading robot can trust.

What a program needs is here; what it does is loaded when it is used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "AsyncRobot",
    "NewOrder",
    "Robot",
    "Settings",
    "__version__",
    "import_file",
    "open_log",
    "open_reader",
    "recover",
]

_HOME_OF = {
    "AsyncRobot": "fillbook.async_robot",
    "NewOrder": "fillbook.new_order",
    "Robot": "fillbook.robot",
    "Settings": "fillbook.feedback.settings",
    "import_file": "fillbook.wiring",
    "open_log": "fillbook.wiring",
    "open_reader": "fillbook.wiring",
    "recover": "fillbook.wiring",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is not None:
        return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

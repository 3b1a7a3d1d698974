"""The ledger that a trading robot can trust.

What a program needs is here; what it does is loaded when it is used.
"""

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "import_file", "open_log", "open_reader", "recover"]

_FROM_WIRING = {"import_file", "open_log", "open_reader", "recover"}


def __getattr__(name: str) -> Any:
    if name in _FROM_WIRING:
        from fillbook import wiring

        return getattr(wiring, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

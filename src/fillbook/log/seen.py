"""Know of nearly every id that it is new, without asking the file.

A writer that began its ledger has seen every key and id in it.  Kept as such they would fill the
memory; kept as two bits each (a Bloom filter) they answer "surely not in the ledger" or "perhaps",
and only then the file is asked: for one new id in a hundred after a million.
"""

__all__ = ["Seen"]

_BYTES = 1 << 21
_MASK = _BYTES - 1


class Seen:
    """Texts that were noted.  `may_hold` is never wrong in saying no."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(_BYTES)

    def note(self, text: str) -> None:
        """Remember *text*; what is noted twice, or never gets into the ledger, does no harm."""
        mixed, bits = hash(text), self._bits
        bits[mixed & _MASK] |= 1 << (mixed >> 21 & 7)
        bits[mixed >> 24 & _MASK] |= 1 << (mixed >> 45 & 7)

    def may_hold(self, text: str) -> bool:
        """Return False only where *text* was not noted."""
        mixed, bits = hash(text), self._bits
        return bool(
            bits[mixed & _MASK] >> (mixed >> 21 & 7)
            & bits[mixed >> 24 & _MASK] >> (mixed >> 45 & 7)
            & 1
        )

"""Find the rows of a CSV statement: below the first line that has every column that is needed.

Above it there may be what a broker says first.  A row that is shorter or longer than its header is
refused, since its values may stand in the wrong columns.  Each row keeps its line's own bytes.
"""

import csv
from collections import Counter
from collections.abc import Iterator

from attrs import field, frozen

from fillbook.brokers.bounds import shown
from fillbook.brokers.statements.mapping import StatementMapping
from fillbook.brokers.statements.rows import Row, Rows, Skipped
from fillbook.errors import BadInput

__all__ = ["CsvText", "csv_rows", "csv_trouble"]

_HEADER_ROWS = 50
"""How far down a header is looked for."""

_DELIMITERS = (",", ";", "\t")
_REMEDY = "export the file anew, or mend that line"


@frozen
class _Record:
    number: int
    raw: bytes
    cells: list[str]


class CsvText:
    """The lines of one file, UTF-8 without a mark."""

    def __init__(self, data: bytes, file: str) -> None:
        self.file = file
        self._data = data
        self._raw = data.splitlines(keepends=True) if b"\n" not in data else _lines(data)
        self._lines = [line.decode() for line in self._raw]

    def records(self, delimiter: str) -> Iterator[_Record]:
        """Yield the rows that are not blank; raises `csv.Error` where there is no row."""
        reader = csv.reader(iter(self._lines), delimiter=delimiter, strict=True)
        start = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            if any(cell.strip() for cell in cells):
                raw = b"".join(self._raw[start : reader.line_num])
                yield _Record(start + 1, raw.rstrip(b"\r\n"), cells)
            start = reader.line_num

    def delimiter_of(self, mapping: StatementMapping) -> str | None:
        """Return the delimiter under which the header of *mapping* is found; None if under none."""
        if mapping.section is not None and mapping.section.encode() not in self._data:
            return None  # it may begin anywhere, and reading a large file to its end takes time
        for delimiter in (mapping.delimiter,) if mapping.delimiter else _DELIMITERS:
            try:
                for index, record in enumerate(self.records(delimiter)):
                    if _header(record, mapping) is not None:
                        return delimiter
                    if index >= _HEADER_ROWS and mapping.section is None:
                        break
            except csv.Error:
                continue
        return None


def csv_rows(text: CsvText, mapping: StatementMapping) -> Rows | None:
    """Return the rows that *mapping* finds; None where the file is not of its kind.

    Raises `BadInput` where its kind is right and it is no CSV further down.
    """
    delimiter = text.delimiter_of(mapping)
    if delimiter is None:
        return None
    table = _Table(text.file, mapping)
    number = 0
    try:
        for record in text.records(delimiter):
            number = record.number
            table.take(record)
    except csv.Error as exc:
        raise BadInput(f"{text.file}: below line {number}: {exc}", _REMEDY) from None
    return Rows(table.rows, table.skipped)


def csv_trouble(text: CsvText, mapping: StatementMapping) -> str:
    """Return why *mapping* does not find its rows."""
    wanted = ", ".join(mapping.needed)
    where = f" in the section {mapping.section}" if mapping.section is not None else ""
    return f"no line{where} has the columns {wanted}; {first_row(text)}"


def first_row(text: CsvText) -> str:
    """Return how the file begins, for people."""
    try:
        cells = next(text.records(",")).cells
    except (StopIteration, csv.Error):
        return "it has no rows"
    return f"it begins with {shown(', '.join(cells))}"


@frozen
class _Table:
    """The rows of one file, as they are met."""

    file: str
    mapping: StatementMapping
    rows: list[Row] = field(factory=list)
    skipped: list[Skipped] = field(factory=list)
    header: list[str] = field(factory=list)

    def take(self, record: _Record) -> None:
        cells = record.cells
        if self.mapping.section is not None:
            if cells[0].strip() != self.mapping.section:
                self._skip(record, f"is in the section {shown(cells[0])}")
                return
            word = cells[1].strip() if len(cells) > 1 else ""
            if word == "Header":
                self._begin(record, _header(record, self.mapping))
                return
            if word != "Data":
                self._skip(record, f"is a row of {shown(word)}, not of data")
                return
            cells = cells[2:]
        elif not self.header:
            header = _header(record, self.mapping)
            if header is None:
                self._skip(record, "stands above the header")
            else:
                self._begin(record, header)
            return
        problem = None
        if len(cells) != len(self.header):
            problem = f"it has {len(cells)} columns, its header has {len(self.header)}"
        named = dict(zip(self.header, cells, strict=False))
        place = f"line {record.number}"
        self.rows.append(Row(place, record.number, record.raw, named, problem=problem))

    def _begin(self, record: _Record, header: list[str] | None) -> None:
        if header is None:
            raise BadInput(
                f"{self.file}: line {record.number}: the header has not all of "
                f"{', '.join(self.mapping.needed)}",
                "name another mapping",
            )
        used = {*self.mapping.needed, self.mapping.avg_px, self.mapping.account_id}
        for column, count in Counter(header).items():
            if count > 1 and column in {*used, self.mapping.ts_event}:
                raise BadInput(
                    f"{self.file}: line {record.number}: the column {column} is there {count} "
                    "times",
                    "leave one of them",
                )
        self.header[:] = header

    def _skip(self, record: _Record, why: str) -> None:
        self.skipped.append((record.number, why))


def _header(record: _Record, mapping: StatementMapping) -> list[str] | None:
    """Return the columns where *record* is a header with all that is needed."""
    cells = [cell.strip() for cell in record.cells]
    if mapping.section is not None:
        if cells[:2] != [mapping.section, "Header"]:
            return None
        cells = cells[2:]
    return cells if set(mapping.needed) <= set(cells) else None


def _lines(data: bytes) -> list[bytes]:
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]

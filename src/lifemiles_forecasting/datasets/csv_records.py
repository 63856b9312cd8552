"""A CSV file in UTF-8 line by line: its header, and what can be saved of it when it is damaged.

The database reads sound files by itself. One stray quote, though, makes it lose hundreds of
thousands of lines without a word, and one stray carriage return makes it refuse a file. Such a
file is read here instead, so that damage costs the damaged lines and no other.
"""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.transactions import UNREADABLE, WRONG_ENCODING
from lifemiles_forecasting.datasets.text_files import open_bytes

# Of one record. Less than the database takes (2 MB), as a character may have four bytes. A value
# in quotes may have 131,072 characters, the limit of Python's reader.
MAX_CHARACTERS = 500_000
SHOWN = 10_000  # characters of an unreadable line that are kept
LINE_END = re.compile("\r\n|\r|\n")
CONTROL = re.compile("[\x00\x1f]")
OUTSIDE = re.compile("[\ud800-\udfff]")  # what a byte that is not UTF-8 is read as
ENCODING_HINT = "If it is text, set data_processing.encoding to the one it was written in."


def _open_text(path: Path) -> IO[str]:
    """Lines that end in a line feed, whatever they end in on disk; bad bytes stay visible."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", errors="surrogateescape")


def count_lines(path: Path) -> int:
    """Line feeds in a file, and one more if it does not end in one."""
    count, last = 0, b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")


def _start(path: Path) -> str:
    """The beginning of a file in UTF-8."""
    with open_bytes(path) as stream:
        return stream.read(1 << 16).decode("utf-8-sig", errors="replace")


def first_records(path: Path, separator: str, width: int) -> list[list[str]]:
    """The first rows of a file in UTF-8, to look at; without those that are not plain.

    Args:
        path: the file, packed or not.
        separator: as configured.
        width: number of columns of the header.
    """
    lines = LINE_END.split(_start(path))[1:-1]  # the last one may be cut
    rows = (_fitted(line.split(separator), width) for line in lines if '"' not in line)
    return [row for row in rows if len(row) == width]


def _fitted(cells: list[str], width: int) -> list[str]:
    """A record's cells without empty ones beyond the header, which the database drops as well."""
    return cells if any(cells[width:]) else cells[:width]


def read_header(path: Path, separator: str, encoding: str, name: str) -> list[str]:
    """The names in the first line, without outer white space.

    Args:
        path: the file in UTF-8.
        separator: as configured.
        encoding: as configured, for the messages.
        name: of the file, for the messages.

    Raises:
        InputError: it is binary, in another encoding, blank or over several lines.
    """
    first = LINE_END.split(_start(path), maxsplit=1)[0]
    if "\x00" in first:
        raise InputError(
            f"a binary file {name} (it has NUL bytes)", "text in CSV form", ENCODING_HINT
        )
    if "\ufffd" in first:
        raise InputError(
            f"a header in {name} that is not {encoding}",
            "text in CSV form",
            ENCODING_HINT,
        )
    if first.count('"') % 2:
        raise InputError(
            f"a header in {name} that does not end where its line ends",
            "all of it in one line",
            "A quote was not closed, or a name has a line break in it.",
        )
    names = [cell.strip() for cell in next(csv.reader([first], delimiter=separator), [])]
    if not any(names):
        raise InputError(f"a blank first line in {name}", "the header there")
    named = names[: max(number for number, cell in enumerate(names, 1) if cell)]
    if first_records(path, separator, len(names)) or not first_records(path, separator, len(named)):
        return names
    return named  # the line ends in a separator, and no row does


class Unreadable(NamedTuple):
    """A record that cannot be read: its first line, its text and why."""

    line: int
    raw: str
    reason: str


@dataclass
class Survey:
    """The records of a damaged file.

    Attributes:
        starts: physical line number (the first line is 1) of each readable record.
        unreadable: the other lines; blank lines are neither.
    """

    starts: array[int] = field(default_factory=lambda: array("q"))  # a fifth of a list's memory
    unreadable: list[Unreadable] = field(default_factory=list)


def _reason(text: str) -> str | None:
    """Why a record cannot be used whatever its columns are; None if nothing speaks against it."""
    if not text.isascii() and OUTSIDE.search(text):
        return WRONG_ENCODING
    return UNREADABLE if len(text) > MAX_CHARACTERS or CONTROL.search(text) else None


def _shown(line: str) -> str:
    """A damaged line as text that can be stored."""
    kept = line[:SHOWN].encode("utf-8", "surrogateescape")
    return kept.decode("utf-8", "backslashreplace").rstrip("\n")[:SHOWN]


class _Lines:
    """A file's lines with their numbers, that can be looked at before they are taken."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._ahead, self.number = stream, deque[str](), 0

    def _next(self) -> str:
        """The next line from the file, cut where it is too long to be one."""
        line = self._stream.readline(MAX_CHARACTERS + 1)
        rest = line
        while len(rest) > MAX_CHARACTERS and not rest.endswith("\n"):
            rest = self._stream.readline(MAX_CHARACTERS + 1)
        return line

    def take(self) -> str:
        """The next line; empty after the end."""
        self.number += 1
        return self._ahead.popleft() if self._ahead else self._next()

    def ahead(self, characters: int) -> Iterator[str]:
        """The lines after the last one taken, as far as so many characters go."""
        for line in tuple(self._ahead):
            characters -= len(line)
            if characters < 0:
                return
            yield line
        while line := self._next():
            self._ahead.append(line)
            characters -= len(line)
            if characters < 0:
                return
            yield line


def _quoted(line: str, lines: _Lines, separator: str) -> tuple[list[str], int] | None:
    """The values of the record that begins with `line`, and how many further lines it takes.

    Python's reader takes lines until the record is complete, and stops at the first quote that
    cannot close one: a stray quote is found at the next quote of the file.
    """

    def record() -> Iterator[str]:
        yield line
        yield from lines.ahead(MAX_CHARACTERS - len(line))

    reader = csv.reader(record(), delimiter=separator, strict=True)
    try:
        return next(reader), reader.line_num - 1
    except csv.Error:
        return None


def _clean(line: str, lines: _Lines, separator: str, width: int) -> str | Unreadable:
    """The record that begins with `line` in a form every reader agrees on, or what is wrong."""
    number, reason = lines.number, _reason(line)
    if '"' not in line:
        text = line.rstrip("\n")
        if text.count(separator) >= width:
            text = separator.join(_fitted(text.split(separator), width))
        if reason is None and text.count(separator) + 1 == width:
            return text + "\n"
        return Unreadable(number, _shown(line), reason or UNREADABLE)
    values, more = _quoted(line, lines, separator) or ([], 0)
    values = _fitted(values, width)
    if len(values) != width:
        return Unreadable(number, _shown(line), reason or UNREADABLE)
    text = line + "".join(lines.take() for _ in range(more))
    reason = _reason(text)
    if reason is not None:
        return Unreadable(number, _shown(text), reason)
    clean = io.StringIO()
    csv.writer(clean, delimiter=separator, lineterminator="\n").writerow(values)
    return clean.getvalue()


def survey(path: Path, separator: str, width: int, copy: IO[str]) -> Survey:
    """Sort a damaged file's lines into records and unreadable lines.

    Args:
        path: the file in UTF-8, packed or not.
        separator: as configured.
        width: number of columns of the header.
        copy: where the header and the readable records are written in a clean form.
    """
    found = Survey()
    with _open_text(path) as stream:
        lines = _Lines(stream)
        copy.write(lines.take().rstrip("\n") + "\n")
        while line := lines.take():
            number = lines.number
            if not line.strip():
                continue
            record = _clean(line, lines, separator, width)
            if isinstance(record, Unreadable):
                found.unreadable.append(record)
            else:
                found.starts.append(number)
                copy.write(record)
    return found

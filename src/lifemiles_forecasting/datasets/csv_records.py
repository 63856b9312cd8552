"""A CSV file line by line: its header, and what can be saved of it when it is damaged.

The database reads sound files by itself. One stray quote, though, makes it lose hundreds of
thousands of lines without a word, and one stray carriage return makes it refuse a file. Such a
file is read here instead, so that damage costs the damaged lines and no other.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from lifemiles_forecasting.core.errors import InputError

MAX_LINES = 50  # of one record: a quote that closes later than this is taken for a stray one
MAX_CHARACTERS = 1_000_000  # of one line
SHOWN = 10_000  # characters of an unreadable line that are kept
ENCODING_HINT = "If it is text, set data_processing.encoding to the one it was written in."


def open_bytes(path: Path) -> IO[bytes]:
    """The file's content, unpacked if its name ends in .gz."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def _codec(encoding: str) -> str:
    return "utf-8-sig" if encoding == "utf-8" else encoding


def _open_text(path: Path, encoding: str) -> IO[str]:
    """Lines that end in a line feed, whatever they end in on disk; bad bytes stay visible."""
    errors = "surrogateescape" if encoding == "utf-8" else "replace"
    return io.TextIOWrapper(open_bytes(path), encoding=_codec(encoding), errors=errors)


def check_packed(path: Path) -> None:
    """Unpack a .gz file once, because the database does not verify its checksum.

    Raises:
        InputError: it is broken.
    """
    if path.suffix.lower() != ".gz":
        return
    try:
        with open_bytes(path) as stream:
            while stream.read(1 << 20):
                pass
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"a broken gzip file {path.name} ({error})", "a whole one", "Copy it again."
        ) from None


def count_lines(path: Path) -> int:
    """Line feeds in a file, and one more if it does not end in one."""
    count, last = 0, b"\n"
    with open_bytes(path) as stream:
        while block := stream.read(1 << 20):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")


def read_header(path: Path, separator: str, encoding: str) -> list[str]:
    """The names in the first line, without outer white space.

    Raises:
        InputError: the file is empty, binary, in another encoding or begins with a blank line.
    """
    with open_bytes(path) as stream:
        start = stream.read(1 << 16)
    if not start.strip():
        raise InputError(f"an empty file {path.name}", "a header and rows")
    text = start.decode(_codec(encoding), errors="replace")
    if "\x00" in text:
        raise InputError(
            f"a binary file {path.name} (it has NUL bytes)", "text in CSV form", ENCODING_HINT
        )
    first = text.splitlines()[0]
    if "\ufffd" in first:
        raise InputError(
            f"a header in {path.name} that is not {encoding}: {first[:80]!r}",
            "text in CSV form",
            ENCODING_HINT,
        )
    names = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    if not any(names):
        raise InputError(f"a blank first line in {path.name}", "the header there")
    return names


@dataclass
class Survey:
    """The records of a damaged file.

    Attributes:
        starts: physical line number (the first line is 1) of each readable record.
        unreadable: line number and text of each other line; blank lines are neither.
    """

    starts: array[int] = field(default_factory=lambda: array("q"))  # a fifth of a list's memory
    unreadable: list[tuple[int, str]] = field(default_factory=list)


def _parse(lines: list[str], separator: str, width: int) -> list[str] | None:
    """The values of one record over these lines, or None if they are not exactly one."""
    try:
        records = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error:
        return None
    return records[0] if len(records) == 1 and len(records[0]) == width else None


def _decodes(line: str) -> bool:
    """Whether no byte of the line was outside the encoding."""
    if line.isascii():
        return True
    return "\ufffd" not in line and not any("\ud800" <= char <= "\udfff" for char in line)


def _shown(line: str) -> str:
    """A damaged line as text that can be stored."""
    plain = line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return plain.rstrip("\n")[:SHOWN]


class _Lines:
    """A file's lines with their numbers, that can be looked at before they are taken."""

    def __init__(self, lines: IO[str]) -> None:
        self._lines, self._ahead, self.number = lines, deque(), 0

    def peek(self, place: int) -> str | None:
        """The line `place` lines after the next one, or None after the end."""
        while len(self._ahead) <= place:
            line = next(self._lines, None)
            if line is None:
                return None
            self._ahead.append(line)
        return self._ahead[place]

    def take(self) -> str | None:
        """The next line, or None after the end."""
        self.number += 1
        return self._ahead.popleft() if self._ahead else next(self._lines, None)


def _quoted(line: str, lines: _Lines, separator: str, width: int) -> tuple[list[str], int] | None:
    """The values of the record that begins with `line`, and how many further lines it takes."""
    taken, quotes = [line], line.count('"')
    values = _parse(taken, separator, width)
    while values is None:
        following = lines.peek(len(taken) - 1)
        if quotes % 2 == 0 or following is None or len(taken) == MAX_LINES:
            return None
        taken.append(following)
        if '"' in following:  # only a quote can close what a quote has opened
            quotes += following.count('"')
            values = _parse(taken, separator, width)
    return values, len(taken) - 1


def _clean(line: str, lines: _Lines, separator: str, width: int) -> str | None:
    """The record that begins with `line` in a form every reader agrees on; None if unreadable."""
    if len(line) > MAX_CHARACTERS or not _decodes(line):
        return None
    if '"' not in line:
        fits = line.count(separator) + 1 == width
        return line.rstrip("\n") + "\n" if fits else None
    record = _quoted(line, lines, separator, width)
    if record is None:
        return None
    values, extra = record
    for _ in range(extra):
        lines.take()
    clean = io.StringIO()
    csv.writer(clean, delimiter=separator, lineterminator="\n").writerow(values)
    return clean.getvalue()


def survey(path: Path, separator: str, encoding: str, width: int, copy: IO[str]) -> Survey:
    """Sort a damaged file's lines into records and unreadable lines.

    Args:
        path: the file, packed or not.
        separator: as configured.
        encoding: as configured.
        width: number of columns of the header.
        copy: where the header and the readable records are written in a clean form.
    """
    found = Survey()
    with _open_text(path, encoding) as stream:
        lines = _Lines(stream)
        copy.write((lines.take() or "").rstrip("\n") + "\n")
        while (line := lines.take()) is not None:
            number = lines.number
            if not line.strip():
                continue
            record = _clean(line, lines, separator, width)
            if record is None:
                found.unreadable.append((number, _shown(line)))
            else:
                found.starts.append(number)
                copy.write(record)
    return found

"""Files as bytes: packed or not, whole or broken, in which encoding."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path
from typing import IO, Any

from lifemiles_forecasting.core.errors import InputError

BLOCK = 1 << 20  # bytes at a time
CONTROLS = (0x00, 0x1F)  # NUL, and the unit separator: no text has them, and we use the latter
FORMATS = {
    b"\x1f\x8b": ("a gzip file", "Let its name end in .csv.gz."),
    b"PK\x03\x04": ("a zip or Excel file", "Unpack it, or save it as CSV."),
    b"PAR1": ("a Parquet file", "Save it as CSV."),
    # before UTF-16 is looked for, with whose mark the first one begins
    codecs.BOM_UTF32_LE: ("text in UTF-32", "Save it as UTF-8."),
    codecs.BOM_UTF32_BE: ("text in UTF-32", "Save it as UTF-8."),
}
LETTERLESS = re.compile("[\x80-\x9f]")  # control characters in Latin-1; letters in Windows-1252
LOST = "lifemiles_lost_bytes"  # name of our handler of bytes that an encoding does not know
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_bytes(path: Path) -> IO[bytes]:
    """The file's content, unpacked if its name ends in .gz."""
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")


def check_bytes(path: Path) -> bool:
    """Read a file to its end, because the database verifies no checksum of a .gz file.

    Returns:
        Whether any of CONTROLS is in it.

    Raises:
        InputError: it is a broken .gz file, or cannot be read at all.
    """
    block, found = bytearray(BLOCK), False
    try:
        with open_bytes(path) as stream:
            while size := stream.readinto(block):
                found = found or any(block.find(byte, 0, size) >= 0 for byte in CONTROLS)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(
            f"a broken gzip file {path.name} ({error})", "a whole one", "Copy it again."
        ) from None
    except OSError as error:
        raise InputError(
            f"a file {path.name} that cannot be read ({error.strerror})",
            "one that can",
            "Look at its permissions and its disk.",
        ) from None
    return found


def _beginning(path: Path) -> bytes:
    with open_bytes(path) as stream:
        return stream.read(1 << 16)


def check_format(path: Path, encoding: str) -> None:
    """Look at a file's beginning.

    Raises:
        InputError: it is empty, something else than text, or evidently in another encoding.
    """
    start = _beginning(path)
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise InputError(f"an empty file {path.name}", "a header and rows")
    for mark, (found, hint) in FORMATS.items():
        if start.startswith(mark):
            raise InputError(f"{found}, {path.name}", "text in CSV form", hint)
    marked = start.startswith(UTF16_MARKS)
    if encoding == "utf-16":
        if not marked and b"\0" not in start:
            raise _other_encoding(path, "text that is not utf-16", "utf-8")
    elif marked:
        raise _other_encoding(path, "UTF-16", "utf-16")


def _other_encoding(path: Path, found: str, right: str) -> InputError:
    return InputError(
        f"{found} in {path.name}",
        "the configured encoding",
        f"Set data_processing.encoding to {right}, or convert the file.",
    )


def _lost_bytes(error: UnicodeDecodeError) -> tuple[str, int]:
    """Keep the place of bytes that mean nothing: a surrogate, which becomes one bad byte."""
    return "\udcff", error.end


codecs.register_error(LOST, _lost_bytes)


def _utf16(path: Path) -> str:
    """The byte order of a file in UTF-16: as its mark says, or as most of its Latin letters do."""
    start = _beginning(path)
    if start.startswith(UTF16_MARKS):
        return "utf-16"
    return "utf-16-le" if start[1::2].count(0) >= start[::2].count(0) else "utf-16-be"


def to_utf8(path: Path, encoding: str, copy: IO[bytes]) -> None:
    """Copy a file into UTF-8; what its encoding does not know becomes a byte that UTF-8 has not.

    Args:
        path: the file, packed or not.
        encoding: `latin-1`, `cp1252` or `utf-16`.
        copy: where to.

    Raises:
        InputError: it is in UTF-8 already, and so would come out as other letters.
    """
    name = _utf16(path) if encoding == "utf-16" else encoding
    decoder = codecs.getincrementaldecoder(name)(LOST)
    check = None if encoding == "utf-16" else codecs.getincrementaldecoder("utf-8")()
    plain = True
    with open_bytes(path) as stream:
        while block := stream.read(BLOCK):
            text = decoder.decode(block)
            if encoding == "latin-1":
                text = LETTERLESS.sub("\udcff", text)
            copy.write(text.encode("utf-8", "surrogateescape"))
            plain = plain and block.isascii()
            check = _follows(check, block)
    copy.write(decoder.decode(b"", final=True).encode("utf-8", "surrogateescape"))
    if not plain and check is not None:
        raise _other_encoding(path, "UTF-8", "utf-8")


def _follows(check: codecs.IncrementalDecoder | None, block: bytes) -> Any:
    """The same decoder, or None once a block is not in its encoding."""
    if check is None:
        return None
    try:
        check.decode(block)
    except UnicodeDecodeError:
        return None
    return check

"""Files that are never half-written: each is written aside and put in place when it is whole.

Kedro's datasets write through fsspec. What is registered here for local files makes all of them
safe at once: a run that is killed, or a disk that is full, leaves the file of the run before.
"""

from __future__ import annotations

import io
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

PART = ".part"  # how the names of unfinished files end
OURS = re.compile(r"\..+\.[0-9]+\.part")  # others may bring files in under such a name, too


class AsideFile(io.BufferedWriter):
    """A file that takes the place of another one when it is closed, unless writing it failed.

    Args:
        path: where it belongs. A link stays one, and a file that is there keeps its permissions.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).resolve()
        self._part = self._path.with_name(f".{self._path.name[:200]}.{os.getpid()}{PART}")
        self.failed = False
        super().__init__(io.FileIO(self._part, "w"))
        with suppress(FileNotFoundError):
            os.fchmod(self.fileno(), stat.S_IMODE(self._path.stat().st_mode))

    def close(self) -> None:
        """Put the file in place, or take it away where writing it failed."""
        if self.closed:
            return
        try:
            if not self.failed:
                self.flush()
                os.fsync(self.fileno())
        except OSError:
            self.failed = True
            raise
        finally:
            with suppress(OSError):  # what could not be written is told by the error above
                super().close()
            if self.failed:
                self._part.unlink(missing_ok=True)
        if not self.failed:
            self._part.replace(self._path)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.failed |= kind is not None
        self.close()


class _AsideText(io.TextIOWrapper):
    """Text on top of an `AsideFile`, which it tells when writing has failed."""

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self.buffer.failed |= kind is not None
        super().__exit__(kind, value, trace)


class AsideFileSystem(LocalFileSystem):
    """Local files; those opened to be written anew are written aside."""

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open a file, see fsspec; `w`, `wt` and `wb` write aside."""
        if mode.replace("t", "").replace("b", "") != "w" or options.get("compression"):
            return super().open(path, mode, **options)
        path = self._strip_protocol(path)
        if self.auto_mkdir:
            self.makedirs(self._parent(path), exist_ok=True)
        file = AsideFile(path)
        if "b" in mode:
            return file
        text = {name: options.get(name) for name in ("encoding", "errors", "newline")}
        return _AsideText(file, **text)


def write_aside() -> None:
    """Let every dataset of this process write its local files aside."""
    for protocol in ("file", "local"):
        fsspec.register_implementation(protocol, AsideFileSystem, clobber=True)


def clear_parts(folder: Path) -> list[Path]:
    """Remove what a run that was killed left unfinished; nobody else may be writing there.

    Args:
        folder: of the outputs.

    Returns:
        What was removed.
    """
    found = folder.rglob(f".*{PART}")
    parts = sorted(path for path in found if OURS.fullmatch(path.name) and path.is_file())
    for part in parts:
        part.unlink(missing_ok=True)
    return parts

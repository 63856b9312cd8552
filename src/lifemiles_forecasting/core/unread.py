"""What lies beside the files that a run reads: told, because it may be half of the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from lifemiles_forecasting.core.notices import Notice

STAGE, WARNING = "files", "not_read"
SHOWN = 5  # names; a folder may hold thousands
DOCUMENTS = (".md", ".rst")
ABOUT = ("readme", "license", "licence", "licenses", "copying", "notice", "changelog")
# of Spark, and of the systems that files are kept on
MARKS = ("_success", "thumbs.db", "desktop.ini", "lost+found")


def may_be_data(name: str) -> bool:
    """Whether a file or folder that is not read is worth a word.

    >>> [name for name in ("2024.xlsx", ".gitkeep", "README.txt", "fields.md") if may_be_data(name)]
    ['2024.xlsx']
    """
    path = PurePath(name.lower())
    quiet = name.startswith(".") or path.suffix in DOCUMENTS
    return not (quiet or path.stem in ABOUT or path.name in MARKS)


def notices(names: Sequence[str]) -> list[Notice]:
    """One warning of all that is not read, or none; whom it concerns nobody knows.

    >>> notices(["2024/", "a.xlsx"])
    [Notice(subject='2024/, a.xlsx', stage='files', warning='not_read', stores=0)]
    """
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    subject = ", ".join(names[:SHOWN]) + more
    return [Notice(subject, STAGE, WARNING, 0)] if names else []

"""Paths that a user gives, as text: which of them may lead out of the project."""

from __future__ import annotations

from pathlib import PurePath

EXPECTED = "a path of this machine: inside the project, or absolute, which may lead anywhere"
WRITTEN_OUT = "a path that is written out: ~ is for shells, and here a folder of that name"


def may_be_used(path: str) -> bool:
    """Whether a folder or file may be used as a parameter.

    A relative path is one inside the project, so it may not climb. An absolute one says that it
    lies elsewhere. Nothing at all would turn `{data_root}/08_reporting` into a folder of the
    machine's root, and an address could hold a password, which parameters are no place for. Behind
    a ~ only shells see the home folder: it would be a folder of that name in the project.

    Args:
        path: as configured.

    Example:
        >>> [may_be_used(path) for path in ("data", "/mnt/data", "../data", "s3://data", "~/a")]
        [True, True, False, False, False]
    """
    if not path.strip() or "\0" in path or "://" in path or path.startswith("~"):
        return False
    return PurePath(path).is_absolute() or ".." not in PurePath(path).parts

"""What a fit depends on beside its input: versions, the kind of machine and our own code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

from lifemiles_forecasting import core

LIBRARIES = ("catboost", "numpy", "scikit-learn", "scipy")  # what a fit is computed by
OWN_CODE = "code of core/"


@cache
def versions() -> dict[str, str]:
    """Each thing that fits depend on, by name."""
    found = {"machine": platform.machine()}
    found |= {name: version(name) for name in LIBRARIES}
    return found | {OWN_CODE: _own_code()}


def software() -> str:
    """All of it as one hash."""
    lines = (f"{name}=={value}\n" for name, value in versions().items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _own_code() -> str:
    folder, hashed = Path(core.__file__).parent, hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        hashed.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        hashed.update(hashlib.sha256(file.read_bytes()).digest())
    return hashed.hexdigest()[:16]

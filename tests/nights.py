"""Nightly runs of all stores with the quick settings."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import yaml
from small_models import small_models

FULL_QUICK = "full_quick"


def add_full_quick(project: Any) -> None:
    """An environment quicker than `quick`, for all stores: only such a run registers its model."""
    (project.folder / "conf" / FULL_QUICK).mkdir()
    quicken(project, FULL_QUICK)


def quicken(project: Any, environment: str) -> None:
    """Make an environment as quick as that, beside what it says itself."""
    source, target = (project.folder / "conf" / name for name in ("quick", environment))
    for file in source.iterdir():
        settings, own = yaml.safe_load(file.read_text("utf-8")), target / file.name
        settings.pop("max_stores", None)
        if modeling := settings.get("modeling"):
            for learner, group in small_models().items():
                modeling.setdefault(learner, {}).update(group)
        if own.exists():
            for group, values in yaml.safe_load(own.read_text("utf-8")).items():
                settings.setdefault(group, {}).update(values)
        own.write_text(yaml.safe_dump(settings), "utf-8")


@dataclass(frozen=True)
class Used:
    """What one run took, its worker processes included.

    Attributes:
        cpu_seconds: of all its processes.
        megabytes: the most memory that one of its processes had.
    """

    cpu_seconds: float
    megabytes: float


def run_night(project: Any, *arguments: str) -> Used:
    """One run to its end, and what it took."""
    log = project.folder / "night.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "run", f"--env={FULL_QUICK}", *arguments],
            cwd=project.folder,
            env=project.environment(),
            stdout=file,
            stderr=file,
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, log.read_text("utf-8")
    return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

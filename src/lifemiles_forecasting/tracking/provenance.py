"""Which code a run came from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SECONDS = 10


def git_state(project_path: Path) -> dict[str, str]:
    """Commit and dirty flag of the project, as tags; `unknown` without git or a repository.

    Args:
        project_path: root of the project.
    """
    commit = _git(project_path, "rev-parse", "HEAD")
    changes = _git(project_path, "status", "--porcelain") if commit else None
    return {
        "git_commit": commit or "unknown",
        "git_dirty": "unknown" if changes is None else str(bool(changes)).lower(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            [git, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()

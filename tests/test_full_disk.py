"""A disk that is full: one clear error, and what was there before is as it was."""

import hashlib
import subprocess
import sys

import pytest
from small_disk import small_disk

NOT_OURS = {".filling", ".run.lock"}


def kedro(disk, project, *arguments, **variables):
    return subprocess.run(
        disk.command(sys.executable, "-m", "kedro", *arguments, cwd=project.folder),
        env=project.environment(**variables),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def files_of(folder):
    """Digest by name of everything in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in NOT_OURS
    }


def the_error(result):
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    return line


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, megabytes=8) as disk:
        yield disk


def test_outputs_of_the_run_before_survive_a_full_disk(disk, fresh_project, few_stores):
    parameters = f"--params=raw_transactions={few_stores},data_root={disk.folder},as_of="
    command = ("run", "--pipelines=data_processing")
    first = kedro(disk, fresh_project, *command, parameters + "2017-11-30")
    assert first.returncode == 0, first.stderr
    before = files_of(disk.seen)
    assert any(name.endswith("panel.parquet") for name in before)
    disk.leave(free=4096)  # the owner's name, beside the lock, takes it
    second = kedro(disk, fresh_project, *command, parameters + "2017-12-31")
    found = "Error: found a full disk while writing; free are: "
    assert the_error(second).startswith(found)
    assert f"{disk.folder}: " in the_error(second)
    assert "; expected room for what the run writes. Make room" in the_error(second)
    assert files_of(disk.seen) == before

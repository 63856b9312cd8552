"""One run at a time in a folder of outputs: a second one is refused, and mixes nothing."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.full_disk import full_disk

LOCK, OWNER = ".run.lock", ".run.owner"


class RunLock:
    """Holds a folder for the run of this process; when the process ends, the system lets go."""

    def __init__(self) -> None:
        self._lock: FileLock | None = None

    def take(self, folder: Path) -> None:
        """Hold the folder.

        Args:
            folder: of the outputs; made if it is not there.

        Raises:
            ConfigError: another run holds it, and the message says which; or nothing can be
                written there.
            FullDiskError: there is no room.
        """
        self.release()  # of a run of this process that was interrupted
        lock, owner = FileLock(folder / LOCK), folder / OWNER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            owner.write_text(_this_process(), "utf-8")
        except Timeout:
            who = owner.read_text(encoding="utf-8") if owner.is_file() else "unknown"
            raise ConfigError(
                f"another run that writes to {folder} ({who})",
                "one at a time",
                "Wait for it, or give this one a folder of its own with --params=data_root=DIR",
            ) from None
        except OSError as error:
            lock.release()
            if full := full_disk(error, [folder]):
                raise full from None
            raise ConfigError(
                f"no way to write to data_root = {folder}: {error.strerror or error}",
                "a folder that can be written to",
                "Choose another with --params=data_root=DIR",
            ) from None
        self._lock = lock

    def release(self) -> None:
        """Let go of the folder, if it is held."""
        if self._lock is not None:
            (Path(self._lock.lock_file).parent / OWNER).unlink(missing_ok=True)
            self._lock.release()
            self._lock = None


def _this_process() -> str:
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"

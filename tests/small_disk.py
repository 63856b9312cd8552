"""A disk of a few megabytes that only the processes of a test can see, and that may be full."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && read wait'
_USERS = ("--user", "--map-root-user")  # who is not root may mount in a namespace of users


@dataclass(frozen=True)
class SmallDisk:
    """A file system in memory, in a mount namespace of its own.

    Attributes:
        folder: where processes of the namespace see it.
        holder: number of the process that keeps the namespace.
        options: of `nsenter`.
    """

    folder: Path
    holder: int
    options: Sequence[str]

    @property
    def seen(self) -> Path:
        """The same folder for the test itself, to read and to fill."""
        return Path(f"/proc/{self.holder}/root{self.folder}")

    def command(self, *arguments: str, cwd: Path = Path("/")) -> list[str]:
        """A command line that is run in a folder of the namespace."""
        return ["nsenter", f"--target={self.holder}", *self.options, f"--wdns={cwd}", *arguments]

    def leave(self, free: int) -> Path:
        """Fill the disk but for some bytes; the file that does so."""
        filling = self.seen / ".filling"
        filling.unlink(missing_ok=True)
        room = shutil.disk_usage(self.seen).free
        filling.write_bytes(bytes(max(room - free, 0)))
        return filling

    def read_only(self) -> None:
        """Let nobody write to it any more."""
        mount = self.command("mount", "-o", "remount,ro", str(self.folder))
        subprocess.run(mount, check=True, timeout=30)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount one on an empty folder; skips the test where this system lets nobody do so."""
    allowed = subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL, check=False)
    users = _USERS if allowed.returncode else ()
    held = ["unshare", "--mount", *users, "sh", "-c", _MOUNT, "sh", f"{megabytes}m", str(folder)]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdout.readline() != b"mounted\n":
            pytest.skip("this system lets no test mount a file system of its own")
        entered = ("--user", "--preserve-credentials") if users else ()
        try:
            yield SmallDisk(folder, process.pid, ("--mount", *entered))
        finally:
            process.stdin.close()
            process.wait(timeout=30)

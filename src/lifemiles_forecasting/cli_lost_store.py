"""What `kedro run` does when the tracking store goes away in the middle of training.

Kedro imports this module at every command, so what is heavy is imported inside.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType

import click

from lifemiles_forecasting.cli_errors import forecasting_error
from lifemiles_forecasting.core.errors import LostStoreError


def go_on_without_store(error: Exception) -> bool:
    """Start a training run again whose tracking store has gone away, tracked in the project.

    What was fitted is kept, so it goes on where it was. `kedro tracking replay`, or the next run,
    writes it to the store.

    Returns:
        Whether it was started, and has succeeded.

    Raises:
        SystemExit: it was started and has failed; with its exit code.
    """
    from lifemiles_forecasting.tracking.names import SPOOL_VARIABLE
    from lifemiles_forecasting.tracking.spool import spool_uri
    from lifemiles_forecasting.tracking.store import sqlite_path

    lost = forecasting_error(error)
    if not isinstance(lost, LostStoreError) or lost.outputs is None:
        return False
    # "python -m kedro" or the path of the script; else a test or a notebook calls the function
    if not sys.argv[0].endswith("kedro") or SPOOL_VARIABLE in os.environ:
        return False
    click.echo(
        f"Warning: {lost.found}. Going on without it; when it is back, the next run, or "
        "`kedro tracking replay`, writes this run there.",
        err=True,
    )
    spool = spool_uri(lost.outputs)
    sqlite_path(spool).parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, SPOOL_VARIABLE: spool, "MLFLOW_REGISTRY_URI": spool}
    command = [sys.executable, "-m", "kedro", *sys.argv[1:]]
    code = _run(command, variables)
    if code:
        raise SystemExit(code)
    return True


def _run(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a command to its end; a signal to end this process is passed on, and waited for.

    Returns:
        Its exit code, as a shell has it where a signal ended it.
    """
    told: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        if child is not None:
            child.send_signal(number)

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [getattr(signal, name) for name in names]
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in heeded}
    try:
        child = subprocess.Popen(command, env=variables)  # noqa: S603 - our own command once more
        for number in told:  # while it was being started
            child.send_signal(number)
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code

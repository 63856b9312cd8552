"""Runs that were killed without a word, and that the tracking store still calls RUNNING."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lifemiles_forecasting.tracking.pages import read_all
from lifemiles_forecasting.tracking.store_runs import nested_filter

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

OUTPUTS_TAG = "outputs_key"
_CONTEXT = "MLFLOW_RUN_CONTEXT"  # tags that MLflow gives a run in the moment when it creates it
_RUNNING = "attributes.status = 'RUNNING'"


def outputs_key(folder: Path) -> str:
    """A name for a folder of this machine, as a run may show it to everyone."""
    return hashlib.sha256(f"{socket.gethostname()}:{folder.resolve()}".encode()).hexdigest()[:16]


@contextmanager
def writing_to(key: str) -> Iterator[None]:
    """Runs that are opened in here say from their first moment on which folder they write to.

    A tag that is set later would be missing where a run is killed in between.

    Args:
        key: from `outputs_key`.
    """
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = json.dumps({**json.loads(before or "{}"), OUTPUTS_TAG: key})
    try:
        yield
    finally:
        del os.environ[_CONTEXT]
        if before is not None:
            os.environ[_CONTEXT] = before


def close_dead_runs(client: MlflowClient, run_id: str, key: str) -> list[str]:
    """Mark runs as KILLED that write to a folder which this run alone holds, with nested ones.

    Args:
        client: of the tracking store.
        run_id: this run; the others may be of any experiment.
        key: of its folder.

    Returns:
        The names of the runs that are not nested in another one.
    """
    experiments = [one.experiment_id for one in client.search_experiments()]
    condition = f"{_RUNNING} AND tags.{OUTPUTS_TAG} = '{key}'"
    found = read_all(client, experiments, condition, keep=lambda run: run.info)
    dead = [info for info in found if info.run_id != run_id]
    for info in dead:
        nested = f"{_RUNNING} AND {nested_filter(info.run_id)}"
        own = [info.experiment_id]
        for child in read_all(client, own, nested, keep=lambda run: run.info.run_id):
            client.set_terminated(child, "KILLED")
        client.set_terminated(info.run_id, "KILLED")
    return [info.run_name for info in dead]

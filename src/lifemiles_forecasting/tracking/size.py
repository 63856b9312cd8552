"""How many runs the tracking store holds, and how many bytes they take."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from tqdm import tqdm

from lifemiles_forecasting.core.errors import TrackingError
from lifemiles_forecasting.tracking.artifacts import folder_bytes
from lifemiles_forecasting.tracking.database import check_database, database_bytes, transaction
from lifemiles_forecasting.tracking.inventory import Inventory, read_inventory
from lifemiles_forecasting.tracking.orphans import folders_of_nobody

_HINT = "Ask the machine of the tracking server: its database, and the size of its artifact store"

logger = logging.getLogger(__name__)

Row = dict[str, Any]


def store_size(uri: str) -> dict[str, list[Row]]:
    """Count runs and bytes. Artifacts that are not on this machine count as none.

    Args:
        uri: the absolute tracking URI of a SQLite file or a PostgreSQL database.

    Returns:
        `runs`: a row per experiment, level and life-cycle stage, a run's logged models included;
        `totals`: bytes of the database, of all artifacts in reach, and of folders that look like
        a run's but belong to none; None, with a warning, where that cannot be told.

    Raises:
        TrackingError: the store is of another kind, does not answer, or is empty.
    """
    check_database(uri, _HINT)
    with transaction(uri) as connection:
        held = read_inventory(connection)
    runs, sizes = _count(held)
    rows = [
        {
            "experiment_id": experiment_id,
            "experiment": held.experiments[experiment_id].name,
            "level": level,
            "stage": stage,
            "runs": runs[experiment_id, level, stage],
            "artifact_bytes": sizes[experiment_id, level, stage],
        }
        for experiment_id, level, stage in sorted(runs.keys() | sizes.keys())
    ]
    totals = {
        "database_bytes": database_bytes(uri),
        "artifact_bytes": sum(sizes.values()),
        "bytes_of_no_run": _bytes_of_nobody(uri),
    }
    return {"runs": rows, "totals": [totals]}


def _bytes_of_nobody(uri: str) -> int | None:
    try:
        return sum(map(folder_bytes, folders_of_nobody(uri)))
    except TrackingError as error:
        logger.warning("The bytes of no run are not counted: found %s", error.found)
        return None


def _count(held: Inventory) -> tuple[Counter, Counter]:
    """Runs and bytes by experiment, level and stage."""
    group = {run.run_id: (run.experiment_id, run.level or "other", run.stage) for run in held.runs}
    sizes: Counter = Counter()
    for run in tqdm(held.runs, "Measuring", unit="run", disable=None):
        folder = held.folder(run)
        sizes[group[run.run_id]] += folder_bytes(folder) if folder else 0
    for model in held.models:
        folder = held.folder(model)
        alone = model.experiment_id, "logged model", model.stage
        sizes[group.get(model.run_id, alone)] += folder_bytes(folder) if folder else 0
    return Counter(group.values()), sizes

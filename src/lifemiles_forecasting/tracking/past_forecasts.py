"""Forecasts of earlier runs, read back from their artifacts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.intervals import NAMES
from lifemiles_forecasting.core.monitoring import PastForecasts
from lifemiles_forecasting.core.retraining import DRIFTED
from lifemiles_forecasting.tracking.lifecycle import PIPELINE_LEVEL, SCORING_LEVEL
from lifemiles_forecasting.tracking.registered_fleet import VERSION_TAG
from lifemiles_forecasting.tracking.registry import Registry
from lifemiles_forecasting.tracking.store import without_credentials
from lifemiles_forecasting.tracking.store_runs import store_frame

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

FOLDER, FILE = "forecasts", "forecasts.parquet"
RETROSPECTIVE_TAG = "retrospective"
_COLUMNS = (c.STORE_ID, c.PARTNER_CODE, c.DATE, c.HORIZON, c.FORECAST, *NAMES, c.STATUS)
_TEXTS = (c.STORE_ID, c.PARTNER_CODE, c.STATUS)
_PAGE = 100


@dataclass(frozen=True)
class ForecastArchive:
    """The forecasts that the training and scoring runs of an experiment left.

    Attributes:
        client: of the tracking store.
        experiment_id: where to look.
    """

    client: MlflowClient
    experiment_id: str

    def read(self, target: str, first: np.datetime64, max_runs: int) -> PastForecasts:
        """Read those that reach a day or later, of the newest runs that finished.

        Runs whose model had seen the days that they forecast (tag `retrospective`) are no test of
        anything and are left out. So are those of a model that was never champion (a refused one,
        or one of a part of the stores), as long as those of champions have such a forecast. Where
        there never was a champion all runs count.

        Args:
            target: billings, local_amount or miles; runs of another target do not count.
            first: the earliest day that is wanted.
            max_runs: how many runs are looked at, the newest first.

        Raises:
            InputError: there is no such forecast.
            TrackingError: it cannot be told which versions were champion.
        """
        import pyarrow as pa

        champions = Registry(self.client).ever_champion()
        runs = self._runs(target, max_runs + 1, champions)
        tables, left_out = self._tables(runs[:max_runs], first, champions)
        stand_ins = bool(champions) and not tables
        if stand_ins:
            runs = self._runs(target, max_runs + 1, ())
            tables, left_out = self._tables(runs[:max_runs], first, champions)
        if not tables:
            raise self._nothing(target, first, len(runs[:max_runs]), left_out)
        # one dictionary of names for all runs, so that a store's id is there once and not per day
        frame = pa.concat_tables(tables).unify_dictionaries().to_pandas()
        frame[c.ORIGIN] = frame[c.DATE] - frame[c.HORIZON].to_numpy().astype("timedelta64[D]")
        return PastForecasts(frame, len(tables), left_out, len(runs) > max_runs, stand_ins)

    def _tables(
        self, runs: Sequence[Run], first: np.datetime64, champions: Collection[int]
    ) -> tuple[list[pa.Table], dict[str, str]]:
        """The forecasts of each run that has any, and why a run could not be read."""
        import pyarrow as pa
        from mlflow.exceptions import MlflowException

        tables, left_out = [], {}
        for run in runs:
            try:
                table = self._table(run, first, champions)
            except (OSError, pa.ArrowException, MlflowException) as error:
                left_out[f"{run.info.run_name} ({run.info.run_id})"] = _reason(error)
                continue
            if len(table):
                tables.append(table)
        return tables, left_out

    def _nothing(
        self, target: str, first: np.datetime64, runs: int, left_out: Mapping[str, str]
    ) -> InputError:
        name = self.client.get_experiment(self.experiment_id).name
        found = f"no forecast of {target} for {first} or later in experiment {name!r} ({runs} runs"
        found += "".join(f"; {run} cannot be read: {why}" for run, why in [*left_out.items()][:1])
        return InputError(
            f"{found})",
            "one that a training or scoring run made before",
            "Forecast with `kedro run`, and come back when there are newer transactions.",
        )

    def _runs(self, target: str, most: int, champions: Collection[int]) -> list[Run]:
        """The newest runs that may count, of both levels; without champions those of any model."""
        found = [
            run
            for level in (PIPELINE_LEVEL, SCORING_LEVEL)
            for run in self._of_level(level, target, most, champions)
        ]
        return sorted(found, key=lambda run: run.info.start_time, reverse=True)[:most]

    def _of_level(
        self, level: str, target: str, most: int, champions: Collection[int]
    ) -> Iterator[Run]:
        condition = (
            f"tags.run_level = '{level}' AND params.target = '{target}' "
            "AND attributes.status = 'FINISHED'"
        )
        token, count = None, 0
        while count < most:
            page = self.client.search_runs(
                [self.experiment_id],
                condition,
                max_results=_PAGE,
                order_by=["attributes.start_time DESC"],
                page_token=token,
            )
            # a run without the tag would not match a condition on it
            kept = [
                run
                for run in page
                if run.data.tags.get(RETROSPECTIVE_TAG) != "true" and _is_of(champions, run)
            ]
            yield from kept
            token, count = page.token, count + len(kept)
            if not token:
                return

    def _table(self, run: Run, first: np.datetime64, champions: Collection[int]) -> pa.Table:
        import pyarrow as pa
        from mlflow.utils.file_utils import local_file_uri_to_path
        from mlflow.utils.uri import is_local_uri

        if is_local_uri(run.info.artifact_uri):
            folder = Path(local_file_uri_to_path(run.info.artifact_uri))
            table = _read(folder / FOLDER / FILE, first)
        else:
            with TemporaryDirectory() as folder:
                path = self.client.download_artifacts(run.info.run_id, f"{FOLDER}/{FILE}", folder)
                table = _read(Path(path), first)
        run_id = pa.repeat(run.info.run_id, len(table)).dictionary_encode()
        trains = self._trained(run, table[c.STORE_ID], champions)
        return table.append_column("run_id", run_id).append_column("trains", trains)

    def _trained(
        self, run: Run, store_ids: pa.ChunkedArray, champions: Collection[int]
    ) -> pa.Array | pa.ChunkedArray:
        """Whether each row's store was trained, for a model that came to be in charge."""
        import pyarrow as pa
        from pyarrow import compute

        tags = run.data.tags
        trains = tags["run_level"] == PIPELINE_LEVEL and _is_of(champions, run)
        if not trains or tags.get("training_mode") != DRIFTED:
            return pa.repeat(trains, len(store_ids))
        nested = store_frame(self.client, run.info.run_id)
        trained = nested[c.STORE_ID].tolist() if len(nested) else []
        return compute.is_in(store_ids.cast(pa.string()), pa.array(trained, pa.string()))


def _is_of(champions: Collection[int], run: Run) -> bool:
    """Whether a run made or used one of these versions; where there are none, any run will do."""
    return not champions or run.data.tags.get(VERSION_TAG) in map(str, champions)


def _reason(error: Exception) -> str:
    """The first line of a message; addresses in it may hold passwords and signatures."""
    line = str(error).partition("\n")[0]
    return re.sub(r"\w+://\S+", lambda found: without_credentials(found[0]), line)


def _read(path: Path, first: np.datetime64) -> pa.Table:
    """The rows of a file from a day on, in types that do not depend on what wrote it."""
    import pyarrow as pa
    from pyarrow import parquet

    table = parquet.read_table(
        path,
        columns=list(_COLUMNS),
        filters=[(c.DATE, ">=", first.item())],
        read_dictionary=list(_TEXTS),
    )
    kinds = dict.fromkeys(_TEXTS, pa.dictionary(pa.int32(), pa.string()))
    kinds |= {c.DATE: pa.timestamp("us"), c.HORIZON: pa.int64()}
    return table.cast(pa.schema([(name, kinds.get(name, pa.float64())) for name in _COLUMNS]))

"""The model of all stores as an MLflow pyfunc, logged once per training run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from lifemiles_forecasting.core import columns
from lifemiles_forecasting.core.errors import InputError, TrackingError
from lifemiles_forecasting.tracking.model import (
    read_files,
    requirements,
    signature,
    write_files,
)
from lifemiles_forecasting.tracking.names import (
    BEFORE_TEST_DIGEST,
    FILES_DIGEST,
    REGISTERED_MODEL,
)
from lifemiles_forecasting.tracking.pyfunc_folder import check_pyfunc

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models.model import ModelInfo
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.core.fleet import FleetModel

DATA = "fleet"  # folder of the model's files within the pyfunc
BEFORE_TEST = "model_before_test"  # artifact of the training run
_PACKAGES = (
    "lifemiles-forecasting",
    "mlflow",
    "catboost",
    "holidays",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
)


def log_fleet(fleet: FleetModel) -> ModelInfo:
    """Log the model to the active run.

    Args:
        fleet: what to log.

    Returns:
        What MLflow calls it: `model_id`, `model_uri`.
    """
    import mlflow
    import mlflow.pyfunc
    import pandas as pd

    store = str(fleet.history.store_ids[0])
    with TemporaryDirectory() as folder:
        mlflow.set_tag(FILES_DIGEST, write_files(Path(folder) / DATA, fleet.to_files()))
        return mlflow.pyfunc.log_model(
            name=REGISTERED_MODEL,
            loader_module=__name__,
            data_path=str(Path(folder) / DATA),
            signature=signature(stores=True),
            input_example=pd.DataFrame({columns.STORE_ID: [store], columns.HORIZON: [1]}),
            pip_requirements=requirements(_PACKAGES),
            metadata={key: fleet.recipe[key] for key in ("target", "horizon", "trained_until")},
        )


def log_before_test(client: MlflowClient, run_id: str, fleet: FleetModel) -> None:
    """Keep what later runs are measured against as an artifact of the training run."""
    with TemporaryDirectory() as folder:
        digest = write_files(Path(folder) / BEFORE_TEST, fleet.to_files())
        client.set_tag(run_id, BEFORE_TEST_DIGEST, digest)
        client.log_artifacts(run_id, str(Path(folder) / BEFORE_TEST), BEFORE_TEST)


def read_before_test(client: MlflowClient, run_id: str) -> FleetModel:
    """Read back what `log_before_test` kept; its checksums are checked first.

    Raises:
        TrackingError: the run has none, or its files are not those that were logged.
    """
    with TemporaryDirectory() as folder:
        digest = client.get_run(run_id).data.tags.get(BEFORE_TEST_DIGEST)
        kept = client.download_artifacts(run_id, BEFORE_TEST, folder)
        return _read(kept, f"run {run_id}", digest)


def read_fleet(model_uri: str, digest: str | None = None) -> FleetModel:
    """Read a logged model, without running code of its folder; checksums are checked first.

    Args:
        model_uri: such as `models:/lifemiles_store_forecaster/3`.
        digest: tag `names.FILES_DIGEST` of the version.

    Raises:
        TrackingError: it is no model of all stores, its files are not those that were logged, or
            MLflow would run other code than ours to load it.
    """
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory() as folder:
        model = Path(download_artifacts(model_uri, dst_path=folder))
        check_pyfunc(model, __name__, f"data/{DATA}")  # for who serves it with MLflow next
        return _read(str(model / "data" / DATA), model_uri, digest)


def _read(folder: str, what: str, digest: str | None = None) -> FleetModel:
    from lifemiles_forecasting.core.fleet import FleetModel

    if not Path(folder).is_dir():
        raise TrackingError(
            f"no model of all stores in {what}", f"one that {REGISTERED_MODEL} holds"
        )
    return FleetModel.from_files(read_files(Path(folder), digest))


class LoadedFleetModel:
    """What `mlflow.pyfunc.load_model` gives: `predict` in the output contract.

    The forecasts of all stores are made once, when the model is loaded: a question is a look-up.
    """

    def __init__(self, fleet: FleetModel) -> None:
        from lifemiles_forecasting.core.answers import Answers

        self._answers = Answers(fleet.forecast(fleet.history))

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """Forecast stores.

        Args:
            model_input: `store_id`, and optionally `horizon` (days ahead, from 1) or `date`.

        Returns:
            See `core.answers.Answers.of`; `date` as ISO text, and None (which JSON knows, other
            than nan) where there is no number.

        Raises:
            MlflowException: a question that cannot be read. MLflow's server answers it with 400
                and its message, any other error with the stack trace.
        """
        from mlflow.exceptions import MlflowException

        try:
            answer = self._answers.of(model_input)
        except InputError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        days = answer[columns.DATE].astype("datetime64[s]").astype(str).astype(object)
        answer[columns.DATE] = days.where(answer[columns.DATE].notna(), None)
        return answer


def _load_pyfunc(data_path: str) -> LoadedFleetModel:
    """MLflow's entry point, named in the `MLmodel` file."""
    return LoadedFleetModel(_read(data_path, data_path))

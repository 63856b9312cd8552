"""The parent run: what is written when it starts, and that it ends with the status that is true."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from lifemiles_forecasting.core.errors import LostStoreError, TrackingError, causes
from lifemiles_forecasting.core.hosts import is_web_address

logger = logging.getLogger(__name__)

PIPELINE_LEVEL, PARTIAL_LEVEL = "pipeline", "partial"
SCORING_LEVEL, MONITORING_LEVEL = "scoring", "monitoring"
TRAINING_NAME = "Training_Pipeline_"
# who goes on for a run without its store gets what its group gets, and from that run once more
_ONE_SIGNAL_SECONDS = 1.0
_PROXIED = "mlflow-artifacts:"
_LOST = {
    "tracking store": "The run stays RUNNING there; start another one when the store is back",
    "model registry": "Start another run when it is back",
}
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def active_run_id() -> str | None:
    """The run that is open in this thread, if there is one."""
    import mlflow

    run = mlflow.active_run()
    return run.info.run_id if run else None


def check_artifacts(run_id: str) -> None:
    """Make sure that a run's artifacts do not go through a server that is not the one we talk to.

    Raises:
        TrackingError: the experiment was made by a server, and we write to its database directly.
    """
    import mlflow
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.store import without_credentials

    uri = mlflow.get_tracking_uri()
    run = MlflowClient().get_run(run_id)
    if is_web_address(uri) or not run.info.artifact_uri.startswith(_PROXIED):
        return
    name = mlflow.get_experiment(run.info.experiment_id).name
    raise TrackingError(
        f"experiment {name!r} at {without_credentials(uri)}, whose artifacts go through a server",
        "the address of that server, because a database takes no artifacts in",
        "Set MLFLOW_TRACKING_URI to it, or LIFEMILES_EXPERIMENT to another name",
    )


def describe(run_id: str, config: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Write the whole configuration and the tags of a run, in one batch.

    Args:
        run_id: the parent run.
        config: flat configuration; values are written the way kedro-mlflow writes them.
        tags: `run_level`, `training_mode`, ...

    Returns:
        The id of the run's experiment.

    Raises:
        ConfigError: two names of the configuration are one to MLflow.
    """
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.entities import clean_key, params_of, tags_of

    client = MlflowClient()
    for name in config:
        if (key := clean_key(name)) != name:
            logger.warning("Parameter %r is %r in MLflow, which takes no such name.", name, key)
    client.log_batch(run_id, params=params_of(config), tags=tags_of(tags))
    return client.get_run(run_id).info.experiment_id


def rename_partial(run_id: str, pipelines: str) -> None:
    """Take a run that trains nothing out of the list of training runs by its name."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    name = client.get_run(run_id).info.run_name
    if name.startswith(TRAINING_NAME):
        client.update_run(run_id, name=f"{pipelines}_{name.removeprefix(TRAINING_NAME)}")


def leave_closed(run_id: str) -> None:
    """Take a run that has ended off MLflow's stack of active runs.

    kedro-mlflow puts it there once more for every node, and takes it off once: the next run of
    the same process, in a notebook say, would write into it.

    Args:
        run_id: the parent run; one that is still running belongs to whoever opened it.
    """
    import mlflow
    from mlflow.entities import RunStatus
    from mlflow.tracking import MlflowClient

    if active_run_id() != run_id:
        return
    status = MlflowClient().get_run(run_id).info.status
    if RunStatus.is_terminated(RunStatus.from_string(status)):
        while active_run_id() == run_id:
            mlflow.end_run(status)


def lost_store(error: BaseException) -> LostStoreError | None:
    """Whether an error comes from a tracking store, or registry, that went away during the run.

    Args:
        error: what stopped the run.

    Returns:
        What to say instead; nothing when both answer, or MLflow had no part in the error.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from lifemiles_forecasting.tracking.store import PATIENCE_SECONDS, probe

    if not any(isinstance(seen, MlflowException) for seen in causes(error)):
        return None
    stores = {mlflow.get_registry_uri(): "model registry"}
    stores[mlflow.get_tracking_uri()] = "tracking store"  # often the same
    for uri, store in stores.items():
        try:
            probe(uri, store=store, busy=PATIENCE_SECONDS)  # MLflow has waited before
        except TrackingError as lost:
            return LostStoreError(
                f"{lost.found}, which was there when the run began",
                lost.expected,
                _LOST[store],
            )
    return None


@contextmanager
def without_retries() -> Iterator[None]:
    """MLflow's calls to a store that is away, or locked, fail at once instead of after minutes."""
    from lifemiles_forecasting.tracking.store import impatient_sqlite

    before = os.environ.get(_RETRIES)
    os.environ[_RETRIES] = "0"
    try:
        with impatient_sqlite():
            yield
    finally:
        del os.environ[_RETRIES]
        if before is not None:
            os.environ[_RETRIES] = before


class RunGuard:
    """Closes the parent run when the program is interrupted.

    MLflow itself would leave it FINISHED after Ctrl-C and RUNNING after SIGTERM.
    """

    def __init__(self) -> None:
        self._run_id: str | None = None
        self._process = 0
        self._interrupted = False
        self._last: tuple[int, float] = (0, 0.0)  # signal, and when it came
        self._replaced: dict[int, Any] = {}

    def watch(self, run_id: str) -> None:
        """Look after a run from now on."""
        self._run_id, self._process, self._interrupted = run_id, os.getpid(), False
        atexit.register(self.close, "KILLED")
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may set handlers
        self._take_over(signal.SIGINT, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                self._take_over(getattr(signal, name), signal.SIG_DFL)

    def release(self) -> None:
        """The run has ended by itself; an interruption that looked like an error is put right."""
        if self._interrupted:
            self.close("KILLED")
        if self._run_id is not None:
            leave_closed(self._run_id)
        self._run_id = None
        atexit.unregister(self.close)
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        self._replaced.clear()

    def abandon(self) -> None:
        """Let go of a run whose store is gone, or MLflow would try to close it again at exit."""
        import mlflow
        from mlflow.exceptions import MlflowException

        self._run_id, self._interrupted = None, False
        with without_retries():
            while active_run_id() is not None:
                with suppress(MlflowException):  # it is off the stack all the same
                    mlflow.end_run("FAILED")
        self.release()

    def close(self, status: str) -> None:
        """End the run that is being looked after, if it still is.

        Args:
            status: `KILLED` or `FAILED`.
        """
        if self._run_id is None or os.getpid() != self._process:
            return
        import mlflow
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        run_id, self._run_id = self._run_id, None
        try:
            while active_run_id() is not None:  # or MLflow calls it FINISHED at exit
                mlflow.end_run(status)
            MlflowClient().set_terminated(run_id, status)
        except MlflowException as error:
            logger.warning("The run %s could not be closed as %s: %s", run_id, status, error)

    def _take_over(self, number: int, usual: Any) -> None:
        if signal.getsignal(number) is usual:  # someone else's handler stays
            self._replaced[number] = signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        (last, before), now = self._last, time.monotonic()
        self._last = number, now
        if number == last and now - before < _ONE_SIGNAL_SECONDS:
            return
        if os.getpid() == self._process:
            self._interrupted = True
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

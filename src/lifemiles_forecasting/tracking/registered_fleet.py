"""From a training run to a version of the registered model, and back to the model."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lifemiles_forecasting.core.errors import ForecastingError
from lifemiles_forecasting.tracking.champion import unless_missing
from lifemiles_forecasting.tracking.entities import tags_of
from lifemiles_forecasting.tracking.fleet import (
    log_before_test,
    log_fleet,
    read_before_test,
    read_fleet,
)
from lifemiles_forecasting.tracking.names import (
    CHALLENGER,
    CHAMPION,
    FILES_DIGEST,
    GATE_PREFIX,
    GATE_REASONS,
    GATE_STATUS,
)
from lifemiles_forecasting.tracking.registry import MODE_TAG, Registry

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.core.fleet import FleetModel
    from lifemiles_forecasting.core.gate import Incumbent, Verdict
    from lifemiles_forecasting.core.results import LoadedVersion, Registration

VERSION_TAG = "model_version"  # of a run: the version that it made, or that it used
ROLE_TAG = "model_role"  # of a run: what its version became
UNREGISTERED = "not_registered"
_DIGITS = 4
_ADDRESSES = {
    r"[\w+.-]+://[^\s'\"<>),;]+": "...",
    r"\b(host name|host|server at|server on|resolve)([ =])(['\"]).*?\3": r"\1\2...",
    r"\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b": "...",
}


def log_and_register(client: MlflowClient, run_id: str, new: Registration) -> str:
    """Log a model to the active run and, of a full run, register it.

    Args:
        client: of the tracking store.
        run_id: the training run; it is the active one.
        new: the model and what the gate says of it.

    Returns:
        A sentence on what became of it.
    """
    model = log_fleet(new.fleet)
    log_before_test(client, run_id, new.before_test)
    tags = client.get_run(run_id).data.tags
    mode = tags.get(MODE_TAG, "full")
    registry = Registry(client)
    verdict = _of_today(new.verdict, registry)
    gate = _gate_tags(verdict)
    if mode == "limited":
        client.log_batch(run_id, tags=tags_of({**gate, ROLE_TAG: UNREGISTERED}))
        return f"The model of this run is not registered: {'; '.join(verdict.reasons)}."
    about = {key: new.fleet.recipe[key] for key in ("target", "horizon", "trained_until")}
    about |= {FILES_DIGEST: tags[FILES_DIGEST], MODE_TAG: mode}
    version = registry.add(model.model_uri, run_id, {**gate, **about}).version
    if verdict.passed:
        registry.promote(version)
        role, why = CHAMPION, "it passed the gate"
    else:
        registry.challenge(version)
        role, why = CHALLENGER, "; ".join(verdict.reasons)
    client.log_batch(run_id, tags=tags_of({**gate, VERSION_TAG: version, ROLE_TAG: role}))
    return f"Version {version} of {registry.name} is the {role}: {why}."


def _of_today(verdict: Verdict, registry: Registry) -> Verdict:
    """The verdict, against it where it is on another model than the one in charge by now.

    Another run, or `kedro models promote`, may have put one there since; it was not compared.
    """
    from lifemiles_forecasting.core.gate import Finding

    if not verdict.passed:
        return verdict
    one = registry.alias(CHAMPION)
    today = "" if one is None else str(one.version)
    if today == verdict.champion:
        return verdict
    known, now = (f"version {name}" if name else "no model" for name in (verdict.champion, today))
    sentence = f"it was judged while {known} was in charge, and by now {now} is"
    return replace(verdict, findings=(Finding("other_champion", sentence),))


def _gate_tags(verdict: Verdict) -> dict[str, str]:
    tags = {GATE_STATUS: "passed" if verdict.passed else "failed"}
    tags |= {
        f"{GATE_PREFIX}{name}": f"{value:.{_DIGITS}f}" for name, value in verdict.figures.items()
    }
    if verdict.reasons:
        tags[GATE_REASONS] = "; ".join(verdict.reasons)
    if verdict.champion:
        tags[f"{GATE_PREFIX}champion"] = verdict.champion
    return tags


def is_registered(client: MlflowClient, run_id: str) -> bool:
    """Whether a run has logged its model of all stores."""
    return ROLE_TAG in client.get_run(run_id).data.tags


def incumbent(client: MlflowClient) -> Incumbent | None:
    """Today's champion as it was before its test window; None where there is none.

    One that cannot be asked for, or not be read, comes with its problem; of the first, nobody knows
    the version.
    """
    from mlflow.exceptions import MlflowException

    from lifemiles_forecasting.core.gate import Incumbent

    version = "?"
    try:
        champion = Registry(client).alias(CHAMPION)
        if champion is None:
            return None
        version = str(champion.version)
        return Incumbent(version, read_before_test(client, champion.run_id))
    except (ForecastingError, MlflowException, OSError) as error:
        return Incumbent(version, None, _without_addresses(str(error)))


def _without_addresses(text: str) -> str:
    """What an error says, without the hosts that libraries name in it: many see a gate's reason.

    >>> _without_addresses("no answer of http://me:secret@10.0.0.1:5000/api (host='10.0.0.1')")
    'no answer of ... (host=...)'
    """
    for shape, instead in _ADDRESSES.items():
        text = re.sub(shape, instead, text)
    return text


@dataclass(frozen=True)
class RegisteredFleets:
    """Reads registered models.

    Attributes:
        client: of the tracking store and its registry.
    """

    client: MlflowClient

    def read(self, version: int | None, alias: str) -> LoadedVersion:
        """Read one: by its number, else by its alias.

        Raises:
            TrackingError: there is none, or its files are not those that were logged.
        """
        from lifemiles_forecasting.core.results import LoadedVersion

        registry = Registry(self.client)
        one = registry.chosen(version, alias)
        uri = f"models:/{registry.name}/{one.version}"
        fleet = read_fleet(uri, one.tags.get(FILES_DIGEST) or self._digest_of_run(one.run_id))
        return LoadedVersion(str(one.version), one.run_id, fleet)

    def _digest_of_run(self, run_id: str | None) -> str | None:
        """The digest that the run has: a version that was registered by hand has none."""
        run = unless_missing(self.client.get_run, run_id) if run_id else None
        return run.data.tags.get(FILES_DIGEST) if run else None

    def read_before_test(self, known: LoadedVersion) -> FleetModel:
        """Read a version as it was before its test window.

        Raises:
            TrackingError: its run has not kept it, or its files are not those that were logged.
        """
        return read_before_test(self.client, known.run_id)

"""Training some stores anew and keeping the rest of the model in charge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.candidates.learners import Model
from lifemiles_forecasting.core.config import HolidaySettings, ModelSettings
from lifemiles_forecasting.core.errors import ConfigError, InputError
from lifemiles_forecasting.core.fitting import POOLED
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.names import first_few
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import Study

DRIFTED = "drifted"  # mode of a run that trains some stores only
RETRAIN = "retrain"  # column of the table of the monitoring
NOT_TRAINED = "drifted_store_not_trained"  # code of a warning
_FULL = "Train every store with --params=retrain=all"


@dataclass(frozen=True)
class Kept:
    """What stays of the model in charge.

    Attributes:
        version: of the registered model.
        final: the model.
        before_test: the same as it was before its own test window. In the backtest it stands in for
            the model, so that no window is forecast by models that have seen it.
        stores: ids of the stores that are trained anew.
        left: ids of those that were to be and are not: without history enough, or not there.
    """

    version: str
    final: FleetModel
    before_test: FleetModel
    stores: frozenset[str]
    left: frozenset[str] = frozenset()

    def training(self, ids: np.ndarray) -> Kept:
        """The same with these of its stores as the ones that are trained, if there is any."""
        trained = frozenset(ids.tolist())
        return replace(self, stores=trained, left=self.stores - trained) if trained else self

    def informed(self, events: pd.DataFrame, holidays: HolidaySettings) -> Kept:
        """The same with today's plan and regions: the model that is made of it will go by them."""
        models = (self.final, self.before_test)
        final, before_test = (model.informed(events, holidays) for model in models)
        return replace(self, final=final, before_test=before_test)

    @property
    def since(self) -> np.datetime64:
        """The first origin that `before_test` may forecast from."""
        return self.before_test.trained_until

    def pooled(self, name: str, *, refit: bool) -> Model | None:
        """The model of all stores, for the forecasts (`refit`) or for the backtest."""
        return (self.final if refit else self.before_test).pooled.get(name)

    def blend(self, history: Series, *, refit: bool) -> np.ndarray:
        """(S, H) forecasts of the stores that are kept, see `FleetModel.blend`."""
        return (self.final if refit else self.before_test).blend(history)

    def weights(self, ids: np.ndarray, *, refit: bool) -> np.ndarray:
        """(S, K) weights of these stores; nan for those that the model does not know."""
        model = self.final if refit else self.before_test
        row = pd.Index(model.history.store_ids).get_indexer(ids)
        return np.where((row >= 0)[:, None], model.weights[row], np.nan)

    def modelled(self) -> set[str]:
        """Ids of the stores whose own models are kept."""
        known = self.final.history.store_ids[self.final.modelled]
        return set(known) - self.stores


@dataclass(frozen=True)
class TrainingPlan:
    """Which stores a run trains.

    Attributes:
        kept: what stays of the model in charge; None where every store is trained anew.
    """

    kept: Kept | None = None


def drifted_stores(drift: pd.DataFrame | None) -> frozenset[str]:
    """The stores that monitoring wants to be trained anew.

    Args:
        drift: its table with `store_id, retrain`; None where it has not run.

    Raises:
        InputError: it has not run, or found none.
    """
    if drift is None:
        raise InputError(
            "no drift.csv of the monitoring",
            "the stores to train anew",
            "Run `kedro run --pipelines=monitoring` with the same data_root first",
        )
    ids = frozenset(drift[c.STORE_ID][drift[RETRAIN].astype(bool)])
    if not ids:
        raise InputError("no store to train anew", "at least one in drift.csv", _FULL)
    return ids


def check_same(kept: Kept, target: str, horizon: int, settings: ModelSettings) -> None:
    """Make sure that the model in charge and this run go together.

    Raises:
        ConfigError: target, horizon, candidates or sizes are others than those of the model.
    """
    recipe = kept.final.recipe
    ours = {"target": target, "horizon": horizon, "candidates": list(settings.candidates)}
    theirs = {name: recipe[name] for name in ours}
    for name in POOLED:
        if name in recipe["sizes"]:
            ours |= {f"sizes of {name}": sorted(getattr(settings, name).sizes)}
            theirs |= {f"sizes of {name}": recipe["sizes"][name]}
    for name, value in ours.items():
        known = theirs[name]
        if value != known and not (isinstance(value, list) and known in value):
            raise ConfigError(
                f"{name} {value} and a champion (version {kept.version}) of {known}",
                "the same, for the models of most stores are kept",
                _FULL,
            )


def check_study(study: Study) -> None:
    """Make sure that there are stores to train and windows to choose and to test on.

    Raises:
        InputError: none of the drifted stores has enough history, or there are fewer than two
            windows that the kept models have not seen.
    """
    kept, windows = study.kept, len(study.windows)
    if kept is None:
        return
    if not study.attempted.any():
        raise InputError(
            f"{len(kept.stores)} drifted stores, none with {study.min_samples} active days",
            "at least one with min_samples",
            _FULL,
        )
    if windows < 2:
        raise InputError(
            f"{windows} windows of {study.horizon} days that the kept models (version "
            f"{kept.version}, before its test known until {kept.since}) have not learned from",
            f"two: {study.horizon} days after the last one that the model in charge knows",
            _FULL,
        )


def notices(study: Study) -> list[Notice]:
    """A warning that names the drifted stores whose models stay as they are."""
    left = sorted(study.kept.left) if study.kept is not None else []
    return [Notice(first_few(left), "retraining", NOT_TRAINED, len(left))] if left else []

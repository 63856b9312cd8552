"""The fleet model that a run leaves: of its refit, or as it stood before the test window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core.backtest import Backtest
from lifemiles_forecasting.core.candidates.learners import Model
from lifemiles_forecasting.core.combine import only_base
from lifemiles_forecasting.core.config import DataSettings
from lifemiles_forecasting.core.drift import backtest_errors
from lifemiles_forecasting.core.fitting import LOCAL, POOLED
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.forecast import final_intervals, modelled_stores
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import Study


def fleet_of_run(
    study: Study,
    result: Backtest,
    everyone: Series,
    recipe: Mapping[str, Any],
    events: pd.DataFrame,
    *,
    before_test: bool = False,
) -> FleetModel:
    """The fleet model of a run.

    Args:
        study: the stores of the run.
        result: of the backtest, with the refit.
        everyone: all stores of the data.
        recipe: from `recipe_of`.
        events: planned events, the columns of `columns.EVENTS`.
        before_test: the models as they were fitted before the test window, which no day of it has
            touched, instead of those of the refit that the forecasts come from. A later run is
            measured against them: models that had seen days of its test window would look better
            than they are.
    """
    if before_test:
        cutoff, intervals = study.windows[-1], result.intervals
    else:
        cutoff, intervals = study.last, final_intervals(study, result)
    known = everyone.until(cutoff + 1)
    row = pd.Index(known.store_ids).get_indexer(study.series.store_ids)
    members, modelled = (np.zeros(len(known.y), bool) for _ in range(2))
    members[row] = True
    modelled[row] = np.isin(study.series.store_ids, list(modelled_stores(study, result)))
    weights = np.full((len(known.y), result.weights.shape[1]), np.nan)
    weights[row] = _weights_of_test(study, result) if before_test else result.weights
    pooled, own = _models(study, result, cutoff)
    features = {name: list(model.features) for name, model in pooled.items()}
    features |= {name: _all_features(some) for name, some in own.items()}
    full = {
        **recipe,
        "trained_until": str(known.origin),
        "whole": bool(members[everyone.sold].all()),
        "features": features,
    }
    errors = backtest_errors(study, result)
    return FleetModel(
        full, known, members, modelled, weights, intervals, events, errors, pooled, own
    )


def _weights_of_test(study: Study, result: Backtest) -> np.ndarray:
    """(S, K) weights that the test window was forecast with.

    Stores with too few days by then had the base, and those that are not trained anew what they
    had before the test window of the model in charge.
    """
    weights = result.weights.copy()
    young = study.attempted & ~study.attempted_at(study.windows[-1])
    weights[young] = only_base(study.settings.candidates)
    if study.kept is not None:
        before = study.kept.weights(study.series.store_ids, refit=False)
        known = ~study.attempted & np.isfinite(before).all(axis=1)
        weights[known] = before[known]
    return weights


def recipe_of(study: Study, result: Backtest, target: str, rules: DataSettings) -> dict[str, Any]:
    """What of a fleet model's recipe is the same before and after the test window.

    Args:
        study: the stores of the run.
        result: of the backtest.
        target: what is forecast.
        rules: what classes of stores go by.
    """
    return {
        "target": target,
        "horizon": study.horizon,
        "candidates": list(study.settings.candidates),
        "sizes": dict(result.sizes),
        "holidays": study.settings.holidays.model_dump(mode="json"),
        "min_samples": study.min_samples,
        "dormant_days": rules.dormant_days,
        "intermittent_zero_share": rules.intermittent_zero_share,
    }


def _models(
    study: Study, result: Backtest, cutoff: int
) -> tuple[dict[str, Model], dict[str, dict[str, Model]]]:
    """The pooled models, and the stores' own ones that have any weight, at a cutoff."""
    ids, names = study.series.store_ids, study.settings.candidates
    pooled: dict[str, Model] = {}
    own: dict[str, dict[str, Model]] = {}
    for name, size in result.sizes.items():
        models = result.fits.by[(name, size), cutoff].models
        weight = result.weights[:, names.index(name)]
        if name in POOLED and -1 in models:
            pooled[name] = models[-1]
        elif name in LOCAL:
            used: dict[str, Model] = _kept_models(study, name, cutoff)
            used |= {str(ids[s]): m for s, m in models.items() if weight[s] > 0}
            own |= {name: used} if used else {}
    return pooled, own


def _all_features(models: Mapping[str, Model]) -> list[str]:
    """What any of a kind of stores' own models has learned; those that are kept may differ."""
    known = {model.features for model in models.values()}
    return list(dict.fromkeys(name for features in sorted(known) for name in features))


def _kept_models(study: Study, name: str, cutoff: int) -> dict[str, Model]:
    """Own models of the stores that are not trained anew."""
    if study.kept is None:
        return {}
    fleet = study.kept.final if cutoff == study.last else study.kept.before_test
    known = fleet.own.get(name, {})
    return {store: known[store] for store in known if store not in study.kept.stores}

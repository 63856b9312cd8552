"""What each attempted store leaves behind: its fit in figures, its model, its run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import fitting, metrics
from lifemiles_forecasting.core.backtest import Backtest
from lifemiles_forecasting.core.candidates.learners import Model, to_units
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.features import Features
from lifemiles_forecasting.core.finish import closed_and_floor
from lifemiles_forecasting.core.forecast import DORMANT, FAILED, OK
from lifemiles_forecasting.core.intervals import Intervals, Spread
from lifemiles_forecasting.core.parallel import Failure
from lifemiles_forecasting.core.results import StoreRun
from lifemiles_forecasting.core.rows import features_at
from lifemiles_forecasting.core.silence import Silence
from lifemiles_forecasting.core.store_model import StoreModel, scaler_of
from lifemiles_forecasting.core.study import Study

TRAIN_METRICS = ("mae", "rmse", "r2", "smape")


def weights_frame(study: Study, result: Backtest) -> pd.DataFrame:
    """`store_id, candidate, weight` of the attempted stores; a store's weights sum to 1."""
    ids, names = study.series.store_ids[study.attempted], study.settings.candidates
    return pd.DataFrame(
        {
            c.STORE_ID: np.repeat(ids, len(names)),
            c.CANDIDATE: np.tile(np.array(names, dtype=object), len(ids)),
            "weight": result.weights[study.attempted].ravel(),
        }
    )


def importance_frame(study: Study, result: Backtest) -> pd.DataFrame:
    """What the learners of the refit look at.

    Returns:
        The columns of `columns.IMPORTANCE`: for each learner, in the settings' order, the share of
        each feature in percent, the largest first. For a store's own kind of model it is the mean
        over the stores. No row for a learner that was fitted for nobody.
    """
    rows = []
    for name in study.settings.candidates:
        size = result.sizes.get(name)
        models = result.fits.by[(name, size), study.last].models if size is not None else {}
        for feature, share in _mean_importance(list(models.values())):
            rows.append((name, feature, share))
    return pd.DataFrame(rows, columns=list(c.IMPORTANCE)).astype({c.SHARE: float})


def _mean_importance(models: list[Model]) -> list[tuple[str, float]]:
    """Mean share of each feature, percent, the largest first."""
    total: dict[str, float] = {}
    for model in models:
        for feature, share in model.importance().items():
            total[feature] = total.get(feature, 0.0) + share / len(models)
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))


def failures_frame(failures: list[Failure]) -> pd.DataFrame:
    """The ledger of failures, with the columns of `columns.FAILURES`."""
    rows = [(f.store_id, f.stage, f.error, f.traceback_hash) for f in failures]
    return pd.DataFrame(rows, columns=list(c.FAILURES)).drop_duplicates(ignore_index=True)


def attempted_frame(study: Study, result: Backtest) -> pd.DataFrame:
    """How each attempted store's fit went.

    Returns:
        `store_id, status (ok|failed), reason, champion, train_seconds, n_features,
        train_samples, train_mae, train_rmse, train_r2, train_smape`. The `train_` figures are
        the fit of the test window: the same blend on the rows that it had learned from.
    """
    reasons = {f.store_id: f"{f.stage}: {f.error}" for f in result.fits.failures}
    fitted = _fitted_blend(study, result)
    known = np.isfinite(fitted) & np.isfinite(study.rows.y)
    features = {name: len(_feature_names(study, name)) for name in study.settings.candidates}
    rows = []
    for store in np.flatnonzero(study.attempted):
        store_id = study.series.store_ids[store]
        own = slice(study.rows.bounds[store], study.rows.bounds[store + 1])
        used = known[own]
        y = (study.rows.y[own] * study.rows.scale[own])[used].astype(float)
        figures = {
            f"train_{name}": metrics.METRICS[name](y, fitted[own][used]) if len(y) else np.nan
            for name in TRAIN_METRICS
        }
        champion = champion_of(study, result, store)
        rows.append(
            {
                c.STORE_ID: store_id,
                c.STATUS: FAILED if store_id in reasons else OK,
                c.REASON: reasons.get(store_id, ""),
                "champion": champion,
                "train_seconds": result.fits.seconds[store],
                "n_features": features[champion],
                "train_samples": len(y),
                **figures,
            }
        )
    return pd.DataFrame(rows)


def champion_of(study: Study, result: Backtest, store: int) -> str:
    """The candidate with the largest weight."""
    return study.settings.candidates[int(np.argmax(result.weights[store]))]


def _feature_names(study: Study, candidate: str) -> tuple[str, ...]:
    """Features that a candidate sees at the end of the data; none for the closed form."""
    if candidate not in fitting.LEARNED:
        return ()
    return fitting.feature_names(study, candidate, study.last)


def _fitted_blend(study: Study, result: Backtest) -> np.ndarray:
    """(N,) the blend on the training rows of the test window's fit; nan for later rows.

    Candidates that do not learn from these rows (the recursive model has rows of its own) hand
    their weight to those that do.
    """
    rows, test = study.rows, study.windows[-1]
    base = (rows.base * rows.scale).astype(float)
    total, mass = np.zeros(len(base)), np.zeros(len(base))
    for k, name in enumerate(study.settings.candidates):
        values = base if name == "base" else np.full(len(base), np.nan)
        if name in result.sizes:
            fit = result.fits.by[(name, result.sizes[name]), test]
            if len(fit.fitted):
                values = to_units(fit.fitted, base, rows.scale)
        weight = np.where(np.isfinite(values), result.weights[rows.store, k], 0.0)
        total += weight * np.nan_to_num(values)
        mass += weight
    blended = np.divide(total, mass, out=base.copy(), where=mass > 0)
    return np.where(rows.due <= test, blended, np.nan)


def store_runs(
    study: Study,
    result: Backtest,
    intervals: Intervals,
    store_metrics: pd.DataFrame,
    attempted: pd.DataFrame,
) -> list[StoreRun]:
    """One run for every attempted store, failed ones included.

    Args:
        study: the stores of this run.
        result: of the backtest, with the refit.
        intervals: those of the forecasts.
        store_metrics: the test window's figures, from `core.quality`.
        attempted: from `attempted_frame`.
    """
    at = features_at(study.series, study.calendar, study.last, study.horizon)
    pack = _Packer(study, result, intervals, at)
    measured = store_metrics.set_index(c.STORE_ID)
    row = {store_id: k for k, store_id in enumerate(study.series.store_ids)}
    return [
        pack.run(row[line[c.STORE_ID]], line, measured.loc[line[c.STORE_ID]])
        for line in attempted.to_dict("records")
    ]


class _Packer:
    """Holds what all stores share while their runs are put together."""

    def __init__(self, study: Study, result: Backtest, intervals: Intervals, at: Features) -> None:
        self.study, self.result, self.at = study, result, at
        forecast = np.nan_to_num(result.y_hat[BLEND, study.last])
        self.spread = Spread.of(study.series)
        self.offsets = intervals.offsets(forecast, self.spread)
        self.closed, self.floor = closed_and_floor(
            study.series, study.horizon, study.calendar.holidays()
        )
        self.silence = Silence.of(study.series, study.horizon)
        self.pooled = {
            name: result.fits.by[(name, size), study.last].models.get(-1)
            for name, size in result.sizes.items()
        }
        self.importance = {
            name: model.importance() for name, model in self.pooled.items() if model is not None
        }
        self.now = datetime.now().astimezone().isoformat(timespec="seconds")

    def run(self, store: int, line: Mapping[str, Any], measured: pd.Series) -> StoreRun:
        """The run of one store."""
        stores = self.study.series.stores
        failed = line[c.STATUS] == FAILED
        own = {} if failed else self._own(store)
        return StoreRun(
            store_id=line[c.STORE_ID],
            partner_code=stores[c.PARTNER_CODE].iloc[store],
            store_code=stores[c.STORE_CODE].iloc[store],
            status=line[c.STATUS],
            reason=line[c.REASON],
            params=self._params(line),
            metrics=_metrics(line, measured),
            tags={
                "model_quality": str(measured["quality"]),
                "model_type": line["champion"],
                "champion": line["champion"],
                "training_date": self.now,
                "store_class": stores[c.STORE_CLASS].iloc[store],
            },
            model={} if failed else self.model(store, own).to_files(),
            scaler={} if failed else scaler_of(own, float(self.at.scale[store])),
            importance={} if failed else self._importance(store, own),
        )

    def _own(self, store: int) -> dict[str, Model]:
        """The store's own models of the refit."""
        fits = self.result.fits.by
        models = {
            name: fits[(name, size), self.study.last].models.get(store)
            for name, size in self.result.sizes.items()
            if name not in self.importance
        }
        return {name: model for name, model in models.items() if model is not None}

    def model(self, store: int, own: dict[str, Model]) -> StoreModel:
        """Everything that the store's forecast needs."""
        study, stores = self.study, self.study.series.stores
        names = study.settings.candidates
        dormant = stores[c.STORE_CLASS].iloc[store] == "dormant"
        closed = self.closed[store] | dormant
        features = _feature_names(study, "local_catboost")
        columns = [self.study.rows.names.index(name) for name in features]
        present = [np.isfinite(self.result.y_hat[name, study.last][store]).all() for name in names]
        weights = np.where(present, self.result.weights[store], 0.0)
        state = {
            **{key: stores[key].iloc[store] for key in (c.STORE_ID, c.PARTNER_CODE, c.STORE_CODE)},
            "origin": str(study.series.origin),
            c.STATUS: DORMANT if dormant else OK,
            "weights": dict(zip(names, (weights / weights.sum()).tolist(), strict=True)),
            "values": {
                name: self.result.y_hat[name, study.last][store].tolist()
                for name, there in zip(names, present, strict=True)
                if there and name not in own
            },
            "silence": self.silence.values[store].tolist(),
            "silence_trust": float(self.silence.trust[store]),
            "features": features,
            "X": self.at.X[store][:, columns].astype(float).tolist(),
            "base": self.at.base[store].tolist(),
            "scale": float(self.at.scale[store]),
            "closed": closed.tolist(),
            "floor": float(self.floor[store]),
            "offsets": self.offsets[store].tolist(),
        }
        return StoreModel(state, own)

    def _importance(self, store: int, own: dict[str, Model]) -> dict[str, float]:
        """Share of each feature in the blend: the candidates' shares by their weights."""
        total: dict[str, float] = {}
        shares = self.importance | {name: model.importance() for name, model in own.items()}
        for name, share in shares.items():
            weight = self.result.weights[store, self.study.settings.candidates.index(name)]
            for feature, value in share.items():
                total[feature] = total.get(feature, 0.0) + float(weight) * value
        mass = sum(total.values())
        ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
        return {name: 100 * value / mass if mass > 0 else 0.0 for name, value in ranked}

    def _params(self, line: Mapping[str, Any]) -> dict[str, Any]:
        champion = line["champion"]
        size = self.result.sizes.get(champion)
        params = {"n_features": line["n_features"], "model_type": champion}
        params |= {f"size_{name}": chosen for name, chosen in self.result.sizes.items()}
        if champion == "ridge":
            return params | {"alpha": self.study.settings.ridge.alphas[size]}
        if size is None:
            return params
        return params | getattr(self.study.settings, champion).sizes[size].model_dump()


def _metrics(line: Mapping[str, Any], measured: pd.Series) -> dict[str, float]:
    """The metrics of a nested run, under the names of the tracking contract."""
    names = [name for name in measured.index if name.startswith(("test_", "coverage_", "weight_"))]
    figures = {name: float(measured[name]) for name in names}
    figures["naive_wape"] = float(measured["naive_wape"])
    trained = ("n_features", "train_samples", "train_seconds")
    names = (*trained, *(f"train_{name}" for name in TRAIN_METRICS))
    return figures | {name: float(line[name]) for name in names}

"""One model of all stores: everything that tomorrow's forecasts need, as plain files.

It holds the learned parts (pooled models, the stores' own models, weights, intervals) and the
history up to the day it was trained on. Levels, profiles, features, closed days and silences are
read off the history at every call, so that newer days change the forecasts without training.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core.calendar import Calendar, country_notices
from lifemiles_forecasting.core.candidates import recursive
from lifemiles_forecasting.core.candidates.closed import CLOSED
from lifemiles_forecasting.core.candidates.learners import (
    Model,
    columns_of,
    load_catboost,
    load_ridge,
    to_units,
)
from lifemiles_forecasting.core.config import HolidaySettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.event_days import EVENT_PREFIX
from lifemiles_forecasting.core.features import Features
from lifemiles_forecasting.core.finish import finish
from lifemiles_forecasting.core.fitting import LOCAL, POOLED
from lifemiles_forecasting.core.forecast import forecast_table, statuses
from lifemiles_forecasting.core.intervals import Intervals
from lifemiles_forecasting.core.notices import Notice
from lifemiles_forecasting.core.rows import features_at
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.tasks import pooled_forecast

FORMAT = 4
RECIPE, ARRAYS = "fleet.json", "arrays.npz"
STORES, EVENTS, ERRORS = "stores.parquet", "events.parquet", "errors.parquet"


@dataclass(frozen=True)
class FleetModel:
    """All stores' forecasts from any day on.

    Attributes:
        recipe: `target, horizon, trained_until` (ISO date), `candidates`, `sizes` (by learner),
            `features` (names, by learner; of a store's own models those of all stores together),
            `holidays` (`HolidaySettings` as JSON), `whole` (whether the pooled models saw every
            store) and what classes of stores go by: `min_samples, dormant_days,
            intermittent_zero_share`.
        history: every store of the data, up to the day of training.
        pooled_rows: (S,) bool, the stores that the pooled models see; all where `whole`.
        modelled: (S,) bool, the stores whose own models stand.
        weights: (S, K) by candidate; nan for stores that are forecast by the base alone.
        intervals: around the forecasts.
        events: planned events, the columns of `columns.EVENTS`.
        errors: of its backtest, which monitoring goes by; the columns of `columns.ERRORS`.
        pooled: fitted models by candidate.
        own: the stores' own fitted models, by candidate and store id.
    """

    recipe: Mapping[str, Any]
    history: Series
    pooled_rows: np.ndarray
    modelled: np.ndarray
    weights: np.ndarray
    intervals: Intervals
    events: pd.DataFrame
    errors: pd.DataFrame
    pooled: Mapping[str, Model]
    own: Mapping[str, Mapping[str, Model]]

    @property
    def horizon(self) -> int:
        """H, days ahead."""
        return self.recipe["horizon"]

    @property
    def trained_until(self) -> np.datetime64:
        """The last day that its models saw."""
        return np.datetime64(self.recipe["trained_until"], "D")

    @property
    def event_features(self) -> set[str]:
        """What its models have learned of planned events."""
        learned = {feature for known in self.recipe["features"].values() for feature in known}
        return {name for name in learned if name.startswith(EVENT_PREFIX)}

    def informed(self, events: pd.DataFrame, holidays: HolidaySettings) -> FleetModel:
        """The same learned parts with another plan of events and other regions of holidays.

        What they have learned decides which events have a feature of their own.
        """
        recipe = {**self.recipe, "holidays": holidays.model_dump(mode="json")}
        return replace(self, recipe=recipe, events=events)

    def forecast(self, series: Series, events: pd.DataFrame | None = None) -> pd.DataFrame:
        """Forecast every store from the last day of a history.

        Args:
            series: what is known, with the stores' classes of that day. Stores that the model
                does not know get the base.
            events: planned events; by default those of the training.

        Returns:
            The columns of `columns.FORECASTS`, sorted by store and day.
        """
        ids = series.store_ids
        modelled = set(self.history.store_ids[self.modelled]) & set(ids)
        blended = self.blend(series, events)
        status, holidays = statuses(modelled, series), self.holidays_of(series)
        return forecast_table(series, blended, status, self.intervals, holidays)

    def blend(self, series: Series, events: pd.DataFrame | None = None) -> np.ndarray:
        """(S, H) forecast of the stores of `series`, target units; nan for those without weights.

        See `forecast`, which puts statuses and intervals to it.
        """
        row = pd.Index(self.history.store_ids).get_indexer(series.store_ids)
        known = row >= 0
        seen = np.where(known, self.pooled_rows[row], False) | (self.recipe["whole"] & series.sold)
        weights = np.where(known[:, None], self.weights[row], np.nan)
        members = np.flatnonzero(seen)
        pool = series.take(members)
        weights = weights[members]
        usable = np.isfinite(weights).all(axis=1)
        forecast = np.full((len(series.y), self.horizon), np.nan)
        if usable.any():
            plan = self.events if events is None else events
            planned = plan, self.event_features
            calendar = Calendar.of(pool, self.horizon, self._holidays(), *planned)
            candidates = self._candidates(pool, np.nan_to_num(weights), calendar)
            done = finish(pool, candidates, np.nan_to_num(weights), calendar.holidays())
            forecast[members[usable]] = done[usable]
        return forecast

    def _candidates(self, pool: Series, weights: np.ndarray, calendar: Calendar) -> np.ndarray:
        """(K, S, H) of those that have any weight; nan for the others."""
        names = self.recipe["candidates"]
        out = np.full((len(names), len(pool.y), self.horizon), np.nan)
        at = features_at(pool, calendar, len(pool.dates) - 1, self.horizon)
        for k, name in enumerate(names):
            if name in CLOSED:
                values = CLOSED[name](pool, self.horizon)
                values[~np.isfinite(values).all(axis=1)] = np.nan
                out[k] = values
            elif not (weights[:, k] > 0).any():
                continue
            elif name == "recursive":
                steps = recursive.Steps.of(pool, calendar, self.horizon, yearly=True)
                out[k] = recursive.forecast(steps, self.pooled[name], self.horizon)
            elif name in POOLED:
                out[k] = pooled_forecast(self.pooled[name], at)
            else:
                out[k] = self._own_forecasts(name, pool, at, weights[:, k] > 0)
        return out

    def _own_forecasts(
        self, name: str, pool: Series, at: Features, wanted: np.ndarray
    ) -> np.ndarray:
        """(S, H) by the stores' own models of one kind; nan for stores without."""
        forecast = np.full(at.base.shape, np.nan)
        models = self.own.get(name, {})
        for store in np.flatnonzero(wanted & (at.scale > 0)):
            model = models.get(pool.store_ids[store])
            if model is not None:
                X = columns_of(at.X[store], at.names, model.features)
                values = model.predict(X)
                forecast[store] = to_units(values, at.base[store], float(at.scale[store]))
        return forecast

    def holidays_of(self, series: Series) -> np.ndarray:
        """(S, D + H) bool, public holidays of each store by the regions that the model has."""
        return Calendar.of(series, self.horizon, self._holidays()).holidays()

    def country_notices(self, stores: pd.DataFrame) -> list[Notice]:
        """Warnings of countries that the regions of the model know no holidays of."""
        return country_notices(stores, self._holidays())

    def _holidays(self) -> HolidaySettings:
        return HolidaySettings.model_validate(self.recipe["holidays"])

    def to_files(self) -> dict[str, bytes]:
        """The model's files by name: JSON, npz, parquet and CatBoost's own format."""
        recipe = {**self.recipe, "format": FORMAT, "pooled": sorted(self.pooled)}
        stores = self.history.stores
        arrays = io.BytesIO()
        np.savez_compressed(
            arrays,
            y=self.history.y,
            first_day=self.history.dates[:1].astype(np.int64),
            pooled_rows=self.pooled_rows,
            modelled=self.modelled,
            weights=self.weights,
            distance=self.intervals.distance,
        )
        return {
            RECIPE: json.dumps(recipe, indent=1, allow_nan=False).encode(),
            ARRAYS: arrays.getvalue(),
            STORES: _parquet(stores),
            EVENTS: _parquet(self.events),
            ERRORS: _parquet(self.errors),
            **{f"{name}.cbm": model.dump() for name, model in self.pooled.items()},
            **{f"{name}.parquet": _packed(models) for name, models in self.own.items()},
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> FleetModel:
        """Read a model back from `to_files`.

        Raises:
            InputError: a format of another version.
        """
        recipe = json.loads(files[RECIPE])
        if recipe.pop("format", None) != FORMAT:
            raise InputError("a fleet model of another format", f"format {FORMAT}", "Train anew.")
        with np.load(io.BytesIO(files[ARRAYS]), allow_pickle=False) as saved:
            arrays = dict(saved)
        first = arrays["first_day"].astype("datetime64[D]")[0]
        dates = first + np.arange(arrays["y"].shape[1])
        features = {name: tuple(names) for name, names in recipe["features"].items()}
        pooled = {
            name: load_catboost(files[f"{name}.cbm"], features[name])
            for name in recipe.pop("pooled")
        }
        own: dict[str, Mapping[str, Model]] = {
            name: _OwnModels(files[f"{name}.parquet"], name)
            for name in LOCAL
            if f"{name}.parquet" in files
        }
        return cls(
            recipe,
            Series(arrays["y"], dates, _frame(files[STORES])),
            arrays["pooled_rows"],
            arrays["modelled"],
            arrays["weights"],
            Intervals(arrays["distance"]),
            _frame(files[EVENTS]),
            _frame(files[ERRORS]),
            pooled,
            own,
        )


class _OwnModels(Mapping[str, Model]):
    """Models of single stores, each parsed when it is asked for."""

    def __init__(self, packed: bytes, name: str) -> None:
        table = _frame(packed)
        values = zip(table["model"], table["features"], strict=True)
        self._name, self._packed = name, dict(zip(table[c.STORE_ID], values, strict=True))

    def __getitem__(self, store_id: str) -> Model:
        blob, features = self._packed[store_id]
        return load_ridge(blob) if self._name == "ridge" else load_catboost(blob, tuple(features))

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def _packed(models: Mapping[str, Model]) -> bytes:
    """A parquet file of `store_id, model, features`, sorted by store.

    Models are in their own format. Those that are kept may know other features than newer ones.
    """
    ids = sorted(models)
    packed = {
        "model": [models[store].dump() for store in ids],
        "features": [list(models[store].features) for store in ids],
    }
    return _parquet(pd.DataFrame({c.STORE_ID: ids, **packed}))


def _parquet(frame: pd.DataFrame) -> bytes:
    blob = io.BytesIO()
    frame.to_parquet(blob, index=False)
    return blob.getvalue()


def _frame(blob: bytes) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(blob))

"""One store's model: everything that its forecast needs, as plain files.

The store's own models are held in their native formats and evaluated anew at every call. What
the pooled candidates say about the store is held as values: their models serve every store and
are kept once per run, not once per store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import columns as c
from lifemiles_forecasting.core import zero_rule
from lifemiles_forecasting.core.answers import days_ahead
from lifemiles_forecasting.core.candidates.learners import (
    Model,
    RidgeModel,
    load_catboost,
    load_ridge,
    to_units,
)
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.intervals import NAMES, bounds
from lifemiles_forecasting.core.json_values import without_nan
from lifemiles_forecasting.core.silence import mixed

STATE = "state.json"
FORMAT = 1


@dataclass(frozen=True)
class StoreModel:
    """A store's forecast from one origin.

    Attributes:
        state: `format, store_id, partner_code, store_code, origin, status, weights` (by
            candidate), `values` (H by pooled or closed-form candidate), `silence` and
            `silence_trust` (see `core.silence`; H and a number), `features` (names),
            `X` (H x F, null where there is nothing to look at), `base` (H), `scale`,
            `closed` (H), `floor`, `offsets` (H x 4).
        own: the store's own fitted models by candidate.
    """

    state: Mapping[str, Any]
    own: Mapping[str, Model]

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> StoreModel:
        """Read a model back from `to_files`.

        Raises:
            InputError: a format of another version.
        """
        state = json.loads(files[STATE])
        if state.get("format") != FORMAT:
            raise InputError(f"a store model of format {state.get('format')!r}", f"format {FORMAT}")
        own: dict[str, Model] = {}
        for name, names in state["own"].items():
            if name == "ridge":
                own[name] = load_ridge(files["ridge.json"])
            else:
                own[name] = load_catboost(files[f"{name}.cbm"], tuple(names))
        return cls(state, own)

    def to_files(self) -> dict[str, bytes]:
        """The model's files by name."""
        files, own = {}, {}
        for name, model in self.own.items():
            own[name] = list(model.features)
            files["ridge.json" if isinstance(model, RidgeModel) else f"{name}.cbm"] = model.dump()
        state = {**self.state, "format": FORMAT, "own": own}
        return {STATE: json.dumps(without_nan(state), allow_nan=False).encode(), **files}

    @cached_property
    def table(self) -> pd.DataFrame:
        """The whole horizon, with the columns of `columns.FORECASTS`."""
        state = self.state
        forecast = self._forecast()
        limits = bounds(forecast, np.array(state["offsets"], dtype=float))
        days = np.datetime64(state["origin"], "D") + 1 + np.arange(len(forecast))
        table = pd.DataFrame(
            {
                c.STORE_ID: state[c.STORE_ID],
                c.PARTNER_CODE: state[c.PARTNER_CODE],
                c.STORE_CODE: state[c.STORE_CODE],
                c.DATE: days.astype(str),
                c.HORIZON: np.arange(1, len(forecast) + 1),
                c.FORECAST: forecast,
            }
        )
        table[list(NAMES)] = limits
        table[c.STATUS] = state[c.STATUS]
        return table[list(c.FORECASTS)]

    def _forecast(self) -> np.ndarray:
        state = self.state
        X = np.array(state["X"], dtype=np.float32)
        base = np.array(state["base"], dtype=float)
        total = np.zeros(len(base))
        for name, weight in state["weights"].items():
            if weight <= 0:
                continue
            if name in self.own:
                model = self.own[name]
                columns = [state["features"].index(feature) for feature in model.features]
                values = to_units(model.predict(X[:, columns]), base, state["scale"])
            else:
                values = np.array(state["values"][name], dtype=float)
            total += weight * values
        total = mixed(total, np.array(state["silence"], dtype=float), state["silence_trust"])
        closed = np.array(state["closed"], dtype=bool)
        return zero_rule.apply(total[None], closed[None], np.array([state["floor"]]))[0]

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Forecast the asked days.

        Args:
            frame: optional columns `horizon` (days ahead, from 1) and `date`, of which a row's
                horizon goes first; without either, or without rows, the whole horizon.

        Returns:
            A row per asked row, in its order, with the columns of `columns.FORECASTS`.

        Raises:
            InputError: a row that names no day, or one outside the horizon that the model was
                trained for.
        """
        table = self.table
        if frame.empty or not {c.HORIZON, c.DATE} & set(frame.columns):
            return table.copy()
        wanted = days_ahead(frame, pd.Timestamp(self.state["origin"]))
        if np.isnan(wanted).any():
            raise InputError("a row without horizon and date", "one of them in every row")
        outside = (wanted < 1) | (wanted > len(table))
        if outside.any():
            first, last = table[c.DATE].iloc[0], table[c.DATE].iloc[-1]
            raise InputError(
                f"horizon {wanted[outside][0]:.0f} asked of store {self.state[c.STORE_ID]!r}",
                f"1 to {len(table)}, which is {first} to {last}",
                "Train anew to forecast from a later day.",
            )
        return table.iloc[wanted.astype(int) - 1].reset_index(drop=True)


def scaler_of(own: Mapping[str, Model], scale: float) -> dict[str, Any]:
    """The store's own scaling as JSON: of the target, and of the features where there is one."""
    scaler: dict[str, Any] = {"target_scale": scale}
    model = own.get("ridge")
    if isinstance(model, RidgeModel):
        scaler["features"] = {
            name: {"mean": float(mean), "scale": float(spread)}
            for name, mean, spread in zip(model.features, model.mean, model.spread, strict=True)
        }
    return scaler

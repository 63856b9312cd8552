"""The audit of the one rule: nothing computed for origin t may read a row dated after t.

The future is changed in several ways, everything is computed anew, and whatever differs in a
single bit is named. A name in the result is a leak; an empty list is the proof that was sought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import backtest
from lifemiles_forecasting.core.calendar import Calendar
from lifemiles_forecasting.core.candidates.closed import CLOSED
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.config import HolidaySettings, ModelSettings
from lifemiles_forecasting.core.finish import closed_and_floor
from lifemiles_forecasting.core.fitting import POOLED
from lifemiles_forecasting.core.intervals import NAMES, Spread, bounds
from lifemiles_forecasting.core.rows import features_at
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import Study, build_study, prepare
from lifemiles_forecasting.core.synthetic import with_values

# Candidates that do not hang on whether a store gets models of its own. All others are compared
# where a run on that day would have given it some, so that one missing here is still audited.
SHARED = (*CLOSED, *POOLED, BLEND)

Build = Callable[[Series, int], Mapping[str, np.ndarray]]


def other_futures(series: Series, origin: int, seed: int = 0) -> Iterator[tuple[str, Series]]:
    """The same past with other values after `origin`.

    Args:
        series: at least a day longer than the origin.
        origin: column of the last day that stays as it is.
        seed: of the made-up values.

    Yields:
        A name and the series: `louder`, `silent`, `noise` (stores swap their futures too),
        `busy` (every store sells every day, stores that had not started start at once and short
        ones gain days), `unborn` (stores that start after the origin never do).
    """
    past, future = series.y[:, : origin + 1], series.y[:, origin + 1 :]
    rng = np.random.default_rng(seed)
    started = np.isfinite(past).any(axis=1)[:, None]
    noise = 1e4 * rng.lognormal(0, 2, future.shape)
    futures = {
        "louder": 1000 * future + 7,
        "silent": 0 * future,
        "noise": np.where(np.isfinite(future), rng.permutation(noise), np.nan),
        "busy": noise + 1,
        "unborn": np.where(started, future[:, ::-1], np.nan),
    }
    for name, values in futures.items():
        yield name, with_values(series, np.concatenate([past, values], axis=1))


def future_perturbation(build: Build, series: Series, origin: int) -> list[str]:
    """Names of what changes when only the days after `origin` change.

    Args:
        build: computes named arrays for the origin from a series that goes on after it.
        series: the data.
        origin: column of the last day that may be read.

    Returns:
        Sorted names whose arrays differ in any value or in their shape, or that come and go;
        nothing where the one rule holds.
    """
    seen = {name: build(other, origin) for name, other in other_futures(series, origin)}
    return sorted(name for name, by in changes(build(series, origin), seen).items() if by)


def changes(
    known: Mapping[str, np.ndarray], seen: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, tuple[str, ...]]:
    """Everything that was compared, and the futures that change it.

    Args:
        known: what was built with the real future.
        seen: what was built with other futures, by their names.

    Returns:
        For every name in any of them, the futures under which its array differs or is missing.
    """
    names = dict.fromkeys(name for built in (known, *seen.values()) for name in built)
    return {
        name: tuple(future for future, built in seen.items() if not _same(known, built, name))
        for name in names
    }


def _same(known: Mapping[str, np.ndarray], seen: Mapping[str, np.ndarray], name: str) -> bool:
    if name not in known or name not in seen:
        return False
    return np.array_equal(known[name], seen[name], equal_nan=known[name].dtype.kind == "f")


def features(
    horizon: int, events: pd.DataFrame | None = None, holidays: HolidaySettings | None = None
) -> Build:
    """What to audit: every feature, the base, the scale and the choice of training rows."""

    def build(series: Series, origin: int) -> dict[str, np.ndarray]:
        calendar = Calendar.of(series, horizon, holidays, events)
        at = features_at(series, calendar, origin, horizon)
        named = {name: at.X[:, :, k] for k, name in enumerate(at.names)}
        choices = {"scale": at.scale, "tail": at.tail, "usable": at.usable}
        return {**named, "base": at.base, **choices}

    return build


def closed_forms(horizon: int) -> Build:
    """What to audit: the candidates that do not learn."""

    def build(series: Series, origin: int) -> dict[str, np.ndarray]:
        history = series.until(origin + 1)
        return {name: forecast(history, horizon) for name, forecast in CLOSED.items()}

    return build


def forecasts(
    horizon: int,
    settings: ModelSettings,
    min_samples: int,
    seed: int,
    events: pd.DataFrame | None = None,
) -> Build:
    """What to audit: every candidate, the blend, weights, sizes, zero rule and intervals.

    The origin must be one of the backtest's windows. Which stores a run attempts depends on all
    of its data, as `min_samples` does; a store's own models are therefore compared where a run
    on that day would have attempted it.
    """

    def build(series: Series, origin: int) -> dict[str, np.ndarray]:
        chosen, attempted = prepare(series, horizon, min_samples, None)
        study = build_study(chosen, attempted, horizon, settings, seed, min_samples, events=events)
        result = backtest.run(study)
        own = study.attempted_at(origin)
        named = {
            name: values if name in SHARED else values[own]
            for (name, made), values in result.y_hat.items()
            if made == origin
        }
        closed, floor = closed_and_floor(
            study.series.until(origin + 1), study.horizon, study.calendar.holidays()
        )
        named |= {"closed days": closed, "dust floor": floor}
        if origin == study.windows[-1]:
            named |= _test_window(study, result, own)
        return named

    return build


def _test_window(study: Study, result: backtest.Backtest, own: np.ndarray) -> dict[str, np.ndarray]:
    """What is chosen before the test window and measured in it."""
    origin = study.windows[-1]
    forecast = result.y_hat[BLEND, origin]
    spread = Spread.of(study.series.until(origin + 1))
    offsets = result.intervals.offsets(np.nan_to_num(forecast), spread)
    limits = bounds(forecast, offsets)
    return {
        "weights": result.weights[own],
        "sizes": np.array(sorted(result.sizes.items())),
        **{name: limits[:, :, k] for k, name in enumerate(NAMES)},
    }

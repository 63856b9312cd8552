"""Learners of the residual on the base: each fits rows and predicts rows.

All of them learn the target (cut, see `core.tail`) minus the base in units of the store's scale,
those of all stores divided by `unit_of`; the forecast adds the base back, multiplies by the scale
and is cut at zero.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lifemiles_forecasting.core.config import CatBoostSettings
from lifemiles_forecasting.core.errors import InputError
from lifemiles_forecasting.core.event_days import EVENT_PREFIX
from lifemiles_forecasting.core.features import POOLED_PREFIX, TRAIT_PREFIX
from lifemiles_forecasting.core.rows import YEARLY
from lifemiles_forecasting.core.tail import taught

if TYPE_CHECKING:
    from catboost import CatBoostRegressor

LEAST_UNIT, LARGEST_UNIT = 0.25, 4.0
MAX_STANDARD = 4.0  # a standardised feature beyond it is held there: ridge extrapolates wildly


class Model(Protocol):
    """A fitted learner."""

    features: tuple[str, ...]

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Residual in units of the scale for (N, len(features)) rows."""

    def importance(self) -> dict[str, float]:
        """Share of each feature, summing to 100 (all zero for a model that learned nothing)."""

    def dump(self) -> bytes:
        """The model in its own native format."""


class Learner(Protocol):
    """Settings of a method; `fit` gives a Model."""

    def load(self) -> None:
        """Import its library, which takes a process seconds once, and so is no store's doing."""

    def fit(self, X: np.ndarray, residual: np.ndarray, weight: np.ndarray | None) -> Model:
        """Learn from (N, F) rows, (N,) residuals and optional (N,) weights."""


def residual_of(y: np.ndarray, tail: np.ndarray, base: np.ndarray) -> np.ndarray:
    """What a learner is taught: target, as `taught`, minus the base, in units of the scale."""
    return taught(y, tail) - base


def unit_of(base: np.ndarray) -> np.ndarray:
    """What the residuals of a model of all stores are measured in, in units of the scale.

    A campaign lifts a strong day by more than a weak one: in units of the day's base it is the
    same. Bounds keep a base of next to nothing, or a wrong one, from making a rule of it.
    """
    return np.clip(base, LEAST_UNIT, LARGEST_UNIT)


def to_units(residual: np.ndarray, base: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Forecast in target units from a predicted residual; `base` is in target units."""
    return np.maximum(base + residual * scale, 0.0)


def columns_for(names: tuple[str, ...], *, own: bool, yearly: bool) -> np.ndarray:
    """Which features a learner may use.

    Args:
        names: all features.
        own: only the store's own, for a model of one store.
        yearly: also those that need a second year to learn from.
    """
    # what a store is like tells stores apart, and nothing to a model of one store
    shared = lambda name: (  # noqa: E731
        name.startswith((POOLED_PREFIX, TRAIT_PREFIX)) or name == "log_scale"
    )
    return np.array(
        [
            k
            for k, name in enumerate(names)
            if (yearly or name not in YEARLY) and not (own and shared(name))
        ]
    )


def columns_of(X: np.ndarray, names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """(..., len(wanted)) the features that a model was taught, of (..., F) called `names`.

    An event that is not in the plan any more does not take place: its features are 0.

    Raises:
        InputError: another feature is not there.
    """
    if names == wanted:
        return X
    place = {name: k for k, name in enumerate(names)}
    lost = [name for name in wanted if name not in place and not name.startswith(EVENT_PREFIX)]
    if lost:
        raise InputError(f"a model that was taught {lost[0]!r}", f"one of {', '.join(names)}")
    absent = X.shape[-1]  # a column of zeros after the others
    padded = np.concatenate([X, np.zeros((*X.shape[:-1], 1), X.dtype)], axis=-1)
    return padded[..., [place.get(name, absent) for name in wanted]]


def _shares(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    total = values.sum()
    shares = 100.0 * values / total if total > 0 else np.zeros_like(values)
    order = np.argsort(-shares, kind="stable")
    return {names[k]: float(shares[k]) for k in order}


@dataclass(frozen=True)
class CatBoostModel:
    """A fitted CatBoost regressor and the features that it was given."""

    features: tuple[str, ...]
    booster: CatBoostRegressor

    def predict(self, X: np.ndarray) -> np.ndarray:
        """See `Model`."""
        return self.booster.predict(X, thread_count=1)

    def importance(self) -> dict[str, float]:
        """See `Model`; PredictionValuesChange of CatBoost."""
        return _shares(np.asarray(self.booster.get_feature_importance()), self.features)

    def dump(self) -> bytes:
        """The `.cbm` format."""
        # of a copy: one that came from another process holds its metadata in another order
        return self.booster.copy()._serialize_model()


@dataclass(frozen=True)
class CatBoostLearner:
    """Gradient boosting with oblivious trees, one thread, deterministic."""

    settings: CatBoostSettings
    features: tuple[str, ...]
    seed: int
    border_count: int = 64

    def load(self) -> None:
        """See `Learner`."""
        import catboost  # noqa: F401

    def fit(self, X: np.ndarray, residual: np.ndarray, weight: np.ndarray | None) -> CatBoostModel:
        """See `Learner`."""
        from catboost import CatBoostRegressor

        # a store that always sells the same is no failure, but leaves nothing to sample by
        constant = {"allow_const_label": True, "bootstrap_type": "No"}
        booster = CatBoostRegressor(
            **self.settings.model_dump(),
            **(constant if np.ptp(residual) == 0 else {}),
            border_count=self.border_count,
            random_seed=self.seed,
            thread_count=1,
            allow_writing_files=False,
            verbose=False,
        )
        booster.fit(X, residual, sample_weight=weight)
        for stamp in ("model_guid", "train_finish_time"):  # the same rows give the same file
            booster.get_metadata()[stamp] = ""
        return CatBoostModel(self.features, booster)


def load_catboost(blob: bytes, features: tuple[str, ...]) -> CatBoostModel:
    """Read a model back from `CatBoostModel.dump`."""
    from catboost import CatBoostRegressor

    booster = CatBoostRegressor()
    booster.load_model(blob=blob)
    return CatBoostModel(features, booster)


@dataclass(frozen=True)
class RidgeModel:
    """Linear model on standardised features.

    Attributes:
        mean, spread: (F,) of the training rows; a missing value counts as the mean.
        coefficients: (F,) per standard deviation.
        intercept: residual at the mean.
    """

    features: tuple[str, ...]
    mean: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    intercept: float

    def standardise(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float64 within +-MAX_STANDARD."""
        z = np.nan_to_num((X - self.mean) / self.spread)
        return np.clip(z, -MAX_STANDARD, MAX_STANDARD)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """See `Model`."""
        return self.standardise(X) @ self.coefficients + self.intercept

    def importance(self) -> dict[str, float]:
        """See `Model`; absolute standardised coefficients."""
        return _shares(np.abs(self.coefficients), self.features)

    def dump(self) -> bytes:
        """JSON."""
        return json.dumps(
            {
                "features": self.features,
                "mean": self.mean.tolist(),
                "spread": self.spread.tolist(),
                "coefficients": self.coefficients.tolist(),
                "intercept": self.intercept,
            }
        ).encode()


@dataclass(frozen=True)
class RidgeLearner:
    """Ridge regression; `alpha` is the penalty against the number of rows."""

    alpha: float
    features: tuple[str, ...]

    def load(self) -> None:
        """See `Learner`."""
        import sklearn.linear_model  # noqa: F401

    def fit(self, X: np.ndarray, residual: np.ndarray, weight: np.ndarray | None) -> RidgeModel:
        """See `Learner`."""
        from sklearn.linear_model import Ridge

        values = X.astype(float)
        seen = np.isfinite(values)
        count = np.maximum(seen.sum(0), 1)
        mean = np.where(seen, values, 0.0).sum(0) / count
        spread = np.sqrt(np.where(seen, (values - mean) ** 2, 0.0).sum(0) / count)
        spread[spread < 1e-9] = 1.0
        blank = RidgeModel(self.features, mean, spread, np.zeros(X.shape[1]), 0.0)
        fitted = Ridge(self.alpha).fit(blank.standardise(values), residual, sample_weight=weight)
        return RidgeModel(self.features, mean, spread, fitted.coef_, float(fitted.intercept_))


def load_ridge(blob: bytes) -> RidgeModel:
    """Read a model back from `RidgeModel.dump`."""
    state = json.loads(blob)
    arrays = {key: np.array(state[key]) for key in ("mean", "spread", "coefficients")}
    return RidgeModel(tuple(state["features"]), intercept=state["intercept"], **arrays)

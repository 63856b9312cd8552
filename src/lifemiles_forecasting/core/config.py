"""Configuration as closed, frozen models: an unknown key fails with the nearest known one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lifemiles_forecasting.core import paths
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.names import did_you_mean

M = TypeVar("M", bound=BaseModel)
Target = Literal["billings", "local_amount", "miles"]
RawColumn = Literal[
    "partner_code",
    "store_code",
    "process_date",
    "transaction_date",
    "billings",
    "miles",
    "mile_price",
    "local_amount",
    "activity_id",
    "transaction_type",
    "member_id",
    "partner_name",
    "store_name",
    "country",
    "city",
]
Candidate = Literal[
    "base",
    "ets",
    "direct",
    "recursive",
    "local_catboost",
    "ridge",
]


def _written_day(value: Any) -> Any:
    """Refuse numbers, written as text or not: they would pass for seconds since 1970."""
    if isinstance(value, int | float | str) and not re.match(r"\d{4}-\d{2}-\d{2}", str(value)):
        raise ValueError("a day, YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(_written_day)]
Penalty = Annotated[PositiveFloat, AllowInfNan(False)]
_NUMBERS = {int, float}


def _kinds(annotation: Any) -> Iterator[Any]:
    """What a value and what it holds may be: `dict[str, float] | None` has str, float and None."""
    inner = get_args(annotation)
    yield from (kind for one in inner for kind in _kinds(one)) if inner else [annotation]


class Closed(BaseModel):
    """Base of every settings group: no unknown key, no change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _yes_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = set(_kinds(cls.model_fields[info.field_name].annotation))
        inner = value.values() if isinstance(value, dict) else value
        listed = inner if isinstance(value, dict | list | tuple) else [value]
        if _NUMBERS & kinds and any(isinstance(one, bool) for one in listed):  # to Pydantic, 1 or 0
            raise ValueError("a number, not yes or no")
        return value


class DataSettings(Closed):
    """How raw rows are read and which of them are trusted (`data_processing`)."""

    separator: str = ","
    encoding: Literal["utf-8", "latin-1", "cp1252", "utf-16"] = "utf-8"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    columns: dict[RawColumn, tuple[str, ...]]  # accepted names, of which the first match wins
    date_column: Literal["process_date", "transaction_date"] = "process_date"
    date_order: Literal["ymd", "dmy", "mdy"] = "ymd"
    date_floor: Day = date(2000, 1, 1)
    transaction_types: tuple[str, ...] = ()  # empty: every type is billed
    max_quarantined_share: float = Field(0.05, ge=0, le=1)
    dormant_days: int = Field(56, ge=56)  # the zero rule goes by eight weeks
    intermittent_zero_share: float = Field(0.5, gt=0, le=1)

    @field_validator("separator")
    @classmethod
    def _one_sign(cls, value: str) -> str:
        if len(value) != 1:
            raise ValueError('one sign, such as ";", or "\\t" in double quotes for a tab')
        return value

    @model_validator(mode="after")
    def _one_meaning_of_a_sign(self) -> DataSettings:
        if self.thousands == self.decimal:
            raise ValueError(f"another sign for thousands than {self.decimal!r}, that of decimals")
        return self


class CatBoostSettings(Closed):
    """Size and learning rate of one gradient-boosting model."""

    iterations: int = Field(ge=1)
    depth: int = Field(ge=1, le=10)
    learning_rate: float = Field(gt=0, le=1)
    l2_leaf_reg: float = Field(3.0, ge=0, allow_inf_nan=False)
    min_data_in_leaf: int = Field(1, ge=1)


class PooledSettings(Closed):
    """A model of all stores: a short list of sizes to choose from by backtest."""

    sizes: dict[str, CatBoostSettings] = Field(min_length=1)
    max_rows: int = Field(400_000, ge=1_000)


class LocalSettings(Closed):
    """One gradient-boosting model per store: a short list of sizes to choose from by backtest."""

    sizes: dict[str, CatBoostSettings] = Field(min_length=1)


class RidgeSettings(Closed):
    """One ridge regression per store: a short list of penalties to choose from by backtest."""

    alphas: dict[str, Penalty] = Field(min_length=1)


class CombineSettings(Closed):
    """How candidates are weighted: pooled over stores, then tilted by each store's own errors.

    `power` is how strongly a smaller absolute error counts, in both steps; `shrink_days` is the
    weight of the pooled errors, in days of the store's own validation.
    """

    power: float = Field(12.0, gt=0, allow_inf_nan=False)
    shrink_days: float = Field(ge=0, allow_inf_nan=False)


class HolidaySettings(Closed):
    """Countries by other names, and regions with holidays of their own (`modeling.holidays`).

    Countries and regions by code or name; members are cities as in the data, or store ids.
    """

    countries: dict[str, str] = {}  # by a name that the data have for it
    regions: dict[str, str] = {}  # by country
    city_regions: dict[str, dict[str, tuple[str, ...]]] = {}  # cities by region by country
    store_regions: dict[str, dict[str, tuple[str, ...]]] = {}  # stores by region by country

    @model_validator(mode="after")
    def _known_places(self) -> HolidaySettings:
        if self.countries or self.regions or self.city_regions or self.store_regions:
            from lifemiles_forecasting.core.regions import Regions

            Regions.of(self)  # refuses what it does not know
        return self


class ModelSettings(Closed):
    """Backtest, candidates and combination (`modeling`)."""

    n_windows: int = Field(3, ge=2, le=12)
    origin_step: int | None = Field(None, ge=1)
    workers: int | None = Field(None, ge=1)
    scheduler: str | None = None
    store_seconds: float | None = Field(300.0, gt=0)
    pooled_seconds: float | None = Field(3600.0, gt=0)
    max_failed_share: float = Field(0.05, ge=0, le=1)
    holidays: HolidaySettings = HolidaySettings()
    candidates: tuple[Candidate, ...]
    direct: PooledSettings
    recursive: PooledSettings
    local_catboost: LocalSettings
    ridge: RidgeSettings
    combine: CombineSettings

    @field_validator("scheduler")
    @classmethod
    def _address_of_a_scheduler(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(tcp|tls)://[^\s/@:]+:\d{1,5}", value):
            raise ValueError("the address of a Dask scheduler, tcp://host:8786 or tls://host:8786")
        return value

    @field_validator("candidates")
    @classmethod
    def _base_is_the_fallback(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "base" not in value or len(set(value)) != len(value):
            raise ValueError("a list without repeats that holds base, the fallback of every store")
        return value


class QualityTier(Closed):
    """A store is in the strictest tier whose bounds it meets."""

    min_r2: float
    max_smape: float


class ReportSettings(Closed):
    """Quality tiers, targets and what the report shows (`reporting`)."""

    tiers: dict[str, QualityTier] = Field(min_length=1)  # the strictest first
    target_r2: float = 0.8
    target_smape: float = 10.0
    metrics: tuple[str, ...]
    featured_stores: int = Field(6, ge=1, le=50)
    coverage_band: tuple[float, float] = (75.0, 85.0)  # percent of the days, for the 80 % interval
    coverage_min_points: int = Field(500, ge=1)
    language: Literal["es", "en"] = "es"

    @field_validator("tiers")
    @classmethod
    def _strictest_first(cls, value: dict[str, QualityTier]) -> dict[str, QualityTier]:
        # what another environment adds comes behind those of base
        return dict(sorted(value.items(), key=lambda one: (-one[1].min_r2, one[1].max_smape)))

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        from lifemiles_forecasting.core.metrics import get_metric  # heavy

        for name in value:
            get_metric(name)
        return value

    @field_validator("coverage_band")
    @classmethod
    def _band_is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] < value[1] <= 100:
            raise ValueError("two percentages, the lower one first")
        return value


class GateSettings(Closed):
    """What a new model must show to take charge (`gate`); percent."""

    min_success_rate: float = Field(95.0, ge=0, le=100)
    max_bias: float = Field(10.0, ge=0)
    wape_margin: float = Field(1.0, ge=0)


class AuditSettings(Closed):
    """What the leak audit looks at (`leak_audit`)."""

    stores: int = Field(40, ge=8)
    origins: int = Field(2, ge=1, le=12)
    max_iterations: int = Field(8, ge=1)


class MonitoringSettings(Closed):
    """Which past forecasts are held against what happened, and from when on a store has drifted."""

    days: int = Field(28, ge=7, le=180)
    max_runs: int = Field(60, ge=1, le=1000)
    drift_percentile: float = Field(99.0, gt=50, lt=100)


class Parameters(Closed):
    """Everything that `conf/<env>/parameters*.yml` and `--params` may hold."""

    target: Target = "billings"
    horizon: int = Field(28, ge=1, le=180)
    min_samples: int = Field(56, ge=28)
    max_stores: int | None = Field(None, ge=1)
    retrain: Literal["all", "drifted"] = "all"
    resume: bool = True
    as_of: Day | None = None
    seed: int = Field(7, ge=0, le=2**63 - 1)  # beyond it every fit would fail
    data_root: str
    raw_transactions: str
    events: str | None = None
    data_processing: DataSettings
    modeling: ModelSettings
    reporting: ReportSettings
    leak_audit: AuditSettings = AuditSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    gate: GateSettings = GateSettings()
    stores: tuple[str, ...] | None = None
    model_version: int | None = Field(None, ge=1)
    model_alias: str = Field("champion", pattern=r"^[\w-]+$")

    @field_validator("stores")
    @classmethod
    def _some_stores(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and not value:
            raise ValueError("at least one store_id, or null for all of them")
        return value

    @field_validator("data_root", "raw_transactions", "events")
    @classmethod
    def _place_may_be_used(cls, value: str | None) -> str | None:
        if value is not None and not paths.may_be_used(value):
            home = value.startswith("~")
            raise ValueError(paths.WRITTEN_OUT if home else paths.EXPECTED)
        return value

    @model_validator(mode="after")
    def _one_choice_of_stores(self) -> Parameters:
        if self.retrain == "drifted" and self.max_stores is not None:
            raise ValueError("retrain=drifted without max_stores: each of them chooses stores")
        return self


def _kind_at(model: type[BaseModel], path: tuple[Any, ...]) -> Any:
    """What `model` takes at `path`; None where it knows no such place."""
    kind: Any = model
    for key in path:
        if _is_model(kind):
            field = kind.model_fields.get(str(key))
            kind = field.annotation if field else None
        else:  # a mapping: any key leads to its kind of value
            kind = (get_args(kind) or (None,))[-1]
    return kind


def _known_keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that `model` accepts at `path`, for the suggestion in the message."""
    kind = _kind_at(model, path)
    if _is_model(kind):
        return sorted(kind.model_fields)
    keys = (get_args(kind) or (None,))[0]
    return list(get_args(keys))


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def parse(model: type[M], values: dict[str, Any]) -> M:
    """Turn raw values into a settings model.

    Args:
        model: the settings group.
        values: what the configuration holds for it.

    Raises:
        ConfigError: for the first unknown key or unusable value, by name.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise unusable(error, model) from None


def unusable(
    error: ValidationError, model: type[BaseModel], kind: str = "parameter"
) -> ConfigError:
    """What to say of values that a model does not take: its first problem.

    Args:
        error: of the model.
        model: its class, whose fields are named where a key is unknown.
        kind: what a value is called.
    """
    first = error.errors()[0]
    place, unknown = first["loc"], first["type"] == "extra_forbidden"
    if place[-1:] == ("[key]",):  # of a mapping whose keys are known
        place, unknown = place[:-1], True
    name = ".".join(str(part) for part in place)
    if unknown:
        known = _known_keys(model, place[:-1])
        hint = did_you_mean(str(place[-1]), known)
        return ConfigError(f"an unknown {kind} {name!r}", f"one of {', '.join(known)}", hint)
    if first["type"] == "missing":
        return ConfigError(f"no {kind} {name!r}", "it in conf/base/parameters*.yml")
    expected, value = _expected(first), first["input"]
    if _is_model(_kind_at(model, place)) and isinstance(value, dict):  # long, and not all wrong
        group = f" of the group {name!r}" if name else ""
        return ConfigError(f"{kind}s{group} that do not go together", expected)
    return ConfigError(f"{kind} {name!r} = {value!r}", expected)


def _expected(problem: Mapping[str, Any]) -> str:
    """What a value should be, in Pydantic's words but for those that are Python's own."""
    if problem["type"] == "tuple_type":
        value = problem["input"]
        return f"a list, such as [{value}]" if isinstance(value, str) else "a list"
    words = problem["msg"].removeprefix("Value error, ")
    return words[0].lower() + words[1:]

"""The gate: whether a new model may take the place of the one in charge, and why not.

Both are measured on the new run's test window, over the same store-days: each as it was fitted
before a test window of its own, so that neither has learned from a day that it is measured on, with
levels and features as they were known at the window's origin.

A run that trains some stores anew has chosen them because they shifted in the very days of this
window, which nobody could have forecast: over them alone every such model would be refused. What
takes charge is the model of all stores, and by itself it is judged as that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from lifemiles_forecasting.core import coverage, metrics
from lifemiles_forecasting.core.backtest import Backtest, actual, window_bounds
from lifemiles_forecasting.core.combine import BLEND
from lifemiles_forecasting.core.config import GateSettings, ReportSettings
from lifemiles_forecasting.core.fleet import FleetModel
from lifemiles_forecasting.core.forecast import with_base
from lifemiles_forecasting.core.quality import NAIVE
from lifemiles_forecasting.core.retraining import Kept
from lifemiles_forecasting.core.series import Series
from lifemiles_forecasting.core.study import Study

PASSED, FAILED = "passed", "failed"
SAME = 0.005  # percent; two figures that are told alike: stores may sell the same every day


@dataclass(frozen=True)
class Incumbent:
    """The model in charge, as it is measured.

    Attributes:
        version: of the registered model.
        fleet: as it was fitted before its own test window; None where it could not be read.
        problem: why it could not be read.
    """

    version: str
    fleet: FleetModel | None
    problem: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that is held against a new model.

    Attributes:
        code: what it is; whoever tells it in another language goes by it.
        sentence: the same in English.
        figures: numbers and names of the sentence.
    """

    code: str
    sentence: str
    figures: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What the gate says.

    Attributes:
        findings: why the new model stays a challenger; none for one that takes charge.
        figures: what was compared: `wape` of the new model, `champion_wape` on the same
            store-days, their number `store_days`; percent. Empty without a model in charge.
        champion: version of the model in charge; empty without one.
    """

    findings: tuple[Finding, ...]
    figures: Mapping[str, float] = field(default_factory=dict)
    champion: str = ""

    @property
    def passed(self) -> bool:
        """Whether there is nothing against it."""
        return not self.findings

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings as sentences."""
        return tuple(finding.sentence for finding in self.findings)


@dataclass(frozen=True)
class Tested:
    """What is known of the new model.

    Attributes:
        study: the stores of its run.
        result: of its backtest.
        target: what it forecasts.
        everyone: all stores of the data.
        measured: aggregate metrics of its test window, of the stores that it trained.
        coverage: table of its intervals' coverage, of the same stores.
        events: today's plan, the columns of `columns.EVENTS`. The model in charge is measured with
            it too, as it would be used: a plan is known ahead.
    """

    study: Study
    result: Backtest
    target: str
    everyone: Series
    measured: Mapping[str, float]
    coverage: pd.DataFrame
    events: pd.DataFrame


def judge(
    new: Tested, incumbent: Incumbent | None, settings: GateSettings, report: ReportSettings
) -> Verdict:
    """Judge a new model.

    Args:
        new: what is known of it.
        incumbent: the model in charge; None where there is none yet.
        settings: the bounds.
        report: the band of the coverage.
    """
    lost = new.study.settings.max_failed_share  # a run that loses more has failed
    measured, covered = new.measured, new.coverage
    if new.study.kept is not None:
        measured, covered = _of_all_stores(new, new.study.kept, report)
    findings = _by_itself(measured, settings, 100 * (1 - lost))
    code = f"intervals_{coverage.flag(covered)}"
    findings += [Finding(code, told) for told in coverage.gate_reasons(covered, report)]
    if incumbent is None:
        return Verdict(tuple(findings))
    obstacle = _obstacle(new, incumbent)
    if obstacle is not None:
        return Verdict((*findings, obstacle), champion=incumbent.version)
    figures = compare(new, incumbent.fleet)
    limit = figures["champion_wape"] * (1 + settings.wape_margin / 100)
    if not figures["wape"] <= limit:
        sentence = (
            f"WAPE {figures['wape']:.2f} % against {figures['champion_wape']:.2f} % of champion "
            f"version {incumbent.version} on the same {figures['store_days']:,.0f} store-days, "
            f"expected at most {limit:.2f} %"
        )
        told = {**figures, "limit": limit, "version": incumbent.version}
        findings.append(Finding("champion_better", sentence, told))
    return Verdict(tuple(findings), figures, incumbent.version)


def _of_all_stores(
    new: Tested, kept: Kept, report: ReportSettings
) -> tuple[dict[str, float], pd.DataFrame]:
    """`measured` and `coverage` of a model whose models are kept for most stores.

    Returns:
        Bias, WAPE and that of the naive forecast over the stores that a full run would measure:
        those with models of their own, whether trained or kept. Coverage over the kept ones:
        all share their intervals, and the others were found by missing theirs. Whether fits
        succeeded is still told by those that were trained.
    """
    study, origin = new.study, new.study.windows[-1]
    y, ours, naive = actual(study, origin), *(new.result.y_hat[n, origin] for n in (BLEND, NAIVE))
    known = np.isfinite(y + ours + naive).all(axis=1)
    others = known & np.isin(study.series.store_ids, list(kept.modelled()))
    limits = window_bounds(study, new.result)[others]
    covered = coverage.of_window(y[others], limits, report)
    used = others | (known & study.attempted)
    y, ours, naive = y[used], ours[used], naive[used]
    measured = {
        **new.measured,
        "bias": metrics.pooled_bias(y, ours),
        "wape": metrics.pooled_wape(y, ours),
        "naive_wape": metrics.pooled_wape(y, naive),
    }
    return measured, covered


def _by_itself(measured: Mapping[str, float], settings: GateSettings, done: float) -> list[Finding]:
    """What can be said without a model to compare with; a missing figure passes nothing.

    Args:
        measured: aggregate metrics of the test window.
        settings: the bounds.
        done: percent of the stores whose models must stand for the run to count as done.
    """
    success, bias = measured["success_rate"], measured["bias"]
    wape, naive = measured["wape"], measured["naive_wape"]
    found = []
    least = max(settings.min_success_rate, done)
    if not success >= least:
        sentence = f"success rate {_said(success, '.1f')}, expected at least {least:g} %"
        found.append(Finding("success_rate", sentence, {"found": success, "limit": least}))
    if not abs(bias) <= settings.max_bias:
        sentence = f"bias {_said(bias, '+.1f')}, expected within {settings.max_bias:g} % of 0"
        found.append(Finding("bias", sentence, {"found": bias, "limit": settings.max_bias}))
    if not wape <= naive + SAME:
        most = f"the {_said(naive, '.2f')} of the naive forecast"
        sentence = f"WAPE {_said(wape, '.2f')}, expected at most {most}"
        found.append(Finding("naive_better", sentence, {"found": wape, "limit": naive}))
    return found


def _said(percent: float, form: str) -> str:
    return "that could not be measured" if math.isnan(percent) else f"{percent:{form}} %"


def _obstacle(new: Tested, incumbent: Incumbent) -> Finding | None:
    """Why the two cannot be compared; None where they can."""
    told = {"version": incumbent.version}
    name = f"champion version {incumbent.version}"
    if incumbent.fleet is None:
        sentence = f"{name} could not be measured on this window: {incumbent.problem}"
        return Finding("not_measured", sentence, told)
    recipe = incumbent.fleet.recipe
    if recipe["target"] != new.target:
        sentence = f"target {new.target}, expected {recipe['target']} as {name}"
        return Finding("other_target", sentence, told)
    if recipe["horizon"] != new.study.horizon:
        sentence = f"horizon {new.study.horizon}, expected {recipe['horizon']} as {name}"
        return Finding("other_horizon", sentence, told)
    kept = new.study.kept
    if kept is not None and kept.version != incumbent.version:
        sentence = f"it keeps models of version {kept.version}, expected those of {name}"
        return Finding("other_kept", sentence, {**told, "kept": kept.version})
    origin = new.study.series.dates[new.study.windows[-1]]
    if incumbent.fleet.trained_until > origin:
        sentence = (
            f"the test window begins after {origin} and {name} has learned from days up to "
            f"{incumbent.fleet.trained_until}: it cannot be measured on days that it has seen"
        )
        return Finding("has_seen_window", sentence, told)
    return None


def compare(new: Tested, other: FleetModel) -> dict[str, float]:
    """WAPE of both on the new run's test window, percent, over the same store-days.

    They are those of the stores that the new run trained. Where it keeps the others' models, both
    forecast the others alike: they would say nothing, and hide how the trained ones did within
    the margin.

    Args:
        new: the new model.
        other: one that has learned from no day of the window.

    Returns:
        `wape`, `champion_wape`, `store_days`.
    """
    origin = new.study.windows[-1]
    known = new.everyone.until(origin + 1)
    theirs = with_base(known, other.blend(known, new.events), other.holidays_of(known))
    row = pd.Index(new.everyone.store_ids).get_indexer(new.study.series.store_ids)
    y, ours = actual(new.study, origin), new.result.y_hat[BLEND, origin]
    used = new.study.attempted & np.isfinite(y).all(axis=1) & np.isfinite(ours).all(axis=1)
    y, ours, theirs = y[used], ours[used], theirs[row][used]
    return {
        "wape": metrics.pooled_wape(y, ours),
        "champion_wape": metrics.pooled_wape(y, theirs),
        "store_days": float(y.size),
    }


def as_table(verdict: Verdict, measured: Mapping[str, float]) -> dict[str, Any]:
    """The verdict as JSON, for the report and for people.

    Args:
        verdict: of the gate.
        measured: aggregate metrics of the run that was judged. Its WAPE stands with the verdict:
            by it a report tells whether the verdict is on its own run.
    """
    return {
        "status": PASSED if verdict.passed else FAILED,
        "reasons": list(verdict.reasons),
        "findings": [
            {"code": finding.code, "figures": dict(finding.figures)} for finding in verdict.findings
        ],
        "judged_wape": measured["wape"],
        "champion": verdict.champion,
        **verdict.figures,
    }

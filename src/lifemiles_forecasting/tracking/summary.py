"""What a training run came to: ten lines for the log, and a description for the UI."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lifemiles_forecasting.core.hosts import LOOPBACK
from lifemiles_forecasting.tracking.store import sqlite_path, without_credentials

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NOTE_TAG = "mlflow.note.content"  # what the UI shows as the run's description
_PARENTS = "tags.run_level = 'pipeline'"
_TIER_COUNT = re.compile(r"quality_(.+)_count")
_TIER_BOUND = re.compile(r"reporting\.tiers\.(.+)\.min_r2")
_MISSING = "-"
_WORKFLOW = "?workflowType=machine_learning"  # or the UI opens its pages for language models


@dataclass(frozen=True)
class Places:
    """Where the results of a run are looked at.

    Attributes:
        report: file of the report; empty for a run that writes none.
        ui: address of the MLflow UI, once it has been started.
        starts_ui: the command that does so; empty for a server that has its own.
    """

    report: str
    ui: str
    starts_ui: str


def ui_command(uri: str, ui: Mapping[str, Any]) -> str:
    """The command that starts the MLflow UI of a store and shows nobody a password.

    kedro-mlflow's own hands the store's address on as an argument, which every user of the machine
    can read.

    Args:
        uri: the absolute tracking URI, of a file or a database.
        ui: group `ui` of `mlflow.yml`.
    """
    if sqlite_path(uri) is not None or without_credentials(uri) == uri:
        return "kedro mlflow ui"
    command = "kedro explore --serve"
    for option, usual in (("host", LOOPBACK), ("port", "5000")):
        wanted = str(ui.get(option, usual))
        command += f" --{option}={wanted}" if wanted != usual else ""
    return command


@dataclass(frozen=True)
class Summary:
    """A finished training run.

    Attributes:
        run_id: the parent run.
        experiment_id: its experiment.
        params, metrics, tags: of the run.
        places: where to look.
    """

    run_id: str
    experiment_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    places: Places

    @classmethod
    def of(cls, client: MlflowClient, run_id: str, places: Places) -> Summary:
        """Read a run."""
        run = client.get_run(run_id)
        data = run.data
        return cls(run_id, run.info.experiment_id, data.params, data.metrics, data.tags, places)

    def lines(self) -> list[str]:
        """Ten lines of text: what came out and where it is; nine without a report."""
        number, days = self._number, self.params.get("horizon", _MISSING)
        return [
            f"Stores: {number('total_stores_attempted', ',.0f')} attempted, models stand for "
            f"{number('success_rate', '.1f')} %; {self.tags.get('training_mode', _MISSING)} run",
            f"Accuracy: WAPE {number('wape', '.1f')} %, naive {number('naive_wape', '.1f')} %; "
            f"of {days}-day totals {number('wape_28d', '.1f')} %; bias {number('bias', '+.1f')} %",
            f"Per store: mean R2 {number('avg_r2', '.2f')}, median {number('median_r2', '.2f')}, "
            f"best {number('best_r2', '.2f')}; mean SMAPE {number('avg_smape', '.1f')} %",
            f"Intervals: the 80 % ones held {number('coverage_80', '.1f')} %, the 95 % ones "
            f"{number('coverage_95', '.1f')} % ({self.tags.get('coverage_flag', _MISSING)})",
            f"Quality: {self._quality()}",
            f"Model: {self.model()}",
            *([f"Report: {self.places.report}"] if self.places.report else []),
            f"This run: {self.run_url()}"
            + (f" after `{self.places.starts_ui}`" if self.places.starts_ui else ""),
            f"All training runs: {self.parents_url()}",
            f"In the terminal: kedro explore --experiment-id {self.experiment_id}",
        ]

    def markdown(self) -> str:
        """The run's description: headline table, what became of the model, links."""
        number, days = self._number, self.params.get("horizon", _MISSING)
        rows = {
            "stores attempted": number("total_stores_attempted", ",.0f"),
            "success rate": f"{number('success_rate', '.1f')} %",
            "WAPE (naive)": f"{number('wape', '.1f')} % ({number('naive_wape', '.1f')} %)",
            f"WAPE of {days}-day totals": f"{number('wape_28d', '.1f')} %",
            "bias": f"{number('bias', '+.1f')} %",
            "coverage of 80 / 95 %": (
                f"{number('coverage_80', '.1f')} / {number('coverage_95', '.1f')} %"
            ),
            "R2, mean / median": f"{number('avg_r2', '.2f')} / {number('median_r2', '.2f')}",
            "SMAPE, mean": f"{number('avg_smape', '.1f')} %",
        }
        table = [f"| {name} | {value} |" for name, value in rows.items()]
        # the UI shows the first lines and hides the others behind "Show more"
        return "\n".join(
            [
                f"**{self.params.get('target', 'target')}: WAPE {number('wape', '.1f')} %**, naive "
                f"{number('naive_wape', '.1f')} %, out of sample. Model: {self.model()}.",
                "",
                f"[Report, forecasts, figures]({self.run_url('artifacts')}) · "
                f"[nested runs of the stores]({self._search(self._children())}) · "
                f"[all training runs]({self.parents_url()})",
                "",
                "| | |",
                "|---|---|",
                *table,
                f"| quality | {self._quality()} |",
            ]
        )

    def model(self) -> str:
        """What became of the run's model, and why."""
        role = self.tags.get("model_role", "")
        why = self.tags.get("gate_reasons", "it passed the gate")
        if role in ("champion", "challenger"):
            return f"version {self.tags.get('model_version')} is the {role}: {why}"
        return f"not registered: {why}" if role else "not registered"

    def run_url(self, tab: str = "") -> str:
        """Address of the run in the UI."""
        base = f"{self.places.ui}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
        return f"{base}/{tab}{_WORKFLOW}" if tab else f"{base}{_WORKFLOW}"

    def parents_url(self) -> str:
        """Address of the list of runs, without the nested ones."""
        return self._search(_PARENTS)

    def _search(self, condition: str) -> str:
        runs = f"{self.places.ui}/#/experiments/{self.experiment_id}/runs{_WORKFLOW}"
        return f"{runs}&searchFilter={quote(condition, safe='')}"

    def _children(self) -> str:
        return f"tags.`mlflow.parentRunId` = '{self.run_id}'"

    def _quality(self) -> str:
        """Stores by tier, the strictest first; the rest, which has no bounds, comes last."""
        from lifemiles_forecasting.core.quality import POOR

        bounds = _by_tier(_TIER_BOUND, self.params)
        rest = POOR.lower()
        counts = {
            tier: count
            for tier, count in _by_tier(_TIER_COUNT, self.metrics).items()
            if count or tier in bounds or tier == rest  # else of a tier that is not in use
        }
        order = sorted(counts, key=lambda tier: (tier == rest, -bounds.get(tier, -math.inf)))
        return ", ".join(f"{tier.upper()} {counts[tier]:,.0f}" for tier in order) or _MISSING

    def _number(self, name: str, form: str) -> Any:
        value = self.metrics.get(name)
        return _MISSING if value is None else format(value, form)


def _by_tier(names: re.Pattern[str], values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by the tier, in small letters, that their names hold."""
    found = ((names.fullmatch(name), value) for name, value in values.items())
    return {match[1].lower(): float(value) for match, value in found if match}


def conclude(client: MlflowClient, run_id: str, places: Places) -> list[str]:
    """Describe a finished training run in the UI.

    Returns:
        The lines for the log.
    """
    summary = Summary.of(client, run_id, places)
    client.set_tag(run_id, NOTE_TAG, summary.markdown())
    return summary.lines()

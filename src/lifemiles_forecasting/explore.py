"""`kedro explore`: what the tracking store holds, as a table, JSON or CSV on a clean stdout."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

Row = Mapping[str, Any]
Tables = dict[str, Sequence[Row]]

_EMPTY = "Nothing has been tracked yet. Run `kedro run` first."
_NONE = "nothing found"


@dataclass(frozen=True)
class Question:
    """What is asked of the tracking store.

    Attributes:
        experiment_id: only this experiment.
        best_models: the best training runs and store models.
        store_id: only this store.
        top: rows per table.
    """

    experiment_id: str | None
    best_models: bool
    store_id: str | None
    top: int


def tracking_uri(project_path: Path, env: str | None) -> str:
    """The tracking store of the project, found without opening or creating anything.

    Args:
        project_path: root of the project.
        env: configuration environment.

    Raises:
        ConfigError: there is no such environment.
    """
    from kedro.framework.project import settings

    from lifemiles_forecasting.hooks import check_environment, tracking_config

    loader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(project_path / settings.CONF_SOURCE),
        env=env,
        **settings.CONFIG_LOADER_ARGS,
    )
    check_environment(loader)
    return tracking_config(loader, project_path)["server"]["mlflow_tracking_uri"]


def explore(uri: str, question: Question, form: str) -> None:
    """Answer a question on stdout; remarks go to stderr.

    Args:
        uri: the tracking store.
        question: what to show.
        form: `table`, `json` or `csv`.

    Raises:
        TrackingError: the store does not answer, or there is no such experiment.
    """
    from lifemiles_forecasting.tracking.store import has_content, probe, switch_telemetry_off

    switch_telemetry_off()
    probe(uri)
    tables = answer(uri, question) if has_content(uri) else {}
    if not tables:
        click.echo(_EMPTY, err=True)
        tables = {"experiments": []}
    elif not any(tables.values()):
        click.echo(f"{_NONE.capitalize()}: {', '.join(tables).replace('_', ' ')}", err=True)
    click.echo(RENDERERS[form](tables), nl=False)


def answer(uri: str, question: Question) -> Tables:
    """Ask the tracking store.

    Returns:
        Rows by name of the table; nothing when no training run has been tracked yet.

    Raises:
        TrackingError: there is no such experiment.
    """
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.tracking.queries import PastRuns

    past = PastRuns(MlflowClient(tracking_uri=uri))
    experiments = past.experiments()
    if not any(row["training_runs"] for row in experiments):
        return {}
    only, top = question.experiment_id, question.top
    if question.best_models:
        return {
            "training_runs": past.best_trainings(top, only),
            "store_models": past.best_models(top, only, question.store_id),
        }
    if question.store_id is not None:
        return {"store_runs": past.history(question.store_id, top, only)}
    if only is not None:
        return {"training_runs": past.trainings(only, top)}
    return {"experiments": experiments}


def serve(uri: str, port: int) -> None:
    """Become the MLflow UI on 127.0.0.1; Ctrl-C ends it. A server shows its own UI.

    Args:
        uri: the tracking store.
        port: to listen on.
    """
    if uri.startswith(("http://", "https://")):
        from lifemiles_forecasting.tracking.store import without_credentials

        click.echo(f"The tracking server has its own UI: {without_credentials(uri)}")
        return
    click.echo(f"MLflow UI at http://127.0.0.1:{port} (Ctrl-C ends it)", err=True)
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)]
    # not as an argument: everyone on the machine could read a database's password there
    variables = {**os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    os.execve(command[0], command, variables)  # noqa: S606 - our own interpreter, no shell


def as_json(tables: Tables) -> str:
    """One table as a list of objects, several by name."""
    content = next(iter(tables.values())) if len(tables) == 1 else tables
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def as_csv(tables: Tables) -> str:
    """The last table with a header; of the best models, that is the store models."""
    rows = list(tables.values())[-1]
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_table(tables: Tables) -> str:
    """Aligned columns, numbers to the right, a heading per table that has rows."""
    return "\n".join(_aligned(name, rows) for name, rows in tables.items() if rows)


def _aligned(name: str, rows: Sequence[Row]) -> str:
    heads = list(rows[0])
    cells = [[_cell(row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [any(isinstance(row[head], int | float) for row in rows) for head in heads]
    lines = [heads, ["-" * width for width in widths], *cells]
    body = "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )
    return f"{name.replace('_', ' ').capitalize()}\n{body}\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.3f}"
    # an id may hold a line break or an escape sequence; a terminal must not see it
    return "".join(sign if sign.isprintable() else "?" for sign in str(value))


RENDERERS = {"table": as_table, "json": as_json, "csv": as_csv}

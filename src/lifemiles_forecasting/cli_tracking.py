"""`kedro tracking`: backup, restore, clean-up and size of the tracking store.

Imported at every kedro command with `cli.py`, so what is heavy is imported inside the commands.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from kedro.framework.cli.utils import env_option

from lifemiles_forecasting.cli_errors import clear_errors
from lifemiles_forecasting.cli_paths import ProjectPath

if TYPE_CHECKING:
    from lifemiles_forecasting.explore import Stores

_AGE = re.compile(r"(\d+)([dh])")
_SECONDS = {"d": 86_400, "h": 3_600}


class Age(click.ParamType):
    """How long ago, as `90d` or `36h`; the value is in seconds."""

    name = "age"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Parse the text of the option."""
        if isinstance(value, float):
            return value
        parts = _AGE.fullmatch(str(value))
        if parts is None:
            self.fail(f"{value!r}: days or hours were expected, such as 90d or 36h", param, ctx)
        return float(parts[1]) * _SECONDS[parts[2]]


def _on_the_store(work: Callable[..., None]) -> Callable[..., None]:
    """A command that gets the project's tracking store, and ends with clear errors."""

    @env_option
    @click.pass_obj
    @functools.wraps(work)
    def command(metadata: Any, env: str | None, **options: Any) -> None:
        from kedro.utils import find_kedro_project

        from lifemiles_forecasting.explore import find_stores
        from lifemiles_forecasting.tracking.store import switch_telemetry_off

        project = metadata.project_path if metadata else find_kedro_project(Path.cwd())
        with clear_errors():
            stores = find_stores(Path(project or Path.cwd()), env)
            switch_telemetry_off()
            work(stores, **options)

    return command


@click.group()
def tracking() -> None:
    """Look after the tracking store: backup, restore, prune, size, replay."""


@tracking.command()
@click.option(
    "--data-root",
    type=ProjectPath(path_type=Path),
    help="Folder of the run's outputs; by default paths.data_root of the environment.",
)
@_on_the_store
def replay(stores: Stores, data_root: Path | None) -> None:
    """Write runs to the store that went away while they were trained."""
    from mlflow.tracking import MlflowClient

    from lifemiles_forecasting.run_lock import RunLock
    from lifemiles_forecasting.tracking import spool
    from lifemiles_forecasting.tracking.store import clear_schema_errors, keep_stdout_clean, probe

    data_root = data_root or stores.outputs
    if not spool.has_spool(data_root):
        click.echo(f"Nothing to replay in {data_root}")
        return
    probe(stores.tracking)
    keep_stdout_clean()
    lock = RunLock()
    lock.take(data_root)
    try:
        with clear_schema_errors(stores.tracking):
            for name in spool.replay(data_root, MlflowClient(stores.tracking, stores.registry)):
                click.echo(f"{name} is in the tracking store now")
    finally:
        lock.release()


@tracking.command()
@click.argument("target", metavar="DEST", type=ProjectPath(path_type=Path))
@_on_the_store
def backup(stores: Stores, target: Path) -> None:
    """Back up database and artifacts, while runs may go on.

    DEST is a new folder, or a new file *.tar.gz.
    """
    from lifemiles_forecasting.tracking.backup import backup as back_up
    from lifemiles_forecasting.tracking.store import without_credentials

    manifest = back_up(stores.tracking, target)
    size = sum(mark.size for mark in manifest.files.values())
    click.echo(f"Backed up {len(manifest.files)} files, {size:,} bytes, to {target}")
    if stores.registry not in {None, stores.tracking}:
        click.echo(
            "The registered models are not in it, but in "
            f"{without_credentials(stores.registry)}: back that up, too",
            err=True,
        )
    if manifest.unfinished_runs:
        click.echo(
            f"{len(manifest.unfinished_runs)} runs were going on; what they had not written by "
            "then is missing (unfinished_runs in the manifest)",
            err=True,
        )


@tracking.command()
@click.argument("source", type=ProjectPath(path_type=Path))
@click.option("--force", is_flag=True, help="Move a store that has runs aside.")
@_on_the_store
def restore(stores: Stores, source: Path, force: bool) -> None:
    """Put the backup SOURCE back, here or in another project folder."""
    from importlib.metadata import version

    from lifemiles_forecasting.tracking.restore import restore as put_back

    restored = put_back(stores.tracking, source, force)
    if restored.moved_to:
        click.echo(f"What was here before is in {restored.moved_to}")
    manifest = restored.manifest
    click.echo(f"Restored {len(manifest.files)} files of the backup of {manifest.created}")
    made_by = manifest.tools.get("mlflow")
    if made_by != version("mlflow"):
        click.echo(
            f"It was made with MLflow {made_by}, this is {version('mlflow')}: if MLflow asks for "
            f"it, run `mlflow db upgrade {stores.tracking}`",
            err=True,
        )


@tracking.command()
@click.option(
    "--keep",
    metavar="N",
    type=click.IntRange(min=1),
    required=True,
    help="Newest finished training runs to keep of every experiment.",
)
@click.option("--older-than", type=Age(), help="Only what started longer ago, such as 90d or 36h.")
@click.option("--keep-orphans", is_flag=True, help="Leave artifact folders of no run alone.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@_on_the_store
def prune(
    stores: Stores, keep: int, older_than: float | None, keep_orphans: bool, dry_run: bool
) -> None:
    """Delete old runs for good, and give their room back.

    What carries an alias in the model registry, the champion before, and what is running stay.
    """
    from lifemiles_forecasting.rendering import as_table
    from lifemiles_forecasting.tracking.prune import prune as clean_up
    from lifemiles_forecasting.tracking.retention import Rule

    before = None if older_than is None else int((time.time() - older_than) * 1000)
    rule = Rule(keep, before)
    pruned = clean_up(stores.tracking, rule, not keep_orphans, dry_run, stores.registry)
    tables = {
        "would_go" if dry_run else "gone": pruned.by_experiment(),
        "versions_of_registered_models": pruned.versions(),
        "kept_in_spite_of_their_age": pruned.spared(),
    }
    click.echo(as_table(tables))
    verb = "Would free" if dry_run else "Freed"
    click.echo(
        f"{verb} {sum(pruned.freed.values()):,} bytes of artifacts and "
        f"{pruned.database_bytes:,} bytes of the database"
    )
    if pruned.remark:
        click.echo(f"The database keeps some room for now: {pruned.remark}", err=True)


@tracking.command()
@_on_the_store
def size(stores: Stores) -> None:
    """Count runs and bytes, by experiment, level and life-cycle stage."""
    from lifemiles_forecasting.rendering import as_table
    from lifemiles_forecasting.tracking.size import store_size

    click.echo(as_table(store_size(stores.tracking)), nl=False)

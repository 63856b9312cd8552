"""A run whose store has gone away: the process that goes on for it, and where that one tracks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader

from lifemiles_forecasting.settings import CONFIG_LOADER_ARGS
from lifemiles_forecasting.tracking.names import SPOOL_VARIABLE
from lifemiles_forecasting.tracking.spool import spool_uri
from lifemiles_forecasting.tracking_config import tracking_config

ROOT = Path(__file__).parents[1]
# `kedro run` at the moment when its store has gone away
PARENT = """
import sys
from pathlib import Path
from lifemiles_forecasting.cli_lost_store import go_on_without_store
from lifemiles_forecasting.core.errors import LostStoreError

lost = LostStoreError("no store", "one")
lost.outputs = Path("data")
sys.argv = ["kedro", "run", "--env=quick"]
sys.exit(0 if go_on_without_store(lost) else "it did not go on")
"""
# what goes on for it, in place of Kedro
CHILD = """
import os
import sys

print(sys.argv[1:], *(os.environ[name] for name in ("LIFEMILES_SPOOL", "MLFLOW_REGISTRY_URI")))
"""


@pytest.fixture
def start(tmp_path):
    """A function that starts the run in a folder of its own, where `kedro` is the given text."""
    folder, script = tmp_path / "project", tmp_path / "script" / "parent.py"
    for path in (folder, script.parent):
        path.mkdir()
    script.write_text(PARENT)

    def starter(child, **variables):
        (folder / "kedro.py").write_text(child)
        return subprocess.Popen(
            [sys.executable, script],
            cwd=folder,
            env={k: v for k, v in os.environ.items() if k != SPOOL_VARIABLE} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return starter


def test_it_is_tracked_and_registered_in_the_spool(start, tmp_path):
    with start(CHILD, MLFLOW_REGISTRY_URI="http://registry.example") as run:
        said, errors = run.communicate(timeout=60)
    assert run.returncode == 0, errors
    spool = spool_uri(tmp_path / "project" / "data")
    assert said == f"['run', '--env=quick'] {spool} {spool}\n"
    assert errors.startswith("Warning: no store. Going on without it; ")


def test_configured_registry_is_left_alone_meanwhile(monkeypatch, tmp_path):
    spool = spool_uri(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry.example")
    monkeypatch.setenv(SPOOL_VARIABLE, spool)
    source = str(ROOT / "conf")
    loader = OmegaConfigLoader(source, **CONFIG_LOADER_ARGS)
    server = tracking_config(loader, tmp_path)["server"]
    assert server == {"mlflow_tracking_uri": spool, "mlflow_registry_uri": spool}

"""A run whose store has gone away: the process that goes on for it, and where that one tracks."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from killing import ENDS

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

# the same, until a signal ends it as it ends a run; one that comes within a print may not print
PATIENT = """
import os
import signal
import sys
import threading

def end(number, frame):
    os.write(1, b"told %d\\n" % number)
    sys.exit(1 if number == signal.SIGINT else 128 + number)

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, end)
os.write(1, b"ready\\n")
threading.Event().wait(60)
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


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_ends_the_run_ends_who_goes_on_for_it(start, number):
    with start(PATIENT) as run:
        assert run.stdout.readline() == "ready\n"
        run.send_signal(number)
        said, errors = run.communicate(timeout=60)
    assert said == f"told {number}\n"
    assert run.returncode == ENDS.get(number, 128 + number)
    assert "Traceback" not in errors


def test_who_goes_on_may_be_killed(start):
    with start("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)") as run:
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGKILL
    assert "Traceback" not in errors

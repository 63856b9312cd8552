"""Ten random moments of a run at which it is killed, and Ctrl-C and SIGTERM while it trains."""

import signal

import numpy as np
import pytest
from killing import (
    PHASES,
    Kill,
    check_outputs,
    check_resumed,
    count_files,
    kept_fits,
    kill_run,
    resume,
)

from lifemiles_forecasting.core.training_ledger import RECORD

pytestmark = pytest.mark.torture

RECORD_FILE = f"{RECORD}.fit"
MOMENTS = 10


@pytest.fixture(scope="module")
def arguments(few_stores):
    return "--env=quick", f"--params=raw_transactions={few_stores},modeling.workers=2"


@pytest.fixture(scope="module")
def undisturbed(copy_project, tmp_path_factory, arguments):
    project = copy_project(tmp_path_factory.mktemp("undisturbed"))
    result = project.kedro("run", *arguments)
    assert result.returncode == 0, result.stderr
    return project


def check_kill(project, undisturbed, arguments, kill):
    kill_run(project, arguments, kill)
    check_outputs(project)
    sound = set(kept_fits(project)) - {RECORD_FILE}
    wanted = set(kept_fits(undisturbed)) - {RECORD_FILE}
    assert sound <= wanted
    assert resume(project, arguments, RECORD_FILE) - {RECORD_FILE} == wanted - sound
    ledger = check_resumed(project, undisturbed, 1, RECORD_FILE)
    started = {"not finished before", "nothing changed"}
    assert set(ledger["why"]) <= ({"new store"} if kill.phase == "reading" else started)


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_kill_at_a_random_moment(copy_project, tmp_path, undisturbed, arguments, seed):
    rng, phases = np.random.default_rng(seed), list(PHASES)
    phase = phases[seed % len(phases)]  # each of them twice
    files = int(rng.integers(1, count_files(undisturbed)[phase]))
    check_kill(copy_project(tmp_path), undisturbed, arguments, Kill(phase, files))


@pytest.mark.usefixtures("heeded_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_training_keeps_what_is_done(
    copy_project, tmp_path, undisturbed, arguments, number
):
    kill = Kill("training", 12, number)
    check_kill(copy_project(tmp_path), undisturbed, arguments, kill)

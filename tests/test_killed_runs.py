"""`kill -9` while a run trains, logs and writes; what follows is as if nothing had happened."""

import numpy as np
import pytest
from killing import Kill, check_outputs, check_resumed, count_files, kept_fits, kill_run, resume
from small_models import as_parameters

from lifemiles_forecasting.core.training_ledger import RECORD

RECORD_FILE = f"{RECORD}.fit"
SEED = 20
STORES = 8  # of `few_stores` with models of their own


@pytest.fixture(scope="module")
def arguments(few_stores):
    given = f"raw_transactions={few_stores},modeling.workers=2,{as_parameters()}"
    return "--env=quick", f"--params={given}"


@pytest.fixture(scope="module")
def undisturbed(copy_project, tmp_path_factory, arguments):
    project = copy_project(tmp_path_factory.mktemp("undisturbed"))
    result = project.kedro("run", *arguments)
    assert result.returncode == 0, result.stderr
    return project


def test_killed_runs_are_gone_on_with(copy_project, tmp_path, undisturbed, arguments):
    rng, files = np.random.default_rng(SEED), count_files(undisturbed)
    project = copy_project(tmp_path)
    # each gets further than the one before
    kill_run(project, arguments, Kill("training", int(rng.integers(2, files["training"] // 2))))
    check_outputs(project)
    kept = kept_fits(project)
    assert 0 < len(kept) < files["training"]
    for phase in ("logging", "writing"):
        kill_run(project, arguments, Kill(phase, int(rng.integers(1, files[phase] // 2))))
        check_outputs(project)
    assert resume(project, arguments, RECORD_FILE) == set()  # all training had been done
    del kept[RECORD_FILE]
    assert kept.items() <= kept_fits(project).items()  # none of them was made once more
    ledger = check_resumed(project, undisturbed, 3, RECORD_FILE)
    assert ledger["why"].tolist() == ["nothing changed"] * STORES

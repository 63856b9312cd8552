"""Where the seconds of a run go is read off its log."""

import cost


def test_every_stage_of_a_real_run_is_found_in_its_log(trained):
    log = trained.result.stderr
    stages = cost.stage_seconds(log)
    assert stages.keys() == cost.STAGES.keys()
    assert all(seconds >= 0 for seconds in stages.values())
    assert stages["backtest, choice and refit"] > 0
    told = dict(part.rsplit(" ", 1) for part in cost.candidate_seconds(log).split(", "))
    assert {"direct", "recursive", "local_catboost", "ridge"} <= told.keys()

"""Store work on a Dask cluster: the forecasts of local processes, whatever happens to workers."""

import dataclasses
import http.server
import os
import re
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta

import cluster_tasks
import numpy as np
import psutil
import pytest
from cluster_tasks import HANGER, KILLER, await_true, isolation, serve, serve_alone, serve_any
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dask import config as dask_config
from dask_cluster import SOURCE, dask_cluster
from fits_in_memory import FitsInMemory
from services import await_answer, free_port

from lifemiles_forecasting import core
from lifemiles_forecasting.core import backtest, cluster, cluster_connection, parallel
from lifemiles_forecasting.core.config import ModelSettings, parse
from lifemiles_forecasting.core.errors import ClusterError, ConfigError
from lifemiles_forecasting.core.synthetic import small_settings
from lifemiles_forecasting.core.training_ledger import RECORD

LIMIT = 1.0  # seconds of a store
PATIENCE = 20  # seconds that a process may take to end


@pytest.fixture(scope="module")
def whole_cluster(tmp_path_factory):
    """A scheduler and two workers, which nannies start again; each may end once under any task."""
    folder = tmp_path_factory.mktemp("cluster")
    few = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2"}
    with dask_cluster(folder, **few) as made, made.workers(2, "--nthreads", 1):
        yield made


@pytest.fixture
def dask(whole_cluster, monkeypatch):
    """The same with both workers there, where everything that may go there once does."""
    whole_cluster.await_workers()
    monkeypatch.setattr(cluster, "LARGE", 1)
    return whole_cluster


def on_cluster(study, dask, **changes):
    given = {"scheduler": dask.address, "store_seconds": 60.0, **changes}
    return dataclasses.replace(study, settings=study.settings.model_copy(update=given))


class KillsAWorker(FitsInMemory):
    """A store of fits which, when the first one is put into it, ends a worker and its family.

    What is known of each store is put there before any task is sent, so that does not count.
    """

    def __init__(self, pid):
        super().__init__()
        self.pid, self.orphans, self.killed = pid, [], False

    def put(self, key, blob):
        if not self.killed and key != RECORD:
            self.killed = True
            self.orphans = psutil.Process(self.pid).children(recursive=True)
            os.kill(self.pid, signal.SIGKILL)
        super().put(key, blob)


@pytest.fixture(scope="module")
def small(make_study, made):
    """Ten stores; models of all of them, and models of their own."""
    candidates = ("base", "direct", "recursive", "ridge")
    return make_study(made.series, min_samples=60, candidates=candidates)


@pytest.fixture(scope="module")
def local(small):
    return backtest.run(small)


def test_backtest_is_that_of_local_processes_though_a_worker_is_killed_in_it(small, local, dask):
    before = dask.pids()
    fits = KillsAWorker(before[0])
    made = backtest.run(dataclasses.replace(on_cluster(small, dask), fits=fits))
    assert {key: y.tobytes() for key, y in made.y_hat.items()} == {
        key: y.tobytes() for key, y in local.y_hat.items()
    }
    assert made.weights.tobytes() == local.weights.tobytes()
    assert made.intervals.distance.tobytes() == local.intervals.distance.tobytes()
    assert made.fits.failures == made.fits.left_out == []
    for key, fit in local.fits.by.items():
        models = {store: model.dump() for store, model in fit.models.items()}
        assert {s: model.dump() for s, model in made.fits.by[key].models.items()} == models
    assert made.fits.work.fitted
    assert made.fits.work.keys <= set(fits.blobs)  # kept by this process
    dask.await_workers()
    assert before[0] not in dask.pids()
    assert psutil.wait_procs(fits.orphans, PATIENCE)[1] == []


def test_data_that_are_lost_with_their_only_worker_are_sent_again(dask, tmp_path):
    """Both workers end, one after the other, while each has a task under way."""
    data = np.arange(1_000.0)
    begun = set()

    def both():
        begun.update(file.name.partition(".")[2] for file in tmp_path.iterdir())
        return len(begun) == 2

    def end_workers():
        await_true(both)
        for pid in begun:
            os.kill(int(pid), signal.SIGKILL)
        (tmp_path / "go").touch()

    ender = threading.Thread(target=end_workers, daemon=True)
    ender.start()
    tasks = [(data, number, str(tmp_path)) for number in range(6)]
    made = parallel.run(cluster_tasks.wait_for, tasks, scheduler=dask.address)
    ender.join()
    assert made == [[number, data.sum()] for number in range(6)]
    assert len(begun) == 2


def test_stores_that_hang_or_end_their_process_are_given_up_and_no_worker_is_lost(dask):
    before = dask.pids()
    tasks = [(serve, range(4)), (serve, range(4, 8)), (serve_alone, 8)]
    first, second, (alone,) = parallel.run(
        serve_any, tasks, isolation=isolation(LIMIT), scheduler=dask.address
    )
    made = dict(first + second)
    assert made.pop(1).error == "ArithmeticError: no such thing"
    assert made.pop(3) == "TimeLimitExceeded: took longer than 1 s"
    assert made.pop(5) == "ProcessEnded: took their process down"
    assert made == {0: 0, 2: 4, 4: 8, 6: 12, 7: 14}
    assert alone[0] == 8
    assert dask.pids() == before


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (KILLER, "ProcessEnded: took their process down"),
        (HANGER, "TimeLimitExceeded: took longer than 1 s"),
    ],
)
def test_task_that_takes_worker_after_worker_down_is_given_up_and_no_other(dask, bad, said):
    tasks = [(serve_alone, number) for number in (1, bad, 2, 3)]
    given = isolation(LIMIT)
    made = parallel.run(serve_any, tasks, isolation=given, scheduler=dask.address)
    assert [result[0][0] for result in made] == [1, bad, 2, 3]
    assert made[1] == [(bad, said)]


def test_what_is_large_goes_to_the_cluster_once_and_leaves_it_with_its_owner(dask):
    data = np.arange(1_000.0)
    for _ in range(2):
        tasks = [(np.add, data, number) for number in range(4)]
        sums = parallel.run(serve_any, tasks, scheduler=dask.address)
        for number, total in enumerate(sums):
            np.testing.assert_array_equal(total, data + number)
    assert len(arrays_on(dask)) == 1
    del data, tasks
    log = dask.folder / "scheduler.log"
    await_answer(dask.scheduler, lambda: not arrays_on(dask), log)


def arrays_on(dask):
    return [key for key in dask.client.who_has() if key.startswith("ndarray-")]


def test_error_outside_of_an_attempt_stops_the_run(dask):
    with pytest.raises(ArithmeticError, match=r"^no such thing$"):
        parallel.run(cluster_tasks.refuse, [()] * 3, scheduler=dask.address)


def test_worker_with_other_code_or_several_threads_is_refused_by_name(dask, tmp_path):
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "src" / "lifemiles_forecasting" / "core" / "base.py").open("a") as file:
        file.write("# a later version\n")
    with dask.workers(1, "--nthreads", 2, source=tmp_path / "src"):
        (worker,) = [name for name, threads in dask.client.nthreads().items() if threads == 2]
        with pytest.raises(ClusterError) as refused:
            parallel.run(serve_any, [(len, "abc")], scheduler=dask.address)
    known = core.software.versions()["code of core/"]
    assert re.fullmatch(
        rf"found the Dask worker {worker} with code of core/ \w{{16}} instead of {known}, "
        r"threads 2 instead of 1; expected the same there as here, or forecasts depend on who "
        r"made them\. Install the same code and requirements\.lock there, and start it with "
        r"--nthreads 1",
        str(refused.value),
    )


# --- no cluster


def when_begun(folder, act):
    """Do something as soon as a task has begun in a folder."""

    def wait():
        await_true(lambda: list(folder.iterdir()))
        act()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_cluster_without_workers_or_whose_scheduler_goes_away_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_connection, "WORKER_SECONDS", 0.1)
    monkeypatch.setattr(cluster_connection, "REACH_SECONDS", 2.0)
    monkeypatch.setattr(cluster, "LOOK_SECONDS", 0.1)
    begun = tmp_path / "begun"
    begun.mkdir()
    with dask_cluster(tmp_path) as dask:
        with pytest.raises(ClusterError) as told:
            parallel.run(serve_any, [(len, "abc")], scheduler=dask.address)
        assert str(told.value) == (
            f"found no worker of the Dask scheduler {dask.address} for 0.1 s; expected at least "
            f"one. Start it with `dask worker {dask.address} --nthreads 1`"
        )
        with dask.workers(1, "--nthreads", 1):
            when_begun(begun, dask.scheduler.kill)
            task = np.arange(3.0), 0, str(begun)
            with pytest.raises(ClusterError) as told:
                parallel.run(cluster_tasks.wait_for, [task], scheduler=dask.address)
    assert str(told.value) == (
        f"found that the Dask scheduler {dask.address} has gone away; expected it until the end "
        "of the run. Start it, its workers and the run again: finished fits are taken as they are"
    )


class Web(http.server.BaseHTTPRequestHandler):
    """A server of another kind."""


@contextmanager
def web_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("server", [nullcontext, web_server], ids=["nobody", "another_kind"])
def test_scheduler_that_does_not_answer_is_told(server, monkeypatch):
    monkeypatch.setattr(cluster_connection, "REACH_SECONDS", 0.5)
    with server() as port:
        address = f"tcp://127.0.0.1:{port or free_port()}"
        with pytest.raises(ClusterError) as told:
            parallel.run(serve_any, [(len, "abc")], scheduler=address)
    assert str(told.value).startswith(f"found no Dask scheduler that answers at {address} (")
    assert str(told.value).endswith(
        "); expected one within 0.5 s. Start it with `dask scheduler`, or train on this machine: "
        "modeling.scheduler=null"
    )


def test_package_that_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError) as told:
        parallel.run(serve_any, [(len, "abc")], scheduler="tcp://127.0.0.1:8786")
    assert str(told.value) == (
        "found modeling.scheduler = 'tcp://127.0.0.1:8786' without the package distributed; "
        "expected it to be installed, here and where the workers run. "
        "pip install 'lifemiles-forecasting[cluster]'"
    )


@pytest.mark.parametrize("address", ["host:8786", "http://host:1", "tcp://host", "tls://u:p@h:1"])
def test_what_is_no_address_of_a_scheduler_is_refused(address):
    with pytest.raises(ConfigError) as refused:
        parse(ModelSettings, small_settings().model_dump() | {"scheduler": address})
    assert str(refused.value) == (
        f"found parameter 'scheduler' = {address!r}; expected the address of a Dask scheduler, "
        "tcp://host:8786 or tls://host:8786"
    )


# --- TLS


def write_certificate(folder):
    """A certificate for this machine that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster of the tests")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    files[1].write_bytes(key.private_bytes(pem, *plain))
    return map(str, files)


def test_tls_keeps_out_who_has_no_certificate(tmp_path, monkeypatch):
    certificate, key = write_certificate(tmp_path)
    given = {"require-encryption": "true", "tls.ca-file": certificate}
    for role in ("scheduler", "worker", "client"):
        given |= {f"tls.{role}.cert": certificate, f"tls.{role}.key": key}
    settings = {f"distributed.comm.{name}": value for name, value in given.items()}
    for name, value in settings.items():
        monkeypatch.setenv(f"DASK_{name.upper().replace('.', '__').replace('-', '_')}", value)
    with (
        dask_config.set(settings),
        dask_cluster(tmp_path, "tls://127.0.0.1") as dask,
        dask.workers(1, "--nthreads", 1),
    ):
        assert dask.address.startswith("tls://")
        assert parallel.run(serve_any, [(len, "abc")], scheduler=dask.address) == [3]
        with dask_config.set(dict.fromkeys(settings)):
            for address in (dask.address, dask.address.replace("tls", "tcp")):
                with pytest.raises(ClusterError, match=r"^found no Dask scheduler that answers"):
                    cluster_connection.Connection(address)

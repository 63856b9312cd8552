"""`kedro serve` of the champion in the tracking store: seconds to start, and to answer."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

PROJECT = Path(__file__).parents[1]
PATIENCE = 120  # seconds until the server must be ready
SINGLE, MANY, STORES, CLIENTS = 2_000, 300, 100, 4


@dataclass(frozen=True)
class Started:
    """A running server.

    Attributes:
        port: on 127.0.0.1.
        seconds: from the command to the first answer.
        memory_mb: of the server and the process that waits for it.
    """

    port: int
    seconds: float
    memory_mb: float


@contextmanager
def served(folder: Path) -> Iterator[Started]:
    """Serve the champion; the server is gone when the context is left.

    Raises:
        SystemExit: no server came up; the message is what it printed.
    """
    import psutil

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    log = folder / "server.log"
    command = [sys.executable, "-m", "kedro", "serve", "--port", str(port)]
    start = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT, stdout=output, stderr=output)
    try:
        while not _answers(port):
            ended = process.poll() is not None
            if ended or time.perf_counter() - start > PATIENCE:
                raise SystemExit(f"no server:\n{log.read_text()}")
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children(recursive=True)]
        yield Started(port, seconds, sum(one.memory_info().rss for one in family) / 1e6)
    finally:
        process.terminate()  # its server ends with it
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Client:
    """One connection that stays open, as a service would keep it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, rows: Sequence[Mapping]) -> tuple[float, list[dict]]:
        """Seconds until the answer was there and read, and the answer."""
        start = time.perf_counter()
        body = json.dumps({"dataframe_records": rows})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/invocations", body, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        seconds = time.perf_counter() - start
        if response.status != http.client.OK:
            raise SystemExit(f"answer {response.status}: {answer}")
        return seconds, answer["predictions"]


def load() -> tuple[dict[str, float], np.ndarray, int]:
    """What loading the champion takes in this process, and what it knows.

    Returns:
        Seconds by step, the ids of its stores, and its horizon.
    """
    import mlflow
    from kedro.framework.startup import bootstrap_project

    from lifemiles_forecasting.core.answers import Answers
    from lifemiles_forecasting.explore import find_stores
    from lifemiles_forecasting.tracking.fleet import read_fleet
    from lifemiles_forecasting.tracking.names import CHAMPION, REGISTERED_MODEL

    bootstrap_project(PROJECT)
    stores = find_stores(PROJECT, None)
    mlflow.set_tracking_uri(stores.tracking)
    mlflow.set_registry_uri(stores.registry or stores.tracking)
    start = time.perf_counter()
    fleet = read_fleet(f"models:/{REGISTERED_MODEL}@{CHAMPION}")
    read = time.perf_counter()
    answers = Answers(fleet.forecast(fleet.history))
    made = time.perf_counter()
    ids = fleet.history.store_ids
    answers.of(pd.DataFrame({"store_id": ids[:1], "horizon": [1]}))  # builds its index
    question = pd.DataFrame({"store_id": ids[-1:], "horizon": [1]})
    first = time.perf_counter()
    for _ in range(SINGLE):
        answers.of(question)
    each = (time.perf_counter() - first) / SINGLE
    return {"read": read - start, "forecast": made - read, "look-up": each}, ids, fleet.horizon


def questions(ids: np.ndarray, horizon: int) -> dict[str, list[list[dict]]]:
    """Bodies by kind of question; the stores are drawn, the days go round."""
    rng = np.random.default_rng(0)

    def days(count: int) -> list[dict]:
        drawn = rng.choice(ids, count)
        return [{"store_id": s, "horizon": k % horizon + 1} for k, s in enumerate(drawn)]

    def whole(count: int) -> list[dict]:
        return [{"store_id": s} for s in rng.choice(ids, count)]

    return {
        "one store, one day": [[row] for row in days(SINGLE)],
        f"one store, all {horizon} days": [whole(1) for _ in range(MANY)],
        f"{STORES} stores, one day each": [days(STORES) for _ in range(MANY)],
        f"{STORES} stores, all {horizon} days": [whole(STORES) for _ in range(MANY)],
    }


def row(kind: str, bodies: list[list[dict]], port: int) -> dict:
    """Latency with one client, and questions per second with several at once."""
    client = Client(port)
    client.ask(bodies[0])
    seconds, answers = zip(*(client.ask(body) for body in bodies), strict=True)
    clients = [Client(port) for _ in range(CLIENTS)]
    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        shares = [(one, bodies[k::CLIENTS]) for k, one in enumerate(clients)]
        list(pool.map(lambda share: [share[0].ask(body) for body in share[1]], shares))
    rate = len(bodies) / (time.perf_counter() - start)
    milliseconds = 1_000 * np.array(seconds)
    return {
        "question": kind,
        "questions": len(bodies),
        "rows of an answer": len(answers[0]),
        "median ms": round(float(np.median(milliseconds)), 1),
        "p99 ms": round(float(np.quantile(milliseconds, 0.99)), 1),
        f"questions per second, {CLIENTS} clients": round(rate, 1),
    }


def measure(folder: Path) -> str:
    """The section of RESULTS.md, of the champion that MLFLOW_TRACKING_URI or the project has."""
    folder.mkdir(parents=True)
    took, ids, horizon = load()
    load_before = os.getloadavg()[0]
    with served(folder) as server:
        rows = [row(kind, bodies, server.port) for kind, bodies in questions(ids, horizon).items()]
    table = pd.DataFrame(rows).to_markdown(index=False)
    return (
        f"`kedro serve` of a champion that knows {len(ids):,} stores, after `kedro run` on the "
        f"sample: ready after {server.seconds:.1f} s (of which reading the model and checking its "
        f"sums takes {took['read']:.2f} s, twice, and forecasting every store "
        f"{took['forecast']:.2f} s, once), {server.memory_mb:.0f} MB. From then on a question is "
        f"a look-up: {1_000 * took['look-up']:.2f} ms in the process, the rest is MLflow's "
        "server and HTTP. Server and clients share "
        f"{os.cpu_count()} cores; the machine's load before the server started was "
        f"{load_before:.1f} (0 is quiet).\n\n{table}"
    )

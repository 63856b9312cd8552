"""Servers listen on this machine alone, unless an option says otherwise and a warning is given."""

import socket
import subprocess
import sys
import tempfile
import urllib.request

import psutil
import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from services import free_port

from lifemiles_forecasting import explore
from lifemiles_forecasting.cli import cli
from lifemiles_forecasting.core.errors import ConfigError
from lifemiles_forecasting.core.hosts import exposure, is_loopback
from lifemiles_forecasting.tracking import serving

FEW_PROCESSES = {"MLFLOW_WORKERS": "1", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
OPEN = ["0.0.0.0", "::", "192.168.1.4", "mlflow.example", "0", "", "127.0.0.1.evil.example"]
WARNING = "On 0.0.0.0 other machines get in as well, and there is no password"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_hosts_of_this_machine(host):
    assert is_loopback(host)
    assert exposure(host) == ""


@pytest.mark.parametrize("host", OPEN)
def test_hosts_that_let_others_in(host):
    assert not is_loopback(host)
    assert exposure(host).startswith(f"On {host} other machines get in as well")


@pytest.fixture
def become(monkeypatch, tmp_path):
    """What a command would have become; it becomes nothing."""
    became = []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(explore.os, "execve", lambda *arguments: became.append(arguments[1]))
    return became


@pytest.mark.parametrize(
    ("arguments", "host", "warned"),
    [
        ((), "127.0.0.1", False),
        (("--host", "0.0.0.0"), "0.0.0.0", True),
        (("--host", "::1"), "::1", False),
    ],
)
def test_ui_warns_when_it_is_opened(fresh_project, monkeypatch, become, arguments, host, warned):
    monkeypatch.chdir(fresh_project.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", fresh_project.tracking_uri)
    bootstrap_project(fresh_project.folder)
    result = CliRunner().invoke(cli, ["explore", "--serve", *arguments])
    assert result.exit_code == 0, result.output
    (command,) = become
    assert command[command.index("--host") + 1] == host
    assert (f"Warning: {WARNING}" in result.stderr) == warned
    assert f"MLflow UI at http://{f'[{host}]' if ':' in host else host}:5000 " in result.stderr


def test_ui_of_no_store_is_refused_without_its_password(fresh_project, monkeypatch, become):
    monkeypatch.chdir(fresh_project.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgre://me:S3CRET@host/db")
    bootstrap_project(fresh_project.folder)
    result = CliRunner().invoke(cli, ["explore", "--serve"])
    assert result.exit_code == 1
    assert "Error: found no usable MLflow tracking store at postgre://host/db (" in result.stderr
    assert "S3CRET" not in result.output
    assert become == []


@pytest.mark.parametrize(("address", "host"), [({}, "127.0.0.1"), ({"host": "::1"}, "::1")])
def test_scoring_server_is_told_where_to_listen(become, address, host):
    serving.become_server("1", 5001, **address)
    (command,) = become
    assert command[command.index("--host") + 1] == host


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_port_of_the_scoring_server_is_looked_at_where_it_will_listen(family, host):
    with socket.socket(family) as other:
        try:
            other.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no address {host}")
        other.listen()
        port = other.getsockname()[1]
        message = rf"found no way to listen on port {port} of {host} \(address already in use\)"
        with pytest.raises(ConfigError, match=message):
            serving.check_port(port, host)
    serving.check_port(port, host)


def test_address_of_a_name_that_this_machine_lacks_is_no_reason_to_refuse_it(monkeypatch):
    """`localhost` is often one of IPv6 as well where there is none; a lone one is refused."""
    own, absent = ("127.0.0.1", free_port()), ("192.0.2.1", 5001)  # of documentation
    stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
    found = [(*stream, absent), (*stream, own)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    serving.check_port(5001, "some.name")
    found.pop()
    with pytest.raises(ConfigError, match=r"\(cannot assign requested address\); expected a free"):
        serving.check_port(5001, "some.name")


def test_name_that_nobody_knows_is_refused(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        ConfigError, match=r"port 5001 of nowhere \(name or service not known\); ex"
    ):
        serving.check_port(5001, "nowhere")


@pytest.mark.parametrize("host", ["..", "h" * 70])
def test_what_is_no_name_of_a_host_is_refused(host):
    message = r"of \S+ \(not the name of a host\); expected an address of this machine\. .* --host"
    with pytest.raises(ConfigError, match=message):
        serving.check_port(5001, host)


@pytest.mark.parametrize("name", ["explore", "serve"])
def test_commands_that_listen_have_this_machine_as_default(name):
    (option,) = [option for option in cli.commands[name].params if option.name == "host"]
    assert option.default == "127.0.0.1"
    assert option.envvar is None  # nothing but the command line opens it


def test_ui_of_kedro_mlflow_warns_as_well(fresh_project, tmp_path):
    """Its --host is its own; the warning is ours. Without the program `mlflow` nothing listens."""
    result = fresh_project.kedro("mlflow", "ui", "--host=0.0.0.0", PATH=str(tmp_path))
    assert WARNING in result.stderr
    assert "No such file or directory: 'mlflow'" in result.stderr


def test_ui_listens_on_loopback_alone(fresh_project):
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "kedro", "explore", "--serve", f"--port={port}"],
        cwd=fresh_project.folder,
        env=fresh_project.environment(**FEW_PROCESSES),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert answers(process, port)
            family = [
                process.pid,
                *(child.pid for child in psutil.Process(process.pid).children(True)),
            ]
            listening = {
                connection.laddr.ip
                for connection in psutil.net_connections("tcp")
                if connection.pid in family and connection.status == psutil.CONN_LISTEN
            }
            assert listening == {"127.0.0.1"}
        finally:
            children = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            for child in psutil.wait_procs(children, timeout=10)[1]:
                child.kill()


def answers(process, port):
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except OSError:
            try:
                process.wait(0.1)  # the pause between two questions, unless it has ended
            except subprocess.TimeoutExpired:
                continue
            return False
        return True
    return False

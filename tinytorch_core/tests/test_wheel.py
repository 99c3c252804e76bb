"""The wheel, built from a clean copy and installed in a virtual environment elsewhere, is the whole product."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, env: dict[str, str]) -> str:
    """The command's standard output; a failure shows all it said."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def environment(elsewhere: Path) -> dict[str, str]:
    """A bare environment: nothing of this checkout, and no Node but the one that the build brings along."""
    trap = elsewhere / "no-node"
    trap.mkdir()
    for name in ("node", "npm", "npx", "yarn"):
        (trap / name).write_text(f"#!/bin/sh\necho 'the machine has no {name}' >&2\nexit 97\n")
        (trap / name).chmod(0o755)
    mine = str(Path(sys.prefix) / "bin")
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder != mine]
    dropped = ("PYTHON", "JUPYTER", "VIRTUAL_ENV", "COV_", "PYTEST", "TINYTORCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"PATH": os.pathsep.join([str(trap), *path]), "JUPYTER_CONFIG_DIR": str(elsewhere / "jupyter-config")}


@pytest.fixture(scope="module")
def wheel(elsewhere: Path, environment: dict[str, str]) -> Path:
    """Built by pip from the files that git knows or would add, so that nothing stale or ignored gets in."""
    copy = elsewhere / "copy"
    listed = run("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=PROJECT, env=environment)
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, copy / name)
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-qq",
        "--no-deps",
        "-w",
        elsewhere / "dist",
        copy,
        cwd=elsewhere,
        env=environment,
    )
    shutil.rmtree(copy)
    (built,) = (elsewhere / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(elsewhere: Path, environment: dict[str, str], wheel: Path) -> Path:
    """The commands of a fresh virtual environment with nothing but the wheel and what it asks for."""
    run(sys.executable, "-m", "venv", elsewhere / "venv", cwd=elsewhere, env=environment)
    folder = elsewhere / "venv" / "bin"
    run(folder / "python", "-m", "pip", "install", "-qq", wheel, cwd=elsewhere, env=environment)
    return folder


def test_the_wheel_holds_the_course_and_both_halves(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "notebooks/01_setup.py",
        "checks/test_01_setup.py",
        "checks/support.py",
        "historical/perceptron_1957.py",
        "historical/data/mnist_12k.npz",
        "historical/data/fashion_6k.npz",
        "historical/data/austen_pride_prejudice.txt",
        "data/datasets.toml",
    ):
        assert f"tinytorch_core/{part}" in names
    assert any(name.startswith("tinytorch_core/checks/mutants/") for name in names)
    assert any(name.endswith("share/jupyter/labextensions/tinytorch_core/static/style.js") for name in names)
    assert any(name.endswith("etc/jupyter/jupyter_server_config.d/tinytorch_core.json") for name in names)
    assert not [name for name in names if "/tests/" in name or "node_modules" in name or name.endswith(".pyc")]


def test_jupyter_sees_both_halves(bin_folder: Path, elsewhere: Path, environment: dict[str, str]) -> None:
    listed = [
        subprocess.run(
            [bin_folder / "jupyter", *command, "list"], cwd=elsewhere, env=environment, capture_output=True, text=True
        )
        for command in (["labextension"], ["server", "extension"])
    ]
    lab, server = (done.stdout + done.stderr for done in listed)
    assert any("tinytorch_core" in line and "enabled" in line and "OK" in line for line in lab.splitlines()), lab
    assert any("tinytorch_core" in line and "OK" in line for line in server.splitlines()), server


def test_the_whole_course_is_completed_with_the_command_line_alone(
    bin_folder: Path, elsewhere: Path, environment: dict[str, str]
) -> None:
    """From an empty folder to the last badge. The pieces of history are opened; `tito dev check` runs them all."""
    workspace = str(elsewhere / "student")

    def tito(*words: str) -> Any:
        return json.loads(
            run(bin_folder / "tito", *words, "--json", "--workspace", workspace, cwd=elsewhere, env=environment)
        )

    assert run(bin_folder / "tito", "--version", cwd=elsewhere, env=environment).strip()
    run(bin_folder / "tito", "init", workspace, cwd=elsewhere, env=environment)
    course = tito("status")
    assert [module["state"] for module in course["modules"]] == ["available"] + ["locked"] * 13
    unlocked: list[str] = []
    while course["next"]["kind"] == "module":
        module = course["next"]["id"]
        tito("module", "open", module)
        tito("dev", "solve", module)
        report = tito("module", "complete", module)
        assert report["verdict"] == "passed", report
        unlocked += [*report["unlocked"]["modules"], *report["unlocked"]["historical"]]
        course = tito("status")
        assert course["built"] is None or course["next"]["kind"] == "done"
    assert set(unlocked) == {x["id"] for x in [*course["modules"][1:], *course["historical"]]}
    assert all(milestone["earned"] for milestone in tito("milestones"))
    for piece in course["historical"]:
        assert Path(tito("examples", "open", piece["id"])["path"]).is_file()
    assert tito("examples", "run", "perceptron_1957")["verdict"] == "passed"
    built = course["built"]
    assert built["lines"] > 2000 and built["operations"] > 40 and built["days"] in (1, 2)


@pytest.fixture
def server(bin_folder: Path, elsewhere: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a JupyterLab that `tito lab` started on a folder that did not exist."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = ["tito", "lab", "new-course", "--port", str(port), "--no-browser", "--", "--IdentityProvider.token="]
    log = elsewhere / "lab.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [bin_folder / command[0], *command[1:]], cwd=elsewhere, env=environment, stdout=stream, stderr=stream
        )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"{url}/api/status"):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        time.sleep(0.1)
        return False


def test_lab_starts_on_a_new_workspace(server: str, elsewhere: Path) -> None:
    with urllib.request.urlopen(f"{server}/tinytorch/api/course", timeout=30) as answer:
        course = json.load(answer)
    assert course["workspace"] == str(elsewhere / "new-course")
    assert course["modules"][0]["state"] == "available"

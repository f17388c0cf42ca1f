"""Completion in the shells themselves: bash runs the script that it is given, zsh and fish ask as their scripts do."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time

import pytest

from jarvisd.paths import Home
from tests import postgres
from tests.acceptance.conftest import BIN, House, until


def asked(house: House, shell: str, line: str) -> list[str]:
    """The values that the program offers a shell for the last word of the line."""
    words = line.split(" ")
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_JARVISCTL_COMPLETE": f"{shell}_complete"}
    if shell == "fish":
        environment["COMP_CWORD"] = words[-1]
    done = subprocess.run(
        [BIN / "jarvisctl"],
        env={**os.environ, "JARVISD_HOME": str(house.root), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    if shell == "zsh":
        return [value.replace("\\:", ":") for value in done.stdout.splitlines()[1::3]]
    return [re.split(r"\t", line.partition(",")[2])[0] for line in done.stdout.splitlines()]


def in_bash(house: House, *words: str) -> list[str]:
    """What bash itself completes after it has read the script. `words` as bash splits them, also at colons."""
    script = (
        'source <("$JARVISCTL" completion bash)\n'
        f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
        f"COMP_CWORD={len(words) - 1}\n"
        '_jarvisctl_completion "$JARVISCTL"\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    environment = {**os.environ, "JARVISD_HOME": str(house.root), "JARVISCTL": str(BIN / "jarvisctl")}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.split()


@pytest.fixture
def busy(house: House) -> House:
    """A home with a cancelled job and two queued ones in three runs."""
    for name in ("over", "evaluation", "second"):
        house.enqueue("command", "--name", name, "--", "true")
    house.ctl("cancel", "1")
    return house


@pytest.mark.parametrize("shell", ["zsh", "bash", "fish"])
def test_names_of_jobs_runs_plans_and_models_are_completed(busy: House, shell: str) -> None:
    (first, *_) = [run["id"] for run in busy.status("command:second")["runs"]]
    runs = {first, first[:-2] + "-2"}
    cancel = asked(busy, shell, "jarvisctl cancel ")
    assert {"command:evaluation", "command:second", "2", "3", "latest"} | runs <= set(cancel)
    assert {"command:over", "1"} & set(cancel) == set()
    assert asked(busy, shell, "jarvisctl retry ")[:2] == ["command:over", "1"]
    assert asked(busy, shell, "jarvisctl wait lat") == ["latest"]
    assert asked(busy, shell, "jarvisctl logs sec") == ["second"]
    assert asked(busy, shell, "jarvisctl enqueue ove") == ["overnight"]
    assert asked(busy, shell, "jarvisctl enqueue command --after command:ev") == ["command:evaluation"]
    assert "smollm3-3b" in asked(busy, shell, "jarvisctl models fetch smol")
    assert "overnight" in asked(busy, shell, "jarvisctl models fetch --only o")
    assert asked(busy, shell, "jarvisctl canc") == ["cancel"]
    assert "--follow" in asked(busy, shell, "jarvisctl logs --fol")
    assert set(asked(busy, shell, "jarvisctl models fet")) == {"fetch"}


def test_bash_completes_a_name_with_a_colon_that_it_has_split(busy: House) -> None:
    assert in_bash(busy, "jarvisctl", "cancel", "command", ":", "ev") == ["evaluation"]
    assert set(in_bash(busy, "jarvisctl", "cancel", "command", ":")) == {"evaluation", "second"}
    assert in_bash(busy, "jarvisctl", "stat") == ["status"]


def test_a_home_without_a_database_or_with_a_damaged_one_completes_nothing_and_says_nothing(house: House) -> None:
    assert asked(house, "zsh", "jarvisctl cancel ") == []
    (house.root / "var").mkdir(parents=True)
    (house.root / "var" / "jarvis.db").write_bytes(b"no database" * 1000)
    assert asked(house, "zsh", "jarvisctl cancel ") == []
    assert asked(house, "zsh", f"jarvisctl --home {house.root} cancel ") == []


def test_names_on_a_server_are_completed_too(house: House, cluster: postgres.Cluster) -> None:
    """And none where settings.yaml writes the address in another form than its usual line."""
    address = cluster.create()
    postgres.name_server(Home(house.root, "--home"), address)
    assert asked(house, "zsh", "jarvisctl cancel ") == []
    run = house.enqueue("command", "--name", "far", "--", "true")
    for shell in ("zsh", "bash", "fish"):
        # on a busy machine a second may pass before the server was asked, and the user presses Tab once more
        until(lambda shell=shell: asked(house, shell, "jarvisctl cancel ") == ["command:far", "1", "latest", run])
    (house.root / "config" / "settings.yaml").write_text(f"{{database: '{address}'}}\n")
    assert asked(house, "zsh", "jarvisctl cancel ") == []
    assert house.jobs(run)["command:far"]["status"] == "queued"
    cluster.drop(address)


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_server_out_of_reach_completes_nothing_says_nothing_and_ends_soon(house: House, is_silent: bool) -> None:
    """One that refuses, and one that takes the connection and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/jarvis"
        if not is_silent:
            server.close()
        postgres.name_server(Home(house.root, "--home"), address)
        began = time.monotonic()
        words = {"COMP_WORDS": "jarvisctl cancel ", "COMP_CWORD": "2", "_JARVISCTL_COMPLETE": "bash_complete"}
        environment = {**os.environ, "JARVISD_HOME": str(house.root), **words}
        done = subprocess.run([BIN / "jarvisctl"], env=environment, capture_output=True, check=False, timeout=60)
        assert (done.stdout, done.stderr) == (b"", b"")
        assert time.monotonic() - began < 9  # a connection is given up after 10


@pytest.mark.parametrize("verb", ["", "status", "deploy", "models", "enqueue"])
def test_h_is_help(house: House, verb: str) -> None:
    words = [verb] if verb else []
    assert house.ctl(*words, "-h").stdout == house.ctl(*words, "--help").stdout


def test_one_line_in_the_file_that_bash_reads_is_enough(busy: House) -> None:
    """As the help says: the script is evaluated, not kept in a file."""
    line = 'eval "$("$JARVISCTL" completion bash)"; complete -p jarvisctl'
    environment = {**os.environ, "JARVISD_HOME": str(busy.root), "JARVISCTL": str(BIN / "jarvisctl")}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "_jarvisctl_completion jarvisctl" in done.stdout

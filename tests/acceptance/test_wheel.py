"""A built wheel works from any folder, with its default configuration inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents alone, away from the checkout; its libraries come from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("jarvisd-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def ctl(installed: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "JARVISD_HOME"}
    environment |= {"PYTHONPATH": str(installed), "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    call = [sys.executable, "-P", "-m", "jarvisd.cli", *words]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_its_home_is_the_folder_for_user_data_and_its_plans_come_along(installed: Path, tmp_path: Path) -> None:
    shown = ctl(installed, tmp_path, "config")
    assert shown.returncode == 0, shown.stderr
    assert f"home      {tmp_path / 'data' / 'jarvisd'}  (user data folder)" in shown.stdout
    assert f"{installed / 'jarvisd' / 'defaults' / 'config' / 'plans' / 'overnight.yaml'}  (shipped)" in shown.stdout


def test_the_shipped_night_can_be_submitted_from_it(installed: Path, tmp_path: Path) -> None:
    done = ctl(installed, tmp_path, "enqueue", "overnight")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("-overnight")
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]


def test_the_templates_of_the_agents_are_inside(installed: Path) -> None:
    assert {path.name for path in (installed / "jarvisd" / "defaults" / "launchd").glob("*.plist")} == {
        "org.jarvisd.daemon.plist",
        "org.jarvisd.nightly.plist",
    }


@pytest.mark.slow
def test_from_an_empty_environment_in_an_empty_folder_the_demonstration_runs(tmp_path: Path) -> None:
    """What a person does who has only the wheel: a new environment, everything installed, a night in miniature."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("jarvisd-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    own = tmp_path / "venv" / "bin"
    into = ["--python", str(own / "python"), "install", "--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, *into, str(wheel)], check=True)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("JARVISD_HOME", "PYTHONPATH")}
    environment |= {"HOME": str(empty), "XDG_DATA_HOME": str(empty / "data")}

    def installed_ctl(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [own / "jarvisctl", *words], cwd=empty, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout

    assert "Report: " in installed_ctl("demo")
    page = Path(installed_ctl("report", "--path").strip())
    assert page.is_relative_to(empty / "data")
    assert "SmolLM2" in page.read_text()
    assert "4 of 4 jobs finished" in installed_ctl("status")
    checks = json.loads(installed_ctl("doctor", "--json", code=1))["checks"]  # no Messages here, no models of the night
    assert {check["name"]: check["state"] for check in checks}["configuration"] == "ok"

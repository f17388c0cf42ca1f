"""Names and files made to lead elsewhere: each is refused with a reason or stays what it is; nothing hangs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jarvisd.cli import main
from jarvisd.errors import PlanError
from jarvisd.plan import yamlfile
from jarvisd.store import database
from tests.acceptance.conftest import House

PLAN = "command:\n  - run: [echo, hello]\nreport: {}\n"
TRAVERSALS = ("../../etc/passwd", "..", "/etc/passwd", "a/../../b", "latest/../..", "\x1b[31mred", "%", "x' OR 1=1 --")


def write(house: House, name: str, text: str) -> Path:
    path = house.root / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_name_that_leads_elsewhere_is_no_run_no_job_and_no_plan(
    house: House, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inside this process, because there are many; the errors are the ones that the program prints."""

    def refused(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(house.root), *words])
        assert ended.value.code == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert "\x1b" not in message
        return message

    write(house, "plans/short.yaml", PLAN)
    with pytest.raises(SystemExit, match="0"):
        main(["--home", str(house.root), "enqueue", "short"])
    capsys.readouterr()
    for verb in ("logs", "cancel", "retry", "wait", "status"):
        refused(verb, name)
    assert "no plan is called" in refused("enqueue", name)
    assert "has no job" in refused("enqueue", "short", "--only", name)
    assert "cannot be a job's name" in refused("enqueue", "command", "--name", name, "--", "true")
    database.db.close()


def test_a_program_with_a_path_for_a_name_writes_its_log_by_number(house: House, tmp_path: Path) -> None:
    program = house.folder / "..%2f..%2fevil ;name"
    program.write_text("#!/bin/sh\necho done\n")
    program.chmod(0o700)
    run_id = house.enqueue("command", "--", str(program))
    house.daemon()
    (job,) = house.settled(run_id).values()
    assert job["status"] == "succeeded"
    names = {path.name for path in (house.root / "var" / "logs").glob("job-*")}
    assert names == {f"job-{job['id']}.log", f"job-{job['id']}.times"}
    assert "/" not in job["name"]


def test_a_latest_that_points_outside_is_replaced_and_what_it_pointed_to_stays(house: House) -> None:
    outside = house.folder / "outside"
    outside.mkdir()
    (outside / "REPORT.md").write_text("somebody's own")
    results = house.root / "var" / "results"
    results.mkdir(parents=True, mode=0o700)
    (results / "latest").symlink_to(outside)
    write(house, "plans/short.yaml", PLAN)
    run_id = house.enqueue("short")
    house.daemon()
    house.settled(run_id)
    assert (results / "latest").readlink() == Path(run_id)
    assert [path.name for path in outside.iterdir()] == ["REPORT.md"]
    assert (outside / "REPORT.md").read_text() == "somebody's own"


def test_a_results_folder_that_is_a_link_is_not_followed(house: House) -> None:
    outside = house.folder / "outside"
    outside.mkdir()
    write(house, "plans/short.yaml", PLAN)
    run_id = house.enqueue("short")
    folder = house.root / "var" / "results" / run_id
    shutil.rmtree(folder)  # made at submission, with a page that says that the run waits
    folder.symlink_to(outside)
    house.daemon()
    jobs = house.settled(run_id)
    assert {job["status"] for job in jobs.values()} == {"failed"}
    assert all("a link stands" in job["reason"] for job in jobs.values())
    assert list(outside.iterdir()) == []


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    return "\n".join(lines) + "\n"


def huge(path: Path) -> None:
    with path.open("wb") as out:
        out.truncate(1 << 30)


@pytest.mark.parametrize("name", ["settings.yaml", "models.yaml", "scenarios.yaml", "plans/overnight.yaml"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text(bomb()), "too many values"),
        (lambda path: path.write_text("[" * 100_000), "it is nested too deeply"),
        (lambda path: path.write_text("a: !!python/object/apply:os.system [touch owned]\n"), "not YAML"),
        (huge, "larger than 2,048 KB"),
    ],
    ids=["aliases that multiply", "deep brackets", "python objects", "a gigabyte"],
)
def test_every_file_of_the_configuration_is_read_with_the_same_suspicion(
    house: House, name: str, make: Callable[[Path], None], message: str
) -> None:
    path = write(house, name, "")
    make(path)
    refused = house.ctl("enqueue", "overnight", code=2, timeout_s=30)
    assert f"{path}" in refused.stderr
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (house.folder / "owned").exists()
    assert not (house.root / "var" / "jarvis.db").exists()


def test_a_file_of_the_configuration_that_is_a_pipe_is_refused_and_not_waited_for(house: House) -> None:
    pipe = house.folder / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(PlanError, match="not a file"):
        yamlfile.read(pipe)
    refused = house.ctl("enqueue", "overnight", "--set", f"evaluate.scenarios={pipe}", code=2, timeout_s=30)
    assert "pipe: no" in refused.stderr

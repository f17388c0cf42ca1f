"""Models fetched from a hub that drops, lies, refuses and asks for patience: whole in the end, or not there."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from huggingface_hub.utils import close_session

from jarvisd.errors import JarvisError
from jarvisd.paths import Home
from jobs.lib.models import catalogue, download, integrity
from jobs.lib.models import transfer as transfers
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.models.download import DownloadPlan
from jobs.lib.models.transfer import TransferStats
from tests.hub import Hub, Repository, serving, tiny

REPO = "someone/tiny"
WEIGHTS = "model.safetensors"
WANTED = ["1_Pooling/config.json", "config.json", "tokenizer.json", WEIGHTS]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home", "--home")
    made.make()
    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serving() as served:
        served.repositories[REPO] = Repository(tiny())
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        yield served
        close_session()


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long anybody wanted to wait, the library included; nobody does."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def entry(**fields: Any) -> ModelEntry:
    return ModelEntry(**({"key": "tiny", "name": "Tiny", "repo": REPO} | fields))


def get(home: Home, wanted: ModelEntry | None = None) -> tuple[DownloadPlan, list[str]]:
    lines: list[str] = []
    order = download.plan_download(wanted or entry(), lines.append)
    download.make_room([order], home)
    download.fetch(order, home, lines.append, TransferStats())
    return order, lines


def files_of(order: DownloadPlan) -> list[str]:
    return sorted(str(file.relative_to(order.folder)) for file in order.folder.rglob("*") if file.is_file())


def refused(home: Home, wanted: ModelEntry | None = None) -> str:
    with pytest.raises(JarvisError) as error:
        get(home, wanted)
    assert "\n" not in str(error.value)
    return str(error.value)


def nothing_wrong_lies_under_a_final_name(tmp_path: Path) -> bool:
    """Every blob has the hash that its name is, and no part of a download is left."""
    blobs = [file for file in (tmp_path / "hf").glob("hub/models--*/blobs/*") if file.is_file()]
    return all(integrity.digest(file, len(file.name)) == file.name for file in blobs)


# ------------------------------------------------------------------------------------------------------------- success


def test_a_model_comes_whole_and_nothing_that_is_code_comes_with_it(home: Home, hub: Hub) -> None:
    order, lines = get(home)
    assert files_of(order) == sorted(WANTED)
    assert catalogue.problem(entry(), home) is None
    assert integrity.examine(entry(), home).compared == len(WANTED)
    assert len([line for line in lines if "as the hub has it" in line]) == len(WANTED)


def test_the_weights_come_last_so_a_broken_off_model_is_never_taken_for_whole(home: Home, hub: Hub) -> None:
    get(home)
    assert hub.fetched() == WANTED


def test_a_pinned_revision_is_what_is_fetched(home: Home, hub: Hub) -> None:
    commit = hub.repositories[REPO].commit
    order, _ = get(home, entry(revision=commit))
    assert (order.commit, catalogue.locate(entry(revision=commit), home)) == (commit, order.folder)
    assert not (order.cached / "refs").exists()


def test_what_is_whole_is_not_fetched_again(home: Home, hub: Hub) -> None:
    get(home)
    before = hub.fetched()
    order, _ = get(home)
    assert order.missing == ()
    assert hub.fetched() == before


def test_only_the_file_that_is_gone_or_damaged_is_fetched_again(home: Home, hub: Hub) -> None:
    order, _ = get(home)
    (order.folder / "config.json").unlink()
    weights = (order.folder / WEIGHTS).resolve()
    weights.write_bytes(bytes(len(weights.read_bytes())))  # the size is still right
    hub.asked.clear()
    get(home)
    assert hub.fetched() == [WEIGHTS]  # the other one's content is still in the cache, under its hash
    assert integrity.examine(entry(), home).problems == ()


def test_the_licence_is_the_owners_words_or_the_hubs_and_says_where_to_accept_it(home: Home, hub: Hub) -> None:
    assert download.plan_download(entry(licence="MIT"), print).licence == "MIT"
    assert download.plan_download(entry(), print).licence == "apache-2.0"
    hub.repositories[REPO].gated = "manual"
    assert download.plan_download(entry(), print).licence == f"apache-2.0, to be accepted at {hub.url}/{REPO}"


# ------------------------------------------------------------------------------------------------------ what passes by


def test_a_dropped_connection_is_taken_up_again(home: Home, hub: Hub, tmp_path: Path) -> None:
    hub.faults[f"GET {WEIGHTS}"] = ["drop", "drop"]
    _, lines = get(home)
    assert lines.count("  the connection was lost, and is taken up again") == 2
    assert hub.fetched().count(WEIGHTS) == 3
    assert integrity.examine(entry(), home).problems == ()
    assert nothing_wrong_lies_under_a_final_name(tmp_path)


@pytest.mark.parametrize("fault", ["short", "altered", 503])
def test_a_file_that_arrives_wrong_once_is_fetched_again_whole(
    home: Home, hub: Hub, tmp_path: Path, fault: Any, waits: list[float]
) -> None:
    hub.faults[f"GET {WEIGHTS}"] = [fault]
    _, lines = get(home)
    assert any("again in 2 s" in line for line in lines)
    assert 2.0 in waits
    assert integrity.examine(entry(), home).problems == ()
    assert nothing_wrong_lies_under_a_final_name(tmp_path)


@pytest.mark.parametrize("where", ["api", f"HEAD {WEIGHTS}", f"GET {WEIGHTS}"])
def test_a_hub_that_asks_for_patience_gets_as_much_as_it_asks_for(
    home: Home, hub: Hub, waits: list[float], where: str
) -> None:
    hub.faults[where] = [(429, {"Retry-After": "77"})] * 2
    _, lines = get(home)
    assert any(wait >= 77 for wait in waits)
    assert any(re.search("again in 7[78] s", line) for line in lines)
    assert integrity.examine(entry(), home).problems == ()


def test_a_hub_that_asks_for_hours_is_not_waited_for(home: Home, hub: Hub, waits: list[float]) -> None:
    hub.faults["api"] = [(429, {"Retry-After": "7200"})]
    assert "ask less often (429). Try again later" in refused(home)
    assert waits == []


# ---------------------------------------------------------------------------------------------------- what does not


@pytest.mark.parametrize(
    ("fault", "what"),
    [("short", "did not arrive as the hub has it"), ("altered", "did not arrive as the hub has it"), (500, "500")],
)
def test_a_file_that_never_arrives_right_is_not_there_at_all(
    home: Home, hub: Hub, tmp_path: Path, fault: Any, what: str
) -> None:
    hub.faults[f"GET {WEIGHTS}"] = [fault] * 50
    assert what in refused(home)
    assert not list((tmp_path / "hf").rglob("*.safetensors"))
    assert not list((tmp_path / "hf").rglob("*.incomplete"))
    assert nothing_wrong_lies_under_a_final_name(tmp_path)
    assert catalogue.problem(entry(), home)


@pytest.mark.parametrize("where", ["api", f"HEAD {WEIGHTS}"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_model_that_wants_a_login_says_where_and_how(home: Home, hub: Hub, where: str, status: int) -> None:
    hub.faults[where] = [(status, {"X-Error-Code": "GatedRepo"})] * 9
    line = refused(home)
    assert f"({status})" in line
    assert "`hf auth login`" in line
    assert f"{hub.url}/{REPO}" in line


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        ({"repo": "someone/nothing"}, "the hub has no someone/nothing"),
        ({"revision": "d" * 40}, f"{REPO} has no revision {'d' * 40}"),
        ({"repo": None, "path": "here"}, "not fetched from the hub. Name a folder"),
        ({"obtain": "make it"}, "not fetched from the hub. Get it with: make it"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(home: Home, hub: Hub, wanted: dict[str, Any], what: str) -> None:
    assert what in refused(home, entry(**wanted))
    assert hub.fetched() == []


def test_no_hub_at_all_is_one_line_after_some_patience(
    home: Home, hub: Hub, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "the hub (http://127.0.0.1:9) cannot be reached" in refused(home)
    assert waits[: len(download.PAUSES_S)] == list(download.PAUSES_S)


def test_a_name_that_would_lie_outside_is_refused(home: Home, hub: Hub) -> None:
    hub.repositories[REPO].files["../../config.json"] = b"{}"
    assert "'../../config.json'" in refused(home)
    assert hub.fetched() == []


@pytest.mark.parametrize("commit", ["", "../../..", "main"])
def test_a_hub_that_names_no_commit_is_refused(home: Home, hub: Hub, commit: str) -> None:
    hub.repositories[REPO].commit = commit
    assert f"the hub names no commit of {REPO}" in refused(home)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_too_little_disk_is_said_before_the_first_byte(home: Home, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the files alone, but not for what the settings keep free beside them."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9 << 30, 8 << 30, 1024 << 20))
    line = refused(home)
    assert "too little disk: 1 MB are to be fetched and 1.1 GB kept free, 1.1 GB are free. Free 1 MB, or" in line
    assert hub.fetched() == []


def test_a_disk_that_fills_up_on_the_way_is_named(
    home: Home, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    order = download.plan_download(entry(), print)
    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(JarvisError, match=r"tiny could not be stored: the disk is full\. Free some space"):
        download.fetch(order, home, print, TransferStats())
    assert not list((tmp_path / "hf").rglob("*.incomplete"))


def test_an_interruption_leaves_nothing_half_and_the_next_fetch_goes_on(
    home: Home, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    whole = file_download.http_get

    def interrupted(url: str, file: Any, **options: Any) -> None:
        if url.endswith(WEIGHTS):
            file.write(b"half")
            raise KeyboardInterrupt
        whole(url, file, **options)

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", interrupted)
        with pytest.raises(KeyboardInterrupt):
            get(home)
    assert not list((tmp_path / "hf").rglob("*.incomplete"))
    assert not list((tmp_path / "hf").rglob(WEIGHTS))
    hub.asked.clear()
    get(home)
    assert hub.fetched() == [WEIGHTS]


def test_what_a_killed_download_left_is_removed_but_not_what_is_being_written(home: Home, hub: Hub) -> None:
    order = download.plan_download(entry(), print)
    blobs = order.cached / "blobs"
    blobs.mkdir(parents=True)
    old, fresh = blobs / "a.1.incomplete", blobs / "a.2.incomplete"
    for file in (old, fresh):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    download.fetch(order, home, print, TransferStats())
    assert (old.exists(), fresh.exists()) == (False, True)


# --------------------------------------------------------------------------------------------------------------- speed


def test_the_speed_of_a_download_is_kept_for_its_owner_alone(home: Home, hub: Hub) -> None:
    hub.repositories[REPO] = Repository(tiny(transfers.TELLING_BYTES))
    began = time.monotonic()
    get(home)
    speed, (kept,) = transfers.last_speed(home), home.var.glob("*download*")
    assert speed is not None
    assert speed > transfers.TELLING_BYTES / (time.monotonic() - began)
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_small_download_tells_no_speed_and_hides_no_measured_one(home: Home, hub: Hub) -> None:
    get(home)
    assert transfers.last_speed(home) is None
    TransferStats(bytes=90_000_000, seconds=6.0).remember(home)
    shutil.rmtree(catalogue.hub_cache())
    get(home)
    assert transfers.last_speed(home) == 15e6


def test_what_was_in_the_cache_already_is_no_download(home: Home, hub: Hub) -> None:
    hub.repositories[REPO] = Repository(tiny(transfers.TELLING_BYTES))
    order, _ = get(home)
    (order.folder / WEIGHTS).unlink()  # its content stays in the cache, under its hash
    transfer = TransferStats()
    download.fetch(download.plan_download(entry(), print), home, print, transfer)
    assert (order.folder / WEIGHTS).is_file()
    assert transfer.bytes == 0


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"bytes": 1, "seconds": 0}', '{"bytes": NaN, "seconds": 1}', "\x00"])
def test_a_damaged_record_of_the_speed_is_none(home: Home, kept: str) -> None:
    TransferStats(bytes=90_000_000, seconds=6.0).remember(home)
    (written,) = home.var.glob("*download*")
    written.write_text(kept)
    assert transfers.last_speed(home) is None


def test_a_speed_that_cannot_be_kept_fails_no_download(home: Home, hub: Hub) -> None:
    hub.repositories[REPO] = Repository(tiny(transfers.TELLING_BYTES))
    (home.var / "last_download.json").mkdir()
    get(home)
    assert catalogue.problem(entry(), home) is None


# -------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize("known_from", ["our record", "the names of the blobs"])
def test_a_changed_byte_is_found_whoever_fetched_the_model(home: Home, hub: Hub, known_from: str) -> None:
    order, _ = get(home)
    if known_from != "our record":
        shutil.rmtree(home.cache / "fetched")
    assert integrity.examine(entry(), home).problems == ()
    weights = (order.folder / WEIGHTS).resolve()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert integrity.examine(entry(), home).problems == (f"{WEIGHTS} differs from the hub's",)


def test_missing_and_short_files_are_named(home: Home, hub: Hub) -> None:
    order, _ = get(home)
    (order.folder / "tokenizer.json").unlink()
    with (order.folder / WEIGHTS).resolve().open("r+b") as weights:
        weights.truncate(1000)
    problems = integrity.examine(entry(), home).problems
    assert problems[0] == "tokenizer.json is missing"
    assert problems[1].startswith(f"{WEIGHTS} has 1,000 bytes instead of 2")


def test_a_model_that_is_not_here_is_a_problem(home: Home, hub: Hub) -> None:
    assert "not on this disk" in integrity.examine(entry(), home).problems[0]


@pytest.mark.parametrize("record", ["", "[]", '{"files": [{"path": 1}]}', "\x00"])
def test_a_damaged_record_is_no_exception(home: Home, hub: Hub, record: str) -> None:
    get(home)
    (written,) = (home.cache / "fetched").iterdir()
    written.write_text(record)
    assert integrity.examine(entry(), home).compared == len(WANTED)

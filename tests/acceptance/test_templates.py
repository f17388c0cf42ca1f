"""`jarvisctl match` and `jarvisctl deploy templates`, from outside, with no daemon and no model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jarvisd.paths import Home
from jarvisd.store import database, migrations
from jarvisd.store.models import Job, Run
from jobs.lib.results.tables import Mining, Template
from tests.acceptance.conftest import House, until
from tests.acceptance.test_status import terminal


@pytest.fixture
def mined(house: House) -> House:
    """A home whose newest run has two templates to send and one phrase."""
    migrations.migrate(Home(house.root, "--home"))
    with database.write():
        run = Run.create(id="r", number=1, plan="p", night="n", created_at=database.now(), snapshot={}, warnings=[])
        job = Job.create(run=run, name="mine", kind="mine", place=0, params={}, status="succeeded")
        Mining.create(job=job, run=run, stats={}, config={}, curve=[])
        replies = (("On my way", "automatic"), ("Sounds great", "suggest"), ("Bro 😭", "phrase"))
        for rank, (reply, tier) in enumerate(replies, start=1):
            counts = {"frequency": 9, "uses": 5, "people": 4, "examples": []}
            Template.create(
                uuid=f"id-{rank}",
                job=job,
                run=run,
                rank=rank,
                representative=reply,
                triggers=[f"what about {rank}?"],
                tier=tier,
                **counts,
            )
    database.db.close()
    return house


def test_a_match_is_one_json_document(mined: House) -> None:
    done = mined.ctl("match", "What about 1?", "--json")
    document = json.loads(done.stdout)
    assert {"text", "fires", "reply", "template", "tier", "similarity", "how", "ms", "cold_ms"} <= set(document)
    assert (document["reply"], document["tier"], document["how"]) == ("On my way", "automatic", "exact")
    assert done.stderr == ""
    assert "On my way" in mined.ctl("match", "what about 1?").stdout


def test_what_cannot_be_answered_is_one_line(mined: House, house: House) -> None:
    """This mining does not say with which model it was measured, so only the same words can be answered."""
    done = mined.ctl("match", "something else", code=1)
    assert done.stderr.startswith("jarvisctl: r does not say with which model")
    assert len(done.stderr.splitlines()) == 1
    assert mined.ctl("match", code=2).stderr.startswith("jarvisctl: Missing argument")


def test_a_deploy_keeps_what_is_there_and_can_be_checked(mined: House, tmp_path: Path) -> None:
    path = tmp_path / "jarvis" / "custom_templates.json"
    path.parent.mkdir()
    own = {"id": "u", "name": "Mine", "template_text": "x", "usage_count": 3, "mood": None}
    path.write_text(json.dumps({"version": 1, "templates": [own]}))
    words = ("deploy", "templates", "--to", str(path.parent), "--tier", "suggest")
    before = path.read_bytes()
    assert "2 new" in mined.ctl(*words, "--dry-run").stdout
    assert path.read_bytes() == before
    output = mined.ctl(*words).stdout
    assert "restart JARVIS" in output
    assert f"`jarvisctl deploy templates --to {path.parent} --check` tells" in output
    after = path.read_bytes()
    assert [entry["name"] for entry in json.loads(after)["templates"]] == ["Mine", "On my way", "Sounds great"]
    assert json.loads(after)["templates"][0] == own
    mined.ctl(*words)
    assert path.read_bytes() == after
    mined.ctl(*words[:4], "--check")
    path.write_bytes(before)
    assert "no longer in" in mined.ctl(*words[:4], "--check", code=1).stderr
    path.write_bytes(after)
    mined.ctl(*words[:4], "--undo")
    assert path.read_bytes() == before


def test_on_a_terminal_deploy_shows_the_change_and_asks(mined: House, tmp_path: Path) -> None:
    path = tmp_path / "custom_templates.json"
    words = ("deploy", "templates", "--to", str(tmp_path), "--tier", "suggest")
    for answer, code in (("n\r", 1), ("y\r", 0)):
        with terminal(mined, *words) as screen:
            until(lambda screen=screen: screen.shows("Write this? [y/N]"), what="it asks")
            assert "would write 2 new" in screen.read()
            assert not path.exists()
            screen.press(answer)
            assert screen.ends() == code
    assert len(json.loads(path.read_bytes())["templates"]) == 2
    with terminal(mined, *words[:4], "--undo", "--yes") as screen:
        assert screen.ends() == 0
        assert "Write this?" not in screen.read()


def test_an_empty_tier_says_what_would_give_more(mined: House, tmp_path: Path) -> None:
    """A lower tier where that has some; else a matcher only where this mining had none."""

    def refused() -> str:
        database.db.close()
        return mined.ctl("deploy", "templates", "--to", str(tmp_path), "--tier", "automatic", code=1).stderr

    migrations.migrate(Home(mined.root, "--home"))
    Template.update(tier="phrase").where(Template.tier == "automatic").execute()
    assert "1 may be suggested: --tier suggest takes it." in refused()
    migrations.migrate(Home(mined.root, "--home"))
    Template.update(tier="phrase").execute()
    assert "the matcher must be on disk" in refused()
    migrations.migrate(Home(mined.root, "--home"))
    Mining.update(config={"matcher": {"name": "m", "fingerprint": "f"}}).execute()
    assert "The report says why; a longer history gives more.\n" in refused()


def test_a_file_that_is_not_understood_stays_as_it_was(mined: House, tmp_path: Path) -> None:
    """Of a newer version nobody is told to move it away."""
    path = tmp_path / "custom_templates.json"
    for version, why in (("3", "1 is the newest that jarvisd knows. jarvisd is older"), ('"1"', "is not of version 1")):
        text = f'{{"version": {version}, "templates": []}}'
        path.write_text(text)
        done = mined.ctl("deploy", "templates", "--to", str(tmp_path), "--tier", "suggest", code=1)
        assert done.stderr.count("\n") == 1
        assert why in done.stderr
        assert path.read_text() == text


def test_wrong_use_is_told_apart(mined: House) -> None:
    mined.ctl("deploy", code=2)
    mined.ctl("deploy", "nothing", code=2)
    mined.ctl("deploy", "templates", "--check", "--dry-run", code=2)
    mined.ctl("deploy", "templates", "--tier", "phrase", code=2)
    assert "Example:" in mined.ctl("deploy", "templates", "--help").stdout

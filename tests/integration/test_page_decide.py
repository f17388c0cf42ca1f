"""The page's room for the decision: the report's first screen, and deploy with preview and undo."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jarvisd.operations import report as report_files
from jarvisd.paths import Home
from jarvisd.store import database
from jarvisd.store.models import Run
from jobs.lib.results.tables import OWNER, Reply, TemplateReview, Vote
from tests.integration import report_nights
from tests.integration.report_nights import SCENARIOS, job, mining, model, run
from tests.web import Browser
from tests.web import Reply as Answer

#: A repository that JARVIS knows by an id, so that no folder on this disk is needed.
KNOWN = "mlx-community/LFM2.5-1.2B-Instruct-4bit"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, and a JARVIS of March 2026 beside it."""
    monkeypatch.setenv("HOME", str(tmp_path / "owner"))
    jarvis = tmp_path / "owner" / ".jarvis"
    jarvis.mkdir(parents=True)
    (jarvis / "config.json").write_text('{"config_version": 16, "model": {"model_id": "lfm-0.7b"}}')
    return report_nights.home(tmp_path / "home")


@pytest.fixture
def config() -> Path:
    return Path("~/.jarvis/config.json").expanduser()


@pytest.fixture
def night(here: Home) -> Run:
    """A night whose report says to switch to the model b; its report is written."""
    models = [{"key": "a", "name": "Model A", "repo": "org/a"}, {"key": "b", "name": "Model B", "repo": KNOWN}]
    row = run(plan={"evaluate": {"models": models}})
    for key, level in (("a", 0.2), ("b", 0.9)):
        scores = {
            name: [level + 0.01 * place] * len(asked) for place, (name, (_, asked)) in enumerate(SCENARIOS.items())
        }
        model(row, key, f"Model {key.upper()}", qualities=scores, reply=f"reply of {key} <script>alert(1)</script>")
    mining(row, tiers=["suggest"] * 5)
    job(row, "report")
    report_files.write_again(here, row)
    return row


@pytest.fixture
def browser(here: Home, night: Run) -> Browser:
    return Browser(here)


def written(config: Path) -> str:
    return str(json.loads(config.read_text())["model"]["model_id"])


def seal(page: Answer) -> str:
    return re.findall(r'name="seen" value="([0-9a-f]+)"', page.text)[0]


def test_it_is_the_first_screen_of_the_report(browser: Browser, here: Home, night: Run) -> None:
    """The very HTML of report.html; links to its other parts lead to the whole report."""
    page, report = browser.get("decide").text, (here.run_folder(night.id) / "report.html").read_text()
    cards = re.findall(r'<div class="cards">.*?</div>\n', report, flags=re.S)[0]
    assert cards in page and 'id="ranking"' in page
    assert f'/history/report/{night.id}#templates"' in page and 'href="#replies"' in page
    assert browser.get(f"history/report/{night.id}").text == report
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page


def test_a_report_without_its_file_is_written_on_demand(browser: Browser, here: Home, night: Run) -> None:
    """A GET writes nothing; an older file, which has no first screen to show, is replaced too."""
    file = here.run_folder(night.id) / "report.html"
    for content in (None, "<html>of an earlier version</html>"):
        file.unlink() if content is None else file.write_text(content)
        assert "Write it now" in browser.get("decide").text
        assert file.exists() is (content is not None)
        assert browser.post("decide/write", {"run": night.id}).status == 303
        assert "Write it now" not in browser.get("decide").text


def test_answers_after_the_report_are_named(browser: Browser, night: Run) -> None:
    assert "after this report was written" not in browser.get("decide").text
    left, right = Reply.select().where(Reply.prompt == 0).limit(2)
    Vote.create(run=night, by=OWNER, left=left, right=right, choice="left", created_at=database.now())
    assert "after this report was written" in browser.get("decide").text


def test_a_model_is_deployed_after_its_preview_and_taken_back(browser: Browser, night: Run, config: Path) -> None:
    before = config.read_bytes()
    preview = browser.post("decide/model", {"run": night.id})
    assert "<ins>+    &#34;model_id&#34;: &#34;lfm-1.2b&#34;</ins>" in preview.text and config.read_bytes() == before
    done = browser.post("decide/model", {"run": night.id, "seen": seal(preview)})
    assert done.status == 303 and written(config) == "lfm-1.2b"
    page = browser.get("decide").text
    assert "restart JARVIS now" in page and "Undo the last deploy of the model" in page
    preview = browser.post("decide/undo", {"run": night.id, "part": "model"})
    assert written(config) == "lfm-1.2b"
    browser.post("decide/undo", {"run": night.id, "part": "model", "seen": seal(preview)})
    assert config.read_bytes() == before
    assert "Undo the last deploy of the model" not in browser.get("decide").text


def test_a_file_that_changed_after_the_preview_is_not_written(browser: Browser, night: Run, config: Path) -> None:
    """It is shown again instead; also where only another value of it has changed."""
    preview = browser.post("decide/model", {"run": night.id})
    changed = config.read_text().replace("}}", '}, "theme": "dark"}')
    config.write_text(changed)
    again = browser.post("decide/model", {"run": night.id, "seen": seal(preview)})
    assert again.status == 200 and "has changed since you looked" in again.text
    assert config.read_text() == changed
    browser.post("decide/model", {"run": night.id, "seen": seal(again)})
    assert written(config) == "lfm-1.2b" and json.loads(config.read_text())["theme"] == "dark"


def test_kept_templates_are_deployed(browser: Browser, night: Run, config: Path) -> None:
    refused = browser.post("decide/templates", {"run": night.id})
    assert refused.status == 409 and "no template was reviewed and kept yet" in refused.text
    TemplateReview.create(
        template=f"{night.number:08d}-0000-4000-8000-000000000002",
        reply="Idk",
        verdict="kept",
        created_at=database.now(),
    )
    preview = browser.post("decide/templates", {"run": night.id})
    browser.post("decide/templates", {"run": night.id, "seen": seal(preview)})
    custom = json.loads(config.with_name("custom_templates.json").read_text())
    assert [item["template_text"] for item in custom["templates"]] == ["Idk"]


def test_a_model_that_the_run_does_not_have_is_not_passed_on(browser: Browser, night: Run) -> None:
    """A word of a form never becomes an option of the command."""
    preview = browser.post("decide/model", {"run": night.id, "model": "--undo"})
    assert preview.status == 200 and "&#34;lfm-1.2b&#34;" in preview.text


def test_without_a_report_it_says_so(here: Home) -> None:
    run()
    page = Browser(here).get("decide")
    assert page.status == 400 and "no report is finished yet" in page.text

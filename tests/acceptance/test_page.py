"""report.html in a real browser: opened from disk, in light and dark, wide and narrow, with and without script.

Screenshots are left in $JARVISD_ARTIFACTS, or in var/artifacts of this checkout.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from jarvisd.host import processes
from jarvisd.store.database import db
from tests.integration.report_nights import home
from tests.integration.report_pages import rendered
from tests.integration.two_round_nights import two_rounds

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = Path(os.environ.get("JARVISD_ARTIFACTS") or ROOT / "var" / "artifacts")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = importlib.util.find_spec("axe_core_python")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: `apt-get install chromium` brings one")

#: A browser that has used almost no processor time for so many seconds does not go on.
HUNG_S = 20
DARK = "--blink-settings=preferredColorScheme=0"

#: Put at the end of a copy of the page: what it found is left in the document, which is then printed.
PROBE = """
addEventListener("load", async () => {
  const found = { width: document.documentElement.scrollWidth, room: innerWidth };
  found.paper = getComputedStyle(document.body).backgroundColor;
  const names = () => [...document.querySelectorAll(".replies .who")].filter((one) => one.offsetParent).length;
  const rows = () => [...document.querySelectorAll("table.sortable tbody tr:not(.reference)")];
  const column = () => rows().map((row) => row.cells[5].textContent.trim());
  const names_of = (table) => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent.trim());
  const prompts = () => [...document.querySelectorAll(".prompt")].filter((one) => !one.hidden).length;
  found.folded = [...document.querySelectorAll(".part")].filter((one) => one.open).length;
  location.hash = "night";
  await new Promise((done) => setTimeout(done, 100));
  found.unfolded = document.getElementById("night").closest("details").open;
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const ranking = document.querySelector(".ranking");
  found.sticky = getComputedStyle(ranking.tBodies[0].rows[0].cells[0]).position;
  found.copies = document.querySelectorAll(".command .copy").length === document.querySelectorAll(".command").length;
  found.ranked = names_of(ranking);
  const speed = [...document.querySelectorAll(".weights input")];
  [0, 100, 0].forEach((weight, place) => {
    speed[place].value = weight;
    speed[place].dispatchEvent(new Event("input"));
  });
  found.byspeed = names_of(ranking);
  found.said = document.querySelector(".changed").textContent;
  document.querySelector(".weights button").click();
  found.reset = names_of(ranking);
  found.filters = [...document.querySelectorAll(".filters button")].map((button) => {
    button.click();
    return [button.textContent, prompts()];
  });
  const select = document.querySelector(".filters select");
  select.value = select.options[1].value;
  select.dispatchEvent(new Event("change"));
  found.bycheck = [select.value, prompts()];
  document.querySelector(".filters button").click();
  found.blind = names();
  const buttons = [...document.querySelectorAll(".reveal")];
  buttons.forEach((button) => button.click());
  found.revealed = names();
  document.querySelectorAll(".sort")[5].click();
  found.rising = column();
  document.querySelectorAll(".sort")[5].click();
  found.falling = column();
  found.last = [...document.querySelectorAll("table.sortable tbody tr")].pop().className;
  if (self.axe) {
    const result = await axe.run(document, { resultTypes: ["violations"] });
    found.violations = result.violations.map((one) => ({
      id: one.id, impact: one.impact, nodes: one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
    }));
    found.axe = result.testEngine.version;
  }
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a night of two rounds that has a predecessor."""
    here = home(tmp_path_factory.mktemp("page"))
    with db.atomic():
        two_rounds("2026-11-21-overnight", better=-0.08)
        row = two_rounds()
    folder, problems = rendered(row, here)
    db.close()
    assert problems == []
    return folder / "report.html"


def browse(page: Path, *options: str, width: int = 1200, height: int = 1400) -> str:
    """Open the page and end; standard output. A browser that hangs is ended, and another one is started."""
    for number in range(3):
        profile = page.parent / f"profile-{abs(hash((page, options, width)))}-{number}"  # so that several can run
        output = finished(command(page, profile, *options, width=width, height=height))
        if output is not None:
            return output
    raise AssertionError(f"three browsers in a row did nothing for {HUNG_S} s")


def command(page: Path, profile: Path, *options: str, width: int, height: int) -> list[str]:
    return [
        str(CHROMIUM),
        "--headless=new",
        "--no-sandbox",  # Chromium refuses root with it, which is what a container has
        "--disable-gpu",
        "--hide-scrollbars",
        "--no-first-run",
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
        *options,
        page.as_uri(),
    ]


def finished(words: list[str]) -> str | None:
    """Standard output of a browser that came to its end; None of one that did almost nothing for HUNG_S seconds.

    How long it takes is no sign: on a busy computer it may be minutes.
    """
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    used_s, moved = 0.0, time.monotonic()
    while True:
        try:
            output, errors = process.communicate(timeout=1)
        except subprocess.TimeoutExpired:
            now_s = processor_s(process.pid)
            if abs(now_s - used_s) > 0.2:
                used_s, moved = now_s, time.monotonic()
            elif time.monotonic() - moved > HUNG_S:
                for each in processes.tree(process.pid):
                    processes.kill(each)
                process.communicate()
                return None
            continue
        assert process.returncode == 0, errors[-2000:]
        return output


def processor_s(pid: int) -> float:
    """Processor time of a process and all below it, in seconds."""
    used_s = 0.0
    for process in processes.tree(pid):
        with contextlib.suppress(psutil.Error):
            used_s += sum(process.cpu_times()[:2])
    return used_s


def together(calls: Iterable[tuple[tuple[Any, ...], Mapping[str, Any]]]) -> list[str]:
    """Several at once: a browser spends most of its time on starting."""
    with ThreadPoolExecutor(2) as pool:
        return [one.result() for one in [pool.submit(browse, *words, **named) for words, named in calls]]


def probed(page: Path) -> Path:
    """A copy of the page without its policy, which asks itself what it looks like."""
    source = page.read_text()
    start = source.index('<meta http-equiv="Content-Security-Policy"')
    source = source[:start] + source[source.index(">", start) + 1 :]
    scripts = [PROBE]
    if AXE is not None and AXE.origin:
        scripts.insert(0, Path(AXE.origin).with_name("axe.min.js").read_text())
    copy = page.with_name("probed.html")
    copy.write_text(source.replace("</body>", "".join(f"<script>{text}</script>\n" for text in scripts) + "</body>"))
    return copy


def finding(document: str) -> dict[str, Any]:
    text = document.partition('<pre id="found">')[2].partition("</pre>")[0]
    assert text, document[-500:]
    return json.loads(unescape(text))


@pytest.fixture(scope="module")
def findings(page: Path) -> dict[str, dict[str, Any]]:
    """What the copy found out, in light and wide, and in dark and narrow."""
    copy, time = probed(page), "--virtual-time-budget=20000"
    wide, narrow = together(
        [
            ((copy, "--dump-dom", time), {}),
            ((copy, "--dump-dom", time, DARK), {"width": 500}),
        ]
    )
    return {"light and wide": finding(wide), "dark and narrow": finding(narrow)}


@pytest.mark.skipif(AXE is None, reason="no axe-core: `pip install --group dev .` brings axe-core-python")
def test_axe_finds_nothing_serious(findings: dict[str, dict[str, Any]]) -> None:
    """No violation that axe-core calls serious or critical, with everything unfolded, in both themes."""
    for theme, violations in findings.items():
        assert violations["axe"]
        bad = [one for one in violations["violations"] if one["impact"] in ("serious", "critical")]
        assert bad == [], (theme, bad)


def test_the_page_is_as_wide_as_the_window(findings: dict[str, dict[str, Any]]) -> None:
    """Wide tables scroll by themselves; the page does not."""
    assert all(measured["width"] <= measured["room"] for measured in findings.values())


def test_the_page_follows_the_theme(findings: dict[str, dict[str, Any]]) -> None:
    """Light paper in light, dark paper in dark."""
    assert findings["light and wide"]["paper"] == "rgb(246, 245, 241)"
    assert findings["dark and narrow"]["paper"] == "rgb(18, 21, 24)"


def test_names_are_hidden_until_asked_for(findings: dict[str, dict[str, Any]]) -> None:
    """With scripts no reply names its model; a button brings the names."""
    for measured in findings.values():
        assert measured["blind"] == 0 and measured["revealed"] > 60


def test_the_table_of_models_sorts(findings: dict[str, dict[str, Any]]) -> None:
    """One click sorts by seconds, the next one the other way."""
    rising = [float(cell.split()[0]) for cell in findings["light and wide"]["rising"]]
    assert len(rising) == 6 and rising == sorted(rising)
    assert [float(cell.split()[0]) for cell in findings["light and wide"]["falling"]] == rising[::-1]
    assert findings["light and wide"]["last"] == "reference"  # rows for comparison stay below the models


def test_all_but_the_first_screen_is_folded_until_a_link_leads_there(findings: dict[str, dict[str, Any]]) -> None:
    for measured in findings.values():
        assert measured["folded"] == 0 and measured["unfolded"]


def test_weights_rank_the_models_anew(findings: dict[str, dict[str, Any]]) -> None:
    """By speed alone the fastest comes first, those that miss a limit stay last; reset brings the order of the page."""
    for measured in findings.values():
        assert measured["byspeed"] == ["LFM2 1.2B", "Qwen2.5 1.5B", "SmolLM3 3B", "Qwen3 4B", *measured["ranked"][4:]]
        assert measured["said"].startswith("With these weights LFM2 1.2B comes first.")
        assert measured["reset"] == measured["ranked"] != measured["byspeed"]


def test_prompts_are_filtered_and_every_command_can_be_copied(findings: dict[str, dict[str, Any]]) -> None:
    """Each filter shows as many prompts as it says; one check shows those where a reply fails it."""
    for measured in findings.values():
        assert measured["copies"]
        assert [name.split()[0] for name, _ in measured["filters"]] == ["all", "differ", "failed"]
        assert all(int(name.split()[1]) == shown for name, shown in measured["filters"])
        assert measured["bycheck"][0] == "one message" and 0 < measured["bycheck"][1] < 13


def test_the_first_column_stays_on_a_phone(findings: dict[str, dict[str, Any]]) -> None:
    assert findings["dark and narrow"]["sticky"] == "sticky"
    assert findings["light and wide"]["sticky"] == "static"


def test_the_policy_lets_our_script_run_and_no_other(page: Path) -> None:
    """The page's own script works under its policy; one that was slipped in does not; without scripts names show."""
    source = page.read_text()
    foreign, off = page.with_name("foreign.html"), page.with_name("off.html")
    foreign.write_text(source.replace("</body>", "<script>document.title = 'taken'</script></body>"))
    off.write_text(re.sub(r"script-src '[^']*'", "script-src 'none'", source, count=1))
    ours, theirs, without = together([((one, "--dump-dom"), {}) for one in (page, foreign, off)])
    assert 'class="card blind"' in ours and 'class="sort"' in ours
    assert "<title>taken" not in theirs and 'class="card blind"' in theirs
    assert ' blind"' not in without and '<span class="who">Qwen3 4B</span>' in without
    assert without.count('class="reveal" hidden') == 2
    assert 'class="copy"' in ours and 'class="copy"' not in without and "jarvisctl deploy model" in without


def test_it_can_be_looked_at_and_printed(page: Path) -> None:
    """Screenshots of both themes and both widths, and a PDF, are left for a person to look at."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    views = [(theme, width) for theme in ("light", "dark") for width in (1200, 500)]
    calls: list[tuple[tuple[Any, ...], Mapping[str, Any]]] = []
    for theme, width in views:
        words = [f"--screenshot={ARTIFACTS / f'report-{theme}-{width}.png'}", *([DARK] if theme == "dark" else [])]
        calls.append(((page, *words), {"width": width, "height": 2400}))
    calls.append(((page, f"--print-to-pdf={ARTIFACTS / 'report.pdf'}", "--no-pdf-header-footer"), {}))
    together(calls)
    assert (ARTIFACTS / "report.pdf").read_bytes().startswith(b"%PDF")
    for theme, width in views:
        with Image.open(ARTIFACTS / f"report-{theme}-{width}.png") as picture:
            assert picture.size == (width, 2400)
            grey = picture.convert("L")
            assert (grey.getpixel((2, 2300)) < 60) is (theme == "dark")
            assert len(grey.getcolors() or []) > 30

"""The six compared models in two rounds, as stand-ins with their real architectures, tokenizers and chat templates.

JARVISD_STANDINS names the folder that holds build_six.py and parts/. Each stand-in writes one known text and its own
end token at any sampling that is used here, so a wrong detokeniser, a missed end of the turn or a mixed-up batch shows
in the text. Without the folder the test is skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import House
from tests.acceptance.test_rounds import rows

FOLDER = os.environ.get("JARVISD_STANDINS", "")
KEYS = ("qwen2.5-1.5b", "smollm3-3b", "ministral-3b", "phi-3-mini", "gemma-3-4b", "qwen3-4b")
SAYS = "Sure, sounds good! See you soon 😊"
PROMPTS, MORE_SAMPLES = 13, 2


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("standins")
    program = [sys.executable, str(Path(FOLDER) / "build_six.py"), str(made), str(Path(FOLDER) / "parts")]
    subprocess.run(program, check=True, capture_output=True)
    return made


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER, reason="JARVISD_STANDINS names no folder with build_six.py and parts/")
def test_all_six_write_their_text_in_both_rounds(house: House, standins: Path) -> None:
    models = ",".join(str(standins / key) for key in KEYS)
    house.daemon()
    run = house.enqueue(
        *("overnight", "--only", "evaluate"),
        *("--set", f"evaluate.models=[{models}]", "--set", "evaluate.rounds=2", "--set", "evaluate.meaning=null"),
        *("--set", f"evaluate.more_samples={MORE_SAMPLES}", "--set", "evaluate.turns=0"),
    )
    house.ctl("wait", run, code=None, timeout_s=1500)
    replies = rows(house, "SELECT model, round, reply, success, finish_reason FROM reply")
    assert {(text, success, finish) for _, _, text, success, finish in replies} == {(SAYS, 1, "stop")}
    asked = {(key, number): PROMPTS * (MORE_SAMPLES if number == 2 else 1) for key in KEYS for number in (1, 2)}
    assert {pair: sum(row[:2] == pair for row in replies) for pair in asked} == asked
    dates = {prompt.partition("Today Date: ")[2][:16] for (prompt,) in rows(house, _SMOLLM3)}
    assert len(dates) == 1


_SMOLLM3 = "SELECT rendered FROM reply WHERE model = 'smollm3-3b'"

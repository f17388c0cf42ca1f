"""How well do the checks and the examples tell a good reply from a bad one, on replies graded before any was scored?

python -m benchmarks reading

The readers are fitted to the examples of config/scenarios.yaml and see no graded reply. The hard part is the replies
that form checks cannot find: right words, wrong meaning. Real replies are those of a Qwen2.5-Coder-1.5B in three
batches: whoever wrote the examples had read the first, and for a third of them the second; the last was read and graded
when all of them were written. "prompt left out" reads each prompt without its own examples, "examples" is leave-one-out
over the examples themselves. With an encoder where the demonstration's is on this disk.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jarvisd.paths import CHECKOUT, Home
from jarvisd.plugin import PlanContext

ROOT = CHECKOUT or Path()
GRADED = ROOT / "tests" / "fixtures" / "graded_replies.jsonl"
EMBEDDER = ROOT / "var" / "cache" / "models" / "all-MiniLM-L6-v2"
LAST_BATCH = 3  #: of real replies
#: Kinds that are right or that say the wrong thing in the right words.
HARD = {"good", "slang", "short", "long"} | {
    "opposite",
    "off-topic",
    "rude",
    "contradiction",
    "wrong-time",
    "wrong-speaker",
}


def main() -> None:
    from jobs.evaluate import scenarios
    from jobs.evaluate.scoring import Scorer

    home = Home(ROOT, "--home")
    sheet = scenarios.load("scenarios.yaml", PlanContext(home=home, folder=ROOT, messages=ROOT))
    rows = [json.loads(line) for line in GRADED.read_text("utf-8").splitlines()]
    print(f"  {len(rows)} replies; area under the curve, grades 3 and 4 against 0 and 1; Spearman over all grades")
    print(f"  {'reader':34}  written   hard   real   last   Spearman: written, real, last")
    encoders: dict[str, Any] = {"": None} | ({" + meaning": _encode()} if EMBEDDER.is_dir() else {})
    for name, encode in encoders.items():
        scores = Scorer(sheet, encode).score(_answers(rows, sheet))
        if not name:
            _line("checks alone", rows, [score.checks_value for score in scores])
        _line(f"examples{name}", rows, [score.reader or 0.0 for score in scores])
        _line(f"both{name}: the value", rows, [score.value for score in scores])
        _line(f"prompt left out{name}", rows, _left_out(rows, sheet, encode))
        print(f"  examples{name}, each left out once: {_examples_left_out(sheet, encode):.3f}")


def _answers(rows: Sequence[dict[str, Any]], sheet: Any) -> list[Any]:
    from jobs.evaluate.scoring import Answer

    scenarios = {scenario.id: scenario for scenario in sheet.scenarios}
    prompts = {(s.id, prompt.instruction): prompt for s in sheet.scenarios for prompt in s.prompts}
    return [
        Answer(
            scenario=scenarios[row["scenario"]],
            prompt=prompts[row["scenario"], row["instruction"]],
            raw=row["reply"],
            finish_reason=row.get("finish_reason", "stop"),
        )
        for row in rows
    ]


def _line(name: str, rows: Sequence[dict[str, Any]], values: Sequence[float]) -> None:
    pairs = list(zip(rows, values, strict=True))
    written = [pair for pair in pairs if pair[0]["source"] == "written"]
    real = [pair for pair in pairs if pair[0]["source"] != "written"]
    hard = [pair for pair in written if pair[0]["kind"] in HARD]
    last = [pair for pair in real if pair[0]["batch"] == LAST_BATCH]
    areas = "  ".join(f"{_area(part):5.3f}" for part in (written, hard, real, last))
    ranks = "  ".join(f"{_spearman(part):.2f}" for part in (written, real, last))
    print(f"  {name:34}  {areas}    {ranks}", flush=True)


def _area(pairs: Sequence[tuple[dict[str, Any], float]]) -> float:
    from sklearn.metrics import roc_auc_score

    clear = [(row["grade"] > 2, value) for row, value in pairs if row["grade"] != 2]
    return float(roc_auc_score([good for good, _ in clear], [value for _, value in clear]))


def _spearman(pairs: Sequence[tuple[dict[str, Any], float]]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr([row["grade"] for row, _ in pairs], [value for _, value in pairs])[0])


def _left_out(rows: Sequence[dict[str, Any]], sheet: Any, encode: Any) -> list[float]:
    """Margins of each prompt's replies, read with the examples of all other prompts."""
    from jobs.evaluate.reader import Reader, Text

    margins: dict[int, float] = {}
    for key in {(row["scenario"], row["instruction"]) for row in rows}:
        places = [place for place, row in enumerate(rows) if (row["scenario"], row["instruction"]) == key]
        reader = Reader(_without(sheet, key), encode)
        values = reader.margins([Text(*key, rows[place]["reply"]) for place in places])
        margins |= dict(zip(places, map(float, values), strict=True))
    return [margins[place] for place in range(len(rows))]


def _without(sheet: Any, key: tuple[str, str]) -> Any:
    from jobs.evaluate.scenarios import Examples

    def bare(scenario: Any) -> Any:
        prompts = tuple(
            prompt.model_copy(update={"examples": Examples()}) if (scenario.id, prompt.instruction) == key else prompt
            for prompt in scenario.prompts
        )
        return scenario.model_copy(update={"prompts": prompts})

    return sheet.model_copy(update={"scenarios": tuple(bare(scenario) for scenario in sheet.scenarios)})


def _examples_left_out(sheet: Any, encode: Any) -> float:
    from sklearn.metrics import roc_auc_score

    from jobs.evaluate.reader import Reader

    reader = Reader(sheet, encode)
    return float(roc_auc_score(reader.is_good, reader.left_out))


def _encode() -> Any:
    """The encoder without the installation's cache: in memory, once per text."""
    from jobs.lib.embedding import library

    model, known = library.open_model(EMBEDDER, "cpu"), dict[str, Any]()

    def encode(texts: list[str]) -> Any:
        import numpy as np

        if missing := sorted(set(texts) - set(known)):
            known.update(zip(missing, library.encode(model, missing), strict=True))
        return np.array([known[text] for text in texts])

    return encode

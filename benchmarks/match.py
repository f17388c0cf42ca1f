"""How long does an instant reply take, and do the cheap ways of finding it agree with the dear one?

python -m benchmarks match

On one core, over the newest incoming turns of the demonstration's corpus, none of which is a trigger's own turn: the
triggers are what came before the most frequent short replies in the older part.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._measure import pairs, ratio_line
from jarvisd.paths import CHECKOUT, Home
from jarvisd.store import database

BIN = Path(sys.executable).parent
TURNS = 300
REPLIES, TRIGGERS = 100, 8  #: templates, and triggers of each
WORDS = 12  #: of a trigger
MOST_WORDS, WANTED_P95_MS = 40, 10.0  #: of a turn that is to be answered in so many ms
PAIRS = 40  #: texts that both libraries embed, one by one
COLD = 5  #: starts of the program
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")


def main() -> None:
    """Measure in a child of its own: the number of threads is settled when numpy is imported."""
    folder = (CHECKOUT or Path()) / "var" / "cache"
    if not (folder / "demo" / "chat.db").is_file():
        print("  the demonstration's corpus is not here: `jarvisctl demo` makes it")
        return
    with tempfile.TemporaryDirectory() as home:
        child = [sys.executable, "-m", "benchmarks.match", home, str(folder)]
        subprocess.run(child, env=os.environ | ONE_CORE | {"JARVISD_HOME": home}, check=True)


def measure(root: Path, cache: Path) -> None:
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from jobs.lib.matching.index import Index

    home = Home(root, "--home")
    asked = _fill(home, cache)
    began = time.perf_counter()
    index = Index.of_newest(home)
    index.warm()
    print(f"  made and loaded in {time.perf_counter() - began:.1f} s with the model's own library, once per mining")
    meta, reader = (json.loads((index.folder / name).read_text()) for name in ("meta.json", "reader.json"))
    fast = (
        "not believed: it agrees too seldom" if meta["fast_from"] is None else f"believed from {meta['fast_from']:.2f}"
    )
    print(f"  {len(index.triggers)} triggers, {len(asked)} turns; encoder in {reader['reader']}; fast encoder {fast}")
    _warm(index.match, asked)
    print(f"  cold: {_cold(asked)}")
    _agreement(index, asked)
    _library(index, cache, asked)
    _drafts(home, asked)


def _fill(home: Home, cache: Path) -> list[str]:
    """A mining in a database of its own; returns the turns to ask, the newest ones."""
    from jarvisd.store import migrations
    from jarvisd.store.models import Job, Run
    from jobs.lib import imessage
    from jobs.lib.embedding.encoder import Encoder
    from jobs.lib.matching.normalise import normal
    from jobs.lib.results.tables import Mining, Template

    migrations.migrate(home)
    (home.cache / "embeddings").symlink_to(cache / "embeddings")
    folder = cache / "models" / "all-MiniLM-L6-v2"
    turns = [turn for turn in imessage.turns(imessage.read(cache / "demo" / "chat.db").messages) if turn.text.strip()]
    older, newest = turns[: len(turns) * 9 // 10], turns[-TURNS:]
    led: dict[str, Counter[str]] = {}
    for turn in older:
        if turn.reply and len(turn.text.split()) <= WORDS:
            led.setdefault(normal(turn.reply[0].text), Counter())[normal(turn.text)] += 1
    best = sorted(led, key=lambda reply: -led[reply].total())[:REPLIES]
    entry = {"key": "m", "name": "all-MiniLM-L6-v2", "kind": "embedder", "path": str(folder)}
    matcher = {"name": "all-MiniLM-L6-v2", "fingerprint": Encoder(folder, "all-MiniLM-L6-v2", cache).fingerprint}
    with database.write():
        snapshot = {"plan": {"mine": {"matcher_model": entry}}}
        run = Run.create(
            id="match", number=1, plan="match", night="", created_at=database.now(), snapshot=snapshot, warnings=[]
        )
        job = Job.create(run=run, name="mine", kind="mine", place=0, params={})
        Mining.create(job=job, run=run, stats={}, config={"matcher": matcher}, curve=[])
        for rank, reply in enumerate(best, start=1):
            triggers = [text for text, _ in led[reply].most_common(TRIGGERS)]
            values = {"representative": reply, "triggers": triggers, "examples": [], "tier": "suggest"}
            numbers = {"rank": rank, "frequency": led[reply].total(), "uses": 1, "people": 3}
            Template.create(uuid=f"template-{rank}", job=job, run=run, **values, **numbers)
    return list(dict.fromkeys(turn.text for turn in newest))


def _warm(match: Callable[[str], object], asked: Sequence[str]) -> None:
    """Every text is new to the index; then every text again, now remembered."""
    short = [text for text in asked if len(text.split()) <= WORDS]
    long = [text for text in asked if len(text.split()) > WORDS]
    parts = ((f"new, at most {WORDS} words", short), (f"new, more than {WORDS}", long), ("asked before", asked))
    for label, texts in parts:
        times, busy = [], []
        for text in texts:
            wall, cpu = time.perf_counter(), time.process_time()
            match(text)
            times.append((time.perf_counter() - wall) * 1000)
            busy.append((time.process_time() - cpu) * 1000)
        print(f"  warm, {label} ({len(texts)} turns): {_quantiles(times)} ms; processor time {_quantiles(busy)} ms")


def _quantiles(values: Sequence[float]) -> str:
    cut = statistics.quantiles(values, n=20)
    return f"p50 {statistics.median(values):.2f}, p95 {cut[-1]:.2f}"


def _cold(asked: Sequence[str]) -> str:
    times, loading_ms = [], []
    for text in asked[:COLD]:
        began = time.perf_counter()
        done = subprocess.run([BIN / "jarvisctl", "match", "--json", "--", text], capture_output=True, check=False)
        times.append(time.perf_counter() - began)
        loading_ms.append(json.loads(done.stdout)["cold_ms"])
    return (
        f"`jarvisctl match` takes {statistics.median(times):.2f} s from start to end, "
        f"{statistics.median(loading_ms) / 1000:.2f} s of it loading (medians of {COLD})"
    )


def _agreement(index: object, asked: Sequence[str]) -> None:
    """What each stage answered, and whether the encoder alone would have said the same."""
    from jobs.lib.matching.index import Index
    from jobs.lib.matching.ngrams import Grams
    from jobs.lib.matching.rules import form_of
    from jobs.lib.stats import wilson

    assert isinstance(index, Index)
    served, full = [index.match(text) for text in asked], [index.match_by_encoder(text) for text in asked]
    stages = Counter(match.how for match in served)
    print("  answered by: " + ", ".join(f"{how} {count}" for how, count in stages.most_common()))
    for how in ("exact", "fast"):
        matches = [(a, b) for a, b in zip(served, full, strict=True) if a.how == how]
        same = sum(a.fires == b.fires and a.trigger.template == b.trigger.template for a, b in matches)
        interval = wilson(same, len(matches))
        print(f"  {how}: the encoder alone agrees on {same} of {len(matches)}, Wilson interval {interval}")
    grams = Grams([trigger.form for trigger in index.triggers])
    scores = [grams.scores(form_of(text)) for text in asked]
    for least in (0.4, 0.5, 0.6, 0.7, 0.8):
        bold = [(match, row) for match, row in zip(full, scores, strict=True) if row.max() >= least]
        same = sum(a.fires and a.trigger.template == index.triggers[int(row.argmax())].template for a, row in bold)
        print(f"  fast encoder from {least} on: answers {len(bold)}, the encoder agrees on {same}")


def _library(index: object, cache: Path, asked: Sequence[str]) -> None:
    """The same texts through sentence-transformers: the same answers, and how long it takes for one text."""
    from jobs.lib.embedding.encoder import Encoder
    from jobs.lib.embedding.single import full_reader, numpy_reader
    from jobs.lib.matching.index import Index
    from jobs.lib.matching.rules import form_of

    assert isinstance(index, Index)
    folder = cache / "models" / "all-MiniLM-L6-v2"
    forms = [form_of(text) for text in asked]
    scores = Encoder(folder, "all-MiniLM-L6-v2", cache / "embeddings").encode(forms) @ index._loaded.vectors.T
    full = [index.match_by_encoder(text).trigger for text in asked]
    same = sum(index.triggers[int(row.argmax())] == trigger for row, trigger in zip(scores, full, strict=True))
    print(f"  numpy and sentence-transformers name the same trigger for {same} of {len(asked)} turns")
    fast_forms, slow_forms = iter(forms), iter(forms)
    quick, slow = numpy_reader(folder), full_reader(folder)
    times = pairs(lambda: quick(next(fast_forms)), lambda: slow(next(slow_forms)), min(PAIRS, len(forms) - 1))
    print("  " + ratio_line("one text in numpy", times[0], "sentence-transformers", times[1]))


def _drafts(home: Home, asked: Sequence[str]) -> None:
    """Drafts for new texts of up to 40 words, with numpy in float32 and with the extra in int8.

    The weights of the ranker are noise: its time does not depend on them.
    """
    from jobs.lib.embedding import onnx_bert
    from jobs.lib.matching import Matcher
    from jobs.lib.matching.readers import FLOAT32, INT8
    from jobs.lib.results.tables import Ranking

    texts = [text for text in asked if len(text.split()) <= MOST_WORDS]
    longer = [text for text in texts if len(text.split()) > WORDS]
    for space, name in ((FLOAT32, "without the extra"), (INT8, "with jarvisd[fast]")):
        if space == INT8 and not onnx_bert.installed():
            print("  with jarvisd[fast]: not installed, so not measured")
            continue
        with database.write():
            Ranking.delete().execute()
            _noise(space)
        matcher = Matcher.load(home)
        matcher.warm()
        times: dict[str, tuple[float, float]] = {}
        for text in texts:
            wall, cpu = time.perf_counter(), time.process_time()
            matcher.drafts(text)
            times[text] = (1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu))
        for label, some in ((f"{WORDS + 1} to {MOST_WORDS} words", longer), (f"up to {MOST_WORDS} words", texts)):
            walls, busy = zip(*(times[text] for text in some), strict=True)
            met = [statistics.quantiles(column, n=20)[-1] <= WANTED_P95_MS for column in (walls, busy)]
            verdict = "met" if met[0] else "met in processor time alone" if met[1] else "missed"
            print(
                f"  drafts {name}, {label} ({len(some)} turns): {_quantiles(walls)} ms; processor time "
                f"{_quantiles(busy)} ms (wanted: p95 {WANTED_P95_MS:.0f}, {verdict})"
            )


def _noise(space: str) -> None:
    import numpy as np

    from jobs.lib.matching import inputs
    from jobs.lib.matching.inputs import Asked
    from jobs.lib.matching.ranker import Ranker
    from jobs.lib.matching.readers import FLOAT32, INT8
    from jobs.lib.results.tables import Mining, Ranking, Template

    mining, ids = Mining.get(), tuple(str(row.uuid) for row in Template.select())
    size = 3 * 384 + len(inputs.numbers(Asked(("",))))
    weights = np.random.default_rng(0).normal(0, 0.1, (size, len(ids) + 1)).astype(np.float32)
    ranker = Ranker(weights, np.zeros(len(ids) + 1, dtype=np.float32), ids)
    figures = {INT8: {"used": space == INT8}}
    Ranking.create(job=mining.job_id, run=mining.run_id, space=FLOAT32, weights=ranker.to_bytes(), figures=figures)


if __name__ == "__main__":
    measure(Path(sys.argv[1]), Path(sys.argv[2])) if len(sys.argv) == 3 else main()

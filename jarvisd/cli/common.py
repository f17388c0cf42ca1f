"""What several verbs need: the home, the ledger, and how a run or a job is named."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jarvisd import paths as homes
from jarvisd.errors import UsageError
from jarvisd.paths import Home

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class App:
    """What every verb is given (`@click.pass_obj`)."""

    home: Home

    @classmethod
    def at(cls, folder: str | None) -> App:
        return cls(homes.find(folder))

    def open_ledger(self) -> None:
        """Open the database to write, making it and bringing its schema up to date."""
        from jarvisd.store import migrations

        migrations.migrate(self.home)

    def look_into_ledger(self) -> bool:
        """Open the database to look; False when nothing was ever submitted here."""
        from jarvisd.store import migrations

        return migrations.open_existing(self.home)

    def need_ledger(self) -> None:
        if not self.look_into_ledger():
            raise UsageError(f"nothing was submitted in {self.home.root} yet", "Start with `jarvisctl enqueue PLAN`.")

    @property
    def daemon(self) -> dict[str, object] | None:
        """Who holds the daemon's lock, or None."""
        return homes.lock_holder(self.home)


# ----------------------------------------------------------------------------------------------------------- words


def on_terminal() -> bool:
    return sys.stdout.isatty()

"""The rooms of the page: its own, those of this project's verbs, and those of other packages' kinds."""

from __future__ import annotations

import logging

from jarvisd import logs, registry
from jarvisd.web.pages import Room
from jarvisd.web.screens import acts, history, log, queue, tonight

_OWN = (tonight.WEB, history.WEB, queue.WEB, log.WEB, acts.WEB)
_log = logging.getLogger("jarvisd.web")


def load() -> list[Room]:
    """Every room, in the order of the menu. One that cannot be imported is left out, and the log says so."""
    rooms = {room.name: room for room in _OWN}
    for dotted in registry.web_rooms():
        try:
            room: Room = registry.load(dotted)
        except Exception as error:
            _log.error("the page lacks %s: %s", dotted, type(error).__name__)
            _log.info("%s", "; ".join(logs.places(error)))
        else:
            rooms.setdefault(room.name, room)
    return sorted(rooms.values(), key=lambda room: room.place)

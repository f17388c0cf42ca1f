"""Short friendly texts that could be sent to everything; what the best of them reaches is what a model must beat."""

from __future__ import annotations

TEXTS = (
    "haha yeah",
    "ok",
    "Sounds good!",
    "That's cool, what about you?",
    "Haha yes! Saw it, thanks, no worries, see you soon! What time works?",
)

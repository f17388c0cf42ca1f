"""Input made by chance: each either works or is refused in one line, within seconds and without much memory."""

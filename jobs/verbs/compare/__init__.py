"""Two nights beside each other, on the local page."""

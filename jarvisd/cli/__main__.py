"""`python -m jarvisd.cli`: jarvisctl, where its script is not on PATH."""

from jarvisd.cli import main

main()

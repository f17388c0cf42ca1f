"""On PYTHONPATH this makes any Python of the tests believe that it runs on a Mac, and changes nothing else.

The platform is decided in one place, machine.MACOS. No switch of ours may exist in service for that: a variable that
turned a Linux computer into a Mac, or a Mac into none, would only be a way to break one.
"""

from jarvisd import machine

machine.MACOS = True

"""The demonstration: a chat.db and small real models from PyPI packages, and the whole night run on them.

`jobs.verbs.demo.preparation.prepare` makes what it runs on; `jarvisctl demo` (commands.py) runs the night.
"""

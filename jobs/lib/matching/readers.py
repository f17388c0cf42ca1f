"""How the matcher of a run is opened to embed one text at a time, and that it is the model that the run measured."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jarvisd import plugin
from jarvisd.plugin import Home, JarvisError
from jobs.lib.embedding import int8, onnx_bert
from jobs.lib.embedding.encoder import Encoder
from jobs.lib.embedding.numpy_weights import Unfit
from jobs.lib.embedding.single import full_reader, numpy_reader
from jobs.lib.matching import triggers as trigger_rows
from jobs.lib.results.tables import Mining

if TYPE_CHECKING:
    from jobs.lib.embedding.single import Read

FLOAT32, INT8 = "float32", "int8"  #: in which a text is embedded; rankers and triggers are always in float32
NUMPY, FULL = "numpy", "sentence-transformers"


def space_of(figures: dict[str, Any]) -> str:
    """INT8 where the extra is installed and the run measured that the first drafts stay the same. See Ranking."""
    fast = figures.get(INT8)
    return INT8 if fast and fast["used"] and onnx_bert.installed() else FLOAT32


def open_reader(mining: Mining, home: Home, space: str = FLOAT32) -> Read:
    """The matcher of a mining. Raises JarvisError where it is not on disk, or is another model by now."""
    folder = trigger_rows.matcher_folder(mining, home)
    which = _known(mining, home, folder) or _look(mining, home, folder)
    if space == INT8:
        with contextlib.suppress(Unfit):  # measured on another machine: float32 is right here too
            return int8.open_model(folder, str(mining.config["matcher"]["fingerprint"]), home.cache).encode
    return numpy_reader(folder) if which == NUMPY else full_reader(folder)


def _file(mining: Mining, home: Home) -> Path:
    return home.cache / "index" / str(mining.run_id) / "reader.json"


def _known(mining: Mining, home: Home, folder: Path) -> str | None:
    """What an earlier look said of the very same files: hashing them takes longer than the answer."""
    try:
        stored: dict[str, Any] = json.loads(_file(mining, home).read_text("utf-8"))
        same = stored["stamp"] == trigger_rows.stamp(folder) and stored["reader"] in (NUMPY, FULL)
        return str(stored["reader"]) if same else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _look(mining: Mining, home: Home, folder: Path) -> str:
    """Check the fingerprint and compare numpy with sentence-transformers. Raises JarvisError for another model."""
    from jobs.lib.embedding.numpy_bert import Bert

    encoder = Encoder(folder, str(mining.config["matcher"]["name"]), home.cache / "embeddings", "cpu", Bert)
    if encoder.fingerprint != mining.config["matcher"]["fingerprint"]:
        raise another_model(mining, folder)
    reader = NUMPY if encoder.lighter() else FULL
    stored = {"stamp": trigger_rows.stamp(folder), "reader": reader}
    plugin.replace_file(_file(mining, home), json.dumps(stored))
    return reader


def another_model(mining: Mining, folder: Path) -> JarvisError:
    return JarvisError(
        f"the templates of {mining.run_id} were measured with another model than the one in {folder}",
        "Mine them again with `jarvisctl enqueue templates`, or put the earlier model back.",
    )

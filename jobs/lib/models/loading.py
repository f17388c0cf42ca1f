"""What only mlx-lm can tell of a chat model: whether it knows the type, and whether the files fit each other."""

from __future__ import annotations

import json
import re
import traceback
from importlib.util import find_spec
from pathlib import Path

#: A tokenizer is loaded without code of the model's, in the format of transformers also where mistral-common is
#: installed (its own breaks mlx-lm's streaming), and with the pattern that Mistral corrected.
TOKENIZER_OPTIONS = {"trust_remote_code": False, "mistral_format": False, "fix_mistral_regex": True}


def flaw(folder: Path) -> str | None:
    """Why mlx-lm would not load the model in `folder`, or None. Reads no weights, and nothing without mlx-lm."""
    try:
        _tokenizer(folder)
    except (OSError, ValueError) as error:
        return f"its tokenizer.json is damaged ({type(error).__name__})"
    if find_spec("mlx_lm") is None:
        return None
    from mlx_lm.utils import load_model

    try:
        load_model(folder, lazy=True)  # lazy: shapes are compared, no tensor is read
    except Exception as error:  # whatever a library raises for files that it does not understand
        return f"mlx-lm cannot load it: {reason(error, folder)}"
    return None


def _tokenizer(folder: Path) -> None:
    """Raise ValueError for a tokenizer.json that is cut short or holds no model."""
    file = folder / "tokenizer.json"
    if file.is_file():
        content = json.loads(file.read_text("utf-8"))
        if not isinstance(content, dict) or "model" not in content:
            raise ValueError(file.name)


def reason(error: Exception, folder: Path) -> str:
    """The unknown model type, or type and place of the exception: its text may quote what it was given."""
    kind = str(json.loads((folder / "config.json").read_text())["model_type"])
    if not is_known(kind):
        return f"it does not know the model type {kind[:60]}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def is_known(model_type: str) -> bool:
    """Whether mlx-lm has a module for a model type, under its own name or another one: mistral is loaded as llama."""
    from mlx_lm import utils

    module = getattr(utils, "MODEL_REMAPPING", {}).get(model_type, model_type)
    return find_spec("mlx_lm.models." + re.sub(r"\W", "_", module)) is not None

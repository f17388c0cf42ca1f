"""A GGUF file as a folder that mlx-lm (and transformers) loads: python -m jobs.verbs.demo.weights GGUF FOLDER.

The weights become float32: float16 and quantised weights are slow on MLX's CPU backend, and at this size it
costs nothing on a Mac. Run as a process of its own, so that the memory of the conversion returns.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any


def convert(gguf: Path, folder: Path) -> None:
    """Write configuration, weights, tokenizer, chat template and end tokens of `gguf` into `folder`."""
    import gguf as library
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # transformers reads the whole file three times, and makes the table of names anew for each layer: 40 % of the time.
    library.GGUFReader = cache(library.GGUFReader)
    library.get_tensor_name_map = cache(library.get_tensor_name_map)
    model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    # The weights are no longer quantised, whatever the file they come from was.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    complete_config(folder / "config.json")


def complete_config(file: Path) -> None:
    """Repeat in config.json, at top level, what mlx-lm looks for there alone."""
    config = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(config | top_level(config), indent=2) + "\n", encoding="utf-8")


def top_level(config: dict[str, Any]) -> dict[str, Any]:
    """The rotary base frequencies and the window pattern under the names of mlx-lm's model arguments.

    transformers 5 nests them in `rope_parameters`, for models with sliding windows once per kind of layer.
    mlx-lm ignores that and takes a default, which spoils every reply and raises nothing.
    """
    rope = config.get("rope_parameters") or {}
    settings: dict[str, Any] = {}
    if "rope_theta" in rope:
        settings["rope_theta"] = rope["rope_theta"]
    if "full_attention" in rope:
        settings["rope_theta"] = rope["full_attention"]["rope_theta"]
        settings["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
    if "_sliding_window_pattern" in config:
        settings["sliding_window_pattern"] = config["_sliding_window_pattern"]
    return settings


def main(arguments: list[str]) -> None:
    gguf, folder = map(Path, arguments)
    convert(gguf, folder)


if __name__ == "__main__":
    main(sys.argv[1:])

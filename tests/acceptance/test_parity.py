"""What mlx-lm computes from a converted model is what transformers computes from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROMPT = "Friend: Running 10 mins late sorry\n\nInstruction: Say no worries"
#: Two float32 implementations differ by rounding (0.06 was measured); a wrong rope_theta differs by 2.8.
TOLERANCE = 0.2

_MLX = """
import json, sys
import mlx.core as mx
from mlx_lm import load
model, tokenizer = load(sys.argv[1], tokenizer_config={"trust_remote_code": False})
ids = tokenizer.apply_chat_template(
    [{"role": "user", "content": sys.argv[2]}], add_generation_prompt=True, enable_thinking=False
)
print(json.dumps({"ids": list(ids), "logits": model(mx.array([ids]))[0, -1].astype(mx.float32).tolist()}))
"""

_TRANSFORMERS = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
ids = AutoTokenizer.from_pretrained(sys.argv[1]).apply_chat_template(
    [{"role": "user", "content": sys.argv[2]}], add_generation_prompt=True, return_dict=False
)
with torch.no_grad():
    logits = model(torch.tensor([ids])).logits[0, -1]
print(json.dumps({"ids": list(ids), "logits": logits.tolist()}))
"""


def _last_logits(code: str, folder: Path) -> tuple[list[int], list[float]]:
    """Token ids of the prompt and the logits after it, computed in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), PROMPT],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    return answer["ids"], answer["logits"]


@pytest.mark.slow
def test_the_next_token_of_smollm2_agrees_between_mlx_and_transformers(small_models: Path) -> None:
    folder = small_models / "smollm2-135m"
    mlx_ids, mlx = _last_logits(_MLX, folder)
    torch_ids, torch = _last_logits(_TRANSFORMERS, folder)
    assert mlx_ids == torch_ids
    assert len(mlx) == len(torch)
    assert max(range(len(mlx)), key=mlx.__getitem__) == max(range(len(torch)), key=torch.__getitem__)
    assert max(abs(one - other) for one, other in zip(mlx, torch, strict=True)) < TOLERANCE

"""Checkpoints of a few kilobytes, one per architecture of the compared models: random weights, tokenizers of bytes.

The tokenizers and templates are made for these tests. Each has one or more traits that the real ones have: a persona
of the brand's, thinking by default, the date in the prompt, a system message that is refused or dropped, an end of a
turn that no file declares.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "dtype": "float32",
}
_TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
_PERSONA = "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are Bot, made by Brand.<|im_end|>\n{% endif %}"
_DATED = (
    "<|im_start|>system\nToday: {{ strftime_now('%d %B %Y') }}\n"
    "{% if enable_thinking is not defined or enable_thinking %}/think{% else %}/no_think{% endif %}{{ '\\n' }}"
    "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% else %}You are Small, a helpful and thorough "
    "assistant.{% endif %}<|im_end|>\n"
    "{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n{% endif %}"
)
_ALTERNATES = (
    "<s>{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}</s>{% endif %}{% endfor %}"
)
_NO_SYSTEM = (
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "<|assistant|>{{ '\\n' }}"
)
_REFUSES = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
    "<start_of_turn>model{{ '\\n' }}"
)
_THINKS = (
    _TURNS + "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}"
)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One kind of checkpoint."""

    model_type: str
    template: str
    eos: str  #: the only end of a turn that the files declare
    other: tuple[str, ...] = ()  #: further special tokens
    ordinary: tuple[str, ...] = ()  #: tokens that are no special ones
    config: dict[str, Any] = field(default_factory=dict)
    text: str | None = None  #: model_type of the text model, where the checkpoint has other parts too


ARCHITECTURES = {
    "qwen2": Architecture(
        model_type="qwen2",
        template=_PERSONA + _TURNS + "<|im_start|>assistant{{ '\\n' }}",
        eos="<|im_end|>",
        other=("<|endoftext|>", "<|im_start|>"),
    ),
    "smollm3": Architecture(
        model_type="smollm3",
        template=_DATED,
        eos="<|im_end|>",
        other=("<|end_of_text|>", "<|im_start|>"),
        config={"no_rope_layers": [1, 0], "layer_types": ["full_attention"] * 2, "pad_token_id": 0},
    ),
    "mistral3": Architecture(
        model_type="mistral3",
        text="ministral3",
        template=_ALTERNATES,
        eos="</s>",
        other=("<s>", "[INST]", "[/INST]"),
        config={
            "sliding_window": None,
            "rope_parameters": {
                "type": "yarn",
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 16.0,
                "original_max_position_embeddings": 128,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "mscale": 1.0,
                "mscale_all_dim": 1.0,
                "llama_4_scaling_beta": 0.1,
            },
        },
    ),
    "phi3": Architecture(
        model_type="phi3",
        template=_NO_SYSTEM,
        eos="<|endoftext|>",
        other=("<|end|>", "<|assistant|>", "<|user|>"),
        ordinary=("</s>",),
        config={
            "num_key_value_heads": 4,
            "tie_word_embeddings": False,
            "sliding_window": 2047,
            "pad_token_id": 0,
            "original_max_position_embeddings": 2048,
        },
    ),
    "gemma3_text": Architecture(
        model_type="gemma3_text",
        template=_REFUSES,
        eos="<end_of_turn>",
        other=("<eos>", "<bos>", "<start_of_turn>"),
        ordinary=("</s>",),
        config={
            "num_hidden_layers": 3,
            "sliding_window": 64,
            "sliding_window_pattern": 3,
            "rope_local_base_freq": 10000.0,
            "query_pre_attn_scalar": 8,
        },
    ),
    "qwen3": Architecture(
        model_type="qwen3",
        template=_THINKS,
        eos="<|im_end|>",
        other=("<|endoftext|>", "<|im_start|>"),
        config={"attention_bias": False},
    ),
}


def make_checkpoint(folder: Path, name: str) -> Path:
    """The checkpoint of one of ARCHITECTURES; the same bytes of weights every time."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.utils import _get_classes

    architecture = ARCHITECTURES[name]
    folder.mkdir(parents=True)
    size, end = _save_tokenizer(folder, architecture)
    text = _SIZES | architecture.config | {"vocab_size": size, "eos_token_id": end}
    if architecture.text:
        text |= {"model_type": architecture.text}
        config = {"model_type": architecture.model_type, "text_config": text, "eos_token_id": end}
        config |= {"tie_word_embeddings": True, "dtype": "float32"}
    else:
        config = text | {"model_type": architecture.model_type}
    (folder / "config.json").write_text(json.dumps(config))
    model, arguments = _get_classes(config)
    mx.random.seed(7)
    weights = dict(tree_flatten(model(arguments.from_dict(config)).parameters()))
    if architecture.text:
        weights["vision_tower.ln_pre.weight"] = mx.ones((64,))
        weights["multi_modal_projector.norm.weight"] = mx.ones((64,))
    elif config["tie_word_embeddings"]:
        weights.pop("lm_head.weight", None)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


def _save_tokenizer(folder: Path, architecture: Architecture) -> tuple[int, int]:
    """Write the tokenizer's files; the size of the vocabulary and the id of its end token."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    bos = next((token for token in architecture.other if token in ("<bos>", "<s>")), None)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=architecture.eos, bos_token=bos)
    fast.add_special_tokens({"additional_special_tokens": [t for t in architecture.other if t != bos]})
    fast.add_tokens([AddedToken(token, special=False, normalized=False) for token in architecture.ordinary])
    fast.chat_template = architecture.template
    fast.save_pretrained(folder)
    return len(fast), int(fast.eos_token_id)

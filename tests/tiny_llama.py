"""A chat model of a few kilobytes: a llama of two layers with random weights, which mlx-lm loads like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "eos_token_id": 1,
}


def make_model(folder: Path, template: str | None = TEMPLATE, **config: Any) -> Path:
    """A llama of two layers with random weights and a tokenizer of bytes."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.models.llama import Model, ModelArgs
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({letter: place for place, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    fast.chat_template = template
    fast.save_pretrained(folder)
    settings = CONFIG | {"vocab_size": len(fast), "eos_token_id": fast.eos_token_id} | config
    (folder / "config.json").write_text(json.dumps(settings))
    mx.random.seed(7)
    weights = dict(tree_flatten(Model(ModelArgs.from_dict(settings)).parameters()))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


def make_speaker(folder: Path, text: str) -> Path:
    """A llama that writes this one text to everything: the text is one token, and every layer adds nothing."""
    import mlx.core as mx
    from transformers import AutoTokenizer

    make_model(folder, tie_word_embeddings=False)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([text])
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": len(tokenizer)}
    (folder / "config.json").write_text(json.dumps(config))
    spoken, newline = tokenizer.convert_tokens_to_ids([text, "Ċ"])
    weights = {name: mx.zeros(value.shape) for name, value in mx.load(str(folder / "model.safetensors")).items()}
    weights |= {name: mx.ones(value.shape) for name, value in weights.items() if "norm" in name}
    # One dimension marks the end of the prompt, one the text; all other tokens share a third and lead nowhere.
    embedding = mx.zeros((len(tokenizer), CONFIG["hidden_size"]))
    embedding[:, 2] = 1.0
    embedding[newline], embedding[spoken] = _only(0), _only(1)
    head = mx.zeros(embedding.shape)
    head[spoken, 0], head[tokenizer.eos_token_id, 1] = 100.0, 100.0
    weights |= {"model.embed_tokens.weight": embedding, "lm_head.weight": head}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    return folder


def _only(dimension: int) -> Any:
    import mlx.core as mx

    vector = mx.zeros((CONFIG["hidden_size"],))
    vector[dimension] = 1.0
    return vector

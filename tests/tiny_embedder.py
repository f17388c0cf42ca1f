"""A sentence-transformers model of a few kilobytes: the mean of random vectors, one a word."""

from __future__ import annotations

from pathlib import Path

WORDS = (
    "ok lol yes no hey hi there see you soon thanks how are what time is dinner where maybe later good "
    "night on my way sounds great the a to be free tomorrow movie "
)


def make_embedder(folder: Path, seed: int = 0) -> Path:
    """Write the model into `folder` (which it makes) and return it. Loads like any other, with no network."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(seed)
    raw = folder.with_name(f"{folder.name}-raw")
    raw.mkdir(parents=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
    (raw / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(raw / "vocab.txt")).save_pretrained(raw)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        initializer_range=1.0,
    )
    model = BertModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "word_embeddings" not in name and "LayerNorm" not in name:
                parameter.zero_()  # nothing but the words counts
        model.embeddings.word_embeddings.weight[:5] *= 0.01
    model.save_pretrained(raw)
    word = Transformer(str(raw), max_seq_length=64)
    SentenceTransformer(modules=[word, Pooling(32)], device="cpu").save(str(folder))
    return folder


def make_transformer(folder: Path, kind: str, inner: int = 48) -> Path:
    """A sentence-transformers model of kind "bert" or "mpnet" in which every part counts; it ends at 100 tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast, MPNetConfig, MPNetModel, MPNetTokenizerFast

    torch.manual_seed(1)
    raw = folder.with_name(f"{folder.name}-raw")
    raw.mkdir(parents=True)
    special = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "mpnet": ["<s>", "<pad>", "</s>", "<unk>"]}
    vocabulary = [*special[kind], *WORDS.split(), *({"mpnet": ["[UNK]", "<mask>"]}.get(kind, []))]
    (raw / "vocab.txt").write_text("\n".join(vocabulary))
    sizes = {
        "vocab_size": len(vocabulary),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": inner,
        "max_position_embeddings": 140,
        "initializer_range": 0.5,
    }
    if kind == "bert":
        BertTokenizerFast(str(raw / "vocab.txt")).save_pretrained(raw)
        BertModel(BertConfig(**sizes)).save_pretrained(raw)
    else:
        MPNetTokenizerFast(str(raw / "vocab.txt")).save_pretrained(raw)
        MPNetModel(MPNetConfig(**sizes)).save_pretrained(raw)
    word = Transformer(str(raw), max_seq_length=100)
    SentenceTransformer(modules=[word, Pooling(32)], device="cpu").save(str(folder))
    return folder

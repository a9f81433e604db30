"""The packing as a transformers `BertModel` with an XLM-RoBERTa tokenizer: names and settings."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from services.embed.weights import Array, Packed, WeightsError, tensor


def bert_tensors(packed: Packed) -> Iterator[tuple[str, Array]]:
    """The state of a transformers `BertModel` without its pooler, one tensor after another."""
    for target, source, shape in bert_names(packed):
        yield target, tensor(packed, source, shape)


def bert_names(packed: Packed) -> list[tuple[str, str, tuple[int, ...]]]:
    """(name in BertModel, name in the packing, shape) of every tensor."""
    hidden, wide = packed.hidden, packed.feed_forward
    names: list[tuple[str, str, tuple[int, ...]]] = [
        ("embeddings.word_embeddings.weight", "emb.word", (packed.vocabulary, hidden)),
        ("embeddings.position_embeddings.weight", "emb.pos", (packed.positions, hidden)),
        ("embeddings.token_type_embeddings.weight", "emb.type", (packed.token_types, hidden)),
        ("embeddings.LayerNorm.weight", "emb.ln.w", (hidden,)),
        ("embeddings.LayerNorm.bias", "emb.ln.b", (hidden,)),
    ]
    modules = {
        "attention.self.query": ("q", (hidden, hidden)),
        "attention.self.key": ("k", (hidden, hidden)),
        "attention.self.value": ("v", (hidden, hidden)),
        "attention.output.dense": ("ao", (hidden, hidden)),
        "attention.output.LayerNorm": ("aln", (hidden,)),
        "intermediate.dense": ("fi", (wide, hidden)),
        "output.dense": ("fo", (hidden, wide)),
        "output.LayerNorm": ("oln", (hidden,)),
    }
    for layer in range(packed.layers):
        for module, (short, shape) in modules.items():
            target = f"encoder.layer.{layer}.{module}"
            names.append((f"{target}.weight", f"l{layer}.{short}.w", shape))
            names.append((f"{target}.bias", f"l{layer}.{short}.b", shape[:1]))
    return names


def bert_config(packed: Packed) -> dict[str, Any]:
    """`config.json` of the BertModel."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": packed.hidden,
        "num_hidden_layers": packed.layers,
        "num_attention_heads": packed.heads,
        "intermediate_size": packed.feed_forward,
        "vocab_size": packed.vocabulary,
        "max_position_embeddings": packed.positions,
        "type_vocab_size": packed.token_types,
        # The file keeps float32 digits of 1e-12.
        "layer_norm_eps": float(f"{packed.epsilon:.6g}"),
        "pad_token_id": packed.pad,
        "bos_token_id": packed.bos,
        "eos_token_id": packed.eos,
        "dtype": "bfloat16",
        # Below 4.57.3 transformers warns of a flaw in another family of tokenizers.
        "transformers_version": "5.0.0",
    }


def tokenizer_json(packed: Packed) -> dict[str, Any]:
    """The `tokenizers` file of XLM-RoBERTa: NFKC with the map's exceptions, Metaspace, Unigram."""
    ids = {"<s>": packed.bos, "<pad>": packed.pad, "</s>": packed.eos, "<unk>": packed.unk}
    ids["<mask>"] = packed.pieces.index("<mask>")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(name, ids[name]) for name in sorted(ids, key=ids.__getitem__)],
        "normalizer": _normaliser(packed.characters),
        "pre_tokenizer": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "post_processor": _template(packed),
        "decoder": {
            "type": "Metaspace",
            "replacement": "\u2581",
            "prepend_scheme": "always",
            "split": True,
        },
        "model": {
            "type": "Unigram",
            "unk_id": packed.unk,
            "vocab": [list(pair) for pair in zip(packed.pieces, packed.scores, strict=True)],
            "byte_fallback": False,
        },
    }


def _special(content: str, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": content == "<mask>",
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _normaliser(characters: dict[str, str]) -> dict[str, Any]:
    """SentencePiece's nmt_nfkc as steps: what NFKC does not do comes first, as character sets."""
    changed = {c: to for c, to in characters.items() if unicodedata.normalize("NFKC", c) != to}
    spaces = [c for c, to in changed.items() if to == " "]
    dropped = [c for c, to in changed.items() if to == ""]
    if len(spaces) + len(dropped) != len(changed):
        raise WeightsError(
            "the normaliser's map has entries that are neither NFKC, space nor empty"
        )
    steps = [
        *([_replace(_character_set(spaces), " ")] if spaces else []),
        *([_replace(_character_set(dropped), "")] if dropped else []),
        {"type": "NFKC"},
        _replace(" {2,}", " "),
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]
    return {"type": "Sequence", "normalizers": steps}


def _character_set(characters: list[str]) -> str:
    return "[" + "".join(f"\\x{{{ord(c):04X}}}" for c in sorted(characters)) + "]"


def _replace(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _template(packed: Packed) -> dict[str, Any]:
    """`<s> text </s>`, and the pair form that XLM-RoBERTa defines."""
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    eos = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [bos, first, eos],
        "pair": [bos, first, eos, eos, second, eos],
        "special_tokens": {
            name: {"id": name, "ids": [number], "tokens": [name]}
            for name, number in (("<s>", packed.bos), ("</s>", packed.eos))
        },
    }

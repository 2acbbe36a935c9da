"""Converts audiocraft's AudioGen and MusicGen checkpoints to the Musicgen classes of transformers.

audiocraft writes two files: ``state_dict.bin`` (language model and projection of the text) and
``compression_state_dict.bin`` (EnCodec), each ``{"best_state": tensors, "xp.cfg": YAML}``. Sizes
are read from the tensors, other settings from the YAML. Pickled code is never run.

Source: AudioGen (arXiv 2209.15352) and MusicGen (arXiv 2306.05284).
"""

import os
import pickle
import re
from collections.abc import Mapping, Sequence
from math import ceil, log2, prod
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

LANGUAGE_MODEL_FILE, CODEC_FILE = "state_dict.bin", "compression_state_dict.bin"

LANGUAGE_MODEL_KEYS = (
    (r"^condition_provider\.conditioners\.description\.output_proj\.", "enc_to_dec_proj."),
    (r"^emb\.", "decoder.model.decoder.embed_tokens."),
    (r"^linears\.", "decoder.lm_heads."),
    (r"^out_norm\.", "decoder.model.decoder.layer_norm."),
    (r"^transformer\.", "decoder.model.decoder."),
    (r"\.cross_attention\.", ".encoder_attn."),
    (r"\.linear(\d)\.", r".fc\1."),
    (r"\.norm1\.", ".self_attn_layer_norm."),
    (r"\.norm_cross\.", ".encoder_attn_layer_norm."),
    (r"\.norm2\.", ".final_layer_norm."),
)
"""Patterns of audiocraft's names -> names of ``MusicgenForConditionalGeneration``, all applied in
this order. ``in_proj_weight`` [3 D, D] is split into query, key and value besides."""

CODEC_KEYS = (
    (r"^(encoder|decoder)\.model\.", r"\1.layers."),
    (r"\.(conv\.conv|convtr\.convtr)\.", ".conv."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
    (r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"quantizer.layers.\1.codebook."),
)
"""Patterns of audiocraft's names -> names of ``EncodecModel``, all applied in this order."""


def is_audiocraft(folder: Any) -> bool:
    """Tell whether a folder holds the language model of an audiocraft checkpoint."""
    return (Path(folder) / LANGUAGE_MODEL_FILE).is_file()


def export_audiocraft(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    text_encoder: str | os.PathLike[str] | None = None,
    dtype: str | None = None,
) -> None:
    """Write an audiocraft checkpoint so that ``pipeline("text-to-audio", model=OUT)`` runs it.

    Args:
        folder: folder with ``state_dict.bin`` and ``compression_state_dict.bin``.
        out: folder to write.
        text_encoder: folder or Hub id of the T5 whose states the model was trained with; by default
            the one that the checkpoint names.
        dtype: precision of the written files, such as ``"float16"``; by default float32.

    Raises:
        ValueError: for files that need pickled code, that are damaged, or whose model the Musicgen
            classes cannot hold.
        OSError: if a file is missing.
    """
    from transformers import AutoTokenizer, EncodecFeatureExtractor, MusicgenProcessor

    model, named_encoder = load_audiocraft(folder, text_encoder=text_encoder)
    if dtype is not None:
        model.to(getattr(torch, dtype))
    codec = model.config.audio_encoder
    features = EncodecFeatureExtractor(
        feature_size=codec.audio_channels, sampling_rate=codec.sampling_rate, padding_side="left"
    )
    tokenizer = AutoTokenizer.from_pretrained(named_encoder)
    model.save_pretrained(out)
    MusicgenProcessor(feature_extractor=features, tokenizer=tokenizer).save_pretrained(out)


def load_audiocraft(
    folder: str | os.PathLike[str], *, text_encoder: str | os.PathLike[str] | None = None
) -> tuple[Any, str]:
    """Read an audiocraft checkpoint into ``MusicgenForConditionalGeneration``, float32 on the CPU.

    Returns:
        The model in evaluation mode, and the name of its text encoder.

    Raises:
        ValueError, OSError: as :func:`export_audiocraft`.
    """
    from transformers import (
        MusicgenConfig,
        MusicgenForConditionalGeneration,
        T5EncoderModel,
    )

    path = Path(folder) / LANGUAGE_MODEL_FILE
    state, settings = read_audiocraft(path)
    codec = load_audiocraft_codec(Path(folder) / CODEC_FILE)
    decoder = _decoder_config(state, settings, path)
    if decoder.num_codebooks > codec.config.num_quantizers:
        raise ValueError(
            f"{path} predicts {decoder.num_codebooks} codebooks, and its codec has "
            f"{codec.config.num_quantizers}; copy both files of one checkpoint"
        )
    name = str(text_encoder or _setting(settings, "conditioners.description.t5.name", path))
    text = T5EncoderModel.from_pretrained(name, dtype=torch.float32)
    config = MusicgenConfig(
        text_encoder=text.config.to_dict(),
        audio_encoder=codec.config.to_dict(),
        decoder=decoder.to_dict(),
    )
    model = MusicgenForConditionalGeneration(config)
    model.text_encoder, model.audio_encoder = text, codec
    others = ("text_encoder.", "audio_encoder.", "decoder.model.decoder.embed_positions.")
    _fill(model, rename_language_model(state), path, others)
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = decoder.pad_token_id
    generation.bos_token_id = decoder.bos_token_id
    generation.do_sample, generation.top_k = True, 250
    guidance = _setting(settings, "classifier_free_guidance.inference_coef", path, 3.0)
    generation.guidance_scale = float(guidance)
    generation.max_length = 10 * codec.config.frame_rate + decoder.num_codebooks  # 10 s
    return model.eval(), name


def load_audiocraft_codec(path: str | os.PathLike[str]) -> Any:
    """Read the EnCodec of an audiocraft checkpoint into ``EncodecModel``.

    Raises:
        ValueError, OSError: as :func:`export_audiocraft`.
    """
    from transformers import EncodecConfig, EncodecModel

    state, settings = read_audiocraft(path)
    renamed = rename_keys(state, CODEC_KEYS)
    books = [
        key for key in renamed if re.fullmatch(r"quantizer\.layers\.\d+\.codebook\.embed", key)
    ]
    first = renamed.get("encoder.layers.0.conv.parametrizations.weight.original1")
    if not books or first is None:
        raise ValueError(f"{path} holds no EnCodec with weight norm, expected audiocraft's codec")
    upsampling = r"decoder\.model\.\d+\.convtr\.convtr\.weight_v"
    kernels = sorted(
        (int(key.split(".")[2]), tensor.shape[-1])
        for key, tensor in state.items()
        if re.fullmatch(upsampling, key)
    )
    ratios = [kernel // 2 for _, kernel in kernels]
    rate = int(_setting(settings, "sample_rate", path))
    size, width = renamed[books[0]].shape
    frame_rate = ceil(rate / prod(ratios))
    last = max(int(key.split(".")[2]) for key in renamed if key.startswith("encoder.layers."))
    last_key = f"encoder.layers.{last}.conv.parametrizations.weight.original1"
    codec = EncodecModel(
        EncodecConfig(
            sampling_rate=rate,
            audio_channels=first.shape[1],
            num_filters=first.shape[0],
            kernel_size=first.shape[-1],
            last_kernel_size=renamed[last_key].shape[-1],
            hidden_size=renamed[last_key].shape[0],
            codebook_size=size,
            codebook_dim=width,
            upsampling_ratios=ratios,
            target_bandwidths=[len(books) * frame_rate * ceil(log2(size)) / 1000],
            num_lstm_layers=sum(
                bool(re.fullmatch(r"encoder\.layers\.\d+\.lstm\.bias_ih_l\d+", key))
                for key in renamed
            ),
            use_conv_shortcut=any(".shortcut." in key for key in renamed),
            use_causal_conv=bool(_setting(settings, "encodec.causal", path)),
            normalize=bool(_setting(settings, "encodec.renormalize", path, False)),
            pad_mode=str(_setting(settings, "seanet.pad_mode", path)),
            num_residual_layers=int(_setting(settings, "seanet.n_residual_layers", path, 1)),
            dilation_growth_rate=int(_setting(settings, "seanet.dilation_base", path, 2)),
            compress=int(_setting(settings, "seanet.compress", path, 2)),
        )
    )
    _fill(codec, renamed, path)
    return codec.eval()


def read_audiocraft(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read one file of audiocraft without running pickled code: its tensors and its settings.

    Raises:
        ValueError: for a file of another kind, or one that needs pickled code.
        OSError: if it cannot be opened.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged or holds more than tensors and plain containers, expected "
            "audiocraft's exported file; if you trust it, save its best_state and the YAML text of "
            "its xp.cfg on their own first"
        ) from error
    if isinstance(content, dict) and "pretrained" in content:
        raise ValueError(
            f"{path} only names another codec, {content['pretrained']}: expected its weights; copy "
            f"the {CODEC_FILE} of that codec here"
        )
    state = content.get("best_state") if isinstance(content, dict) else None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    text = content.get("xp.cfg") if isinstance(content, dict) else None
    if (
        not isinstance(state, dict)
        or not all(isinstance(value, Tensor) for value in state.values())
        or not isinstance(text, str)
    ):
        raise ValueError(
            f"{path} is no checkpoint of audiocraft, expected best_state with tensors and xp.cfg "
            "with YAML; copy both files of the checkpoint again"
        )
    try:
        settings = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"xp.cfg in {path} is not YAML; download the file again") from error
    if not isinstance(settings, dict):
        raise ValueError(f"xp.cfg in {path} holds no settings; download the file again")
    return dict(state), settings


def rename_keys(state: Mapping[str, Tensor], table: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename all tensors by a table of patterns, which are applied one after another."""
    renamed = {}
    for key, tensor in state.items():
        for pattern, replacement in table:
            key = re.sub(pattern, replacement, key)
        renamed[key] = tensor
    return renamed


def rename_language_model(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of audiocraft's language model, and split its stacked projections."""
    renamed = {}
    for key, tensor in rename_keys(state, LANGUAGE_MODEL_KEYS).items():
        stem, found, kind = key.partition(".in_proj_")
        if found:
            for part, piece in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"{stem}.{part}_proj.{kind}"] = piece
        else:
            renamed[key] = tensor
    return renamed


def _decoder_config(state: Mapping[str, Tensor], settings: dict[str, Any], path: Path) -> Any:
    """The sizes of the language model; ValueError if the Musicgen classes cannot hold it."""
    from transformers import MusicgenDecoderConfig

    num_codebooks = sum(bool(re.fullmatch(r"emb\.\d+\.weight", key)) for key in state)
    if not num_codebooks or "transformer.layers.0.linear1.weight" not in state:
        raise ValueError(
            f"{path} holds no language model of audiocraft (emb.0, transformer.layers)"
        )
    pattern = _setting(settings, "codebooks_pattern.modeling", path, "delay")
    delays = _setting(settings, "codebooks_pattern.delay.delays", path, list(range(num_codebooks)))
    if pattern != "delay" or list(delays) != list(range(num_codebooks)):
        raise ValueError(
            f"{path} uses the codebook pattern {pattern} with delays {list(delays)}: the Musicgen "
            f"classes only have delays of {list(range(num_codebooks))}"
        )
    vocabulary, hidden = state["linears.0.weight"].shape
    return MusicgenDecoderConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        ffn_dim=state["transformer.layers.0.linear1.weight"].shape[0],
        num_hidden_layers=1
        + max(int(k.split(".")[2]) for k in state if k.startswith("transformer.l")),
        num_attention_heads=int(_setting(settings, "transformer_lm.num_heads", path)),
        num_codebooks=num_codebooks,
        pad_token_id=vocabulary,
        bos_token_id=vocabulary,
    )


def _setting(settings: dict[str, Any], name: str, path: Any, default: Any = None) -> Any:
    """A value of xp.cfg by its dotted name; a value ``${other.name}`` stands for another one."""
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, str) and (other := re.fullmatch(r"\$\{([\w.]+)\}", value)):
        value = None if other[1] == name else _setting(settings, other[1], path, default)
    if value is None and default is None:
        raise ValueError(f"xp.cfg in {path} has no {name}; download the file again")
    return default if value is None else value


def _fill(
    module: nn.Module, state: dict[str, Tensor], path: Any, others: tuple[str, ...] = ()
) -> None:
    """Load tensors into a module whose every tensor must be given, but those of other files."""
    own = {
        key: t for key, t in module.state_dict().items() if not key.startswith(others or ("\0",))
    }
    problems = [f"{key} missing" for key in own if key not in state]
    problems += [f"{key} unknown" for key in state if key not in own]
    problems += [
        f"{key} {list(state[key].shape)} instead of {list(t.shape)}"
        for key, t in own.items()
        if key in state and state[key].shape != t.shape
    ]
    if problems:
        raise ValueError(
            f"{path} does not fit {type(module).__name__} of transformers: {problems[0]}"
            f"{f' and {len(problems) - 1} more' if len(problems) > 1 else ''}; expected an "
            "AudioGen or MusicGen conditioned on text alone, and the T5 that it was trained with"
        )
    module.load_state_dict({key: t.float() for key, t in state.items()}, strict=False)


__all__ = [
    "CODEC_KEYS",
    "LANGUAGE_MODEL_KEYS",
    "export_audiocraft",
    "is_audiocraft",
    "load_audiocraft",
    "load_audiocraft_codec",
    "read_audiocraft",
]

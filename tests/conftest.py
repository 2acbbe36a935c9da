"""Settings and fixtures of all tests: offline, few threads, tiny models of every track pattern."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # several workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import copy
import gc
import json
import math
import warnings
from functools import cache

import pytest
import torch

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Run tests that use the network first and files of quick tests last.

    So no worker waits at the end for a slow test of another one.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.get_closest_marker("network") is None, item.path not in slow))


@pytest.fixture(scope="module", autouse=True)
def short_garbage_collections():
    """Take the objects that exist before a file's tests out of the garbage collections.

    A trainer collects garbage after every run, which takes half a second with all imported modules.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of event loops that gradio leaves open
        gc.collect()
    gc.freeze()


TINY_CODEBOOKS = 4
TINY_SIZES = {
    "text_encoder": {
        "model_type": "t5",
        "vocab_size": 64,
        "d_model": 20,
        "d_kv": 8,
        "d_ff": 24,
        "num_layers": 1,
        "num_heads": 2,
        "feed_forward_proj": "gated-gelu",
        "relative_attention_num_buckets": 8,
        "relative_attention_max_distance": 16,
        "dropout_rate": 0.0,
    },
    "lyrics_encoder": {
        "vocab_size": 48,
        "output_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "num_hidden_layers": 2,
        "dropout": 0.0,
        "null_ids": [1, 2, 0],
    },
    "voice_encoder": {
        "model_type": "hubert",
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 12,
        "conv_dim": [4] * 7,
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_bias": False,
        "feat_extract_norm": "group",
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
        "hidden_dropout": 0.0,
        "activation_dropout": 0.0,
        "attention_dropout": 0.0,
        "layerdrop": 0.0,
    },
    "audio_encoder": {
        "model_type": "songgen_xcodec",
        "target_bandwidths": [0.5, 1, 1.5, 2],
        "acoustic_model_config": {
            "model_type": "dac",
            "encoder_hidden_size": 2,
            "downsampling_ratios": [8, 5, 4, 2],
            "decoder_hidden_size": 32,
            "upsampling_ratios": [8, 5, 4, 2],
            "hidden_size": 4,
        },
        "semantic_model_config": {
            "model_type": "hubert",
            "hidden_size": 4,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 8,
            "conv_dim": [4] * 7,
            "conv_stride": [5, 2, 2, 2, 2, 2, 2],
            "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        },
    },
    "decoder": {
        "num_codebooks": TINY_CODEBOOKS,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "ffn_dim": 32,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "dropout": 0.0,
    },
}


def randomize(model: torch.nn.Module, *, seed: int) -> torch.nn.Module:
    """Set random weights of unit gain, so that outputs differ clearly between ids."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if (
                not tensor.is_floating_point()
                or "embed_positions" in name
                or "parametrizations" in name
            ):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith(("cluster_size", "inited")):
                continue
            if "alpha" in name:
                tensor.copy_(1 + 0.1 * noise)
            elif tensor.dim() == 1:
                tensor.copy_(1 + 0.1 * noise if name.endswith("weight") else 0.05 * noise)
            elif "embed" in name or "shared" in name:
                tensor.copy_(noise)
            elif "lm_heads" in name:
                tensor.copy_(noise / math.sqrt(tensor[0].numel()) * 3)
            else:
                tensor.copy_(noise / math.sqrt(tensor[0].numel()))
    return model


def tiny_config(pattern: str, **overrides):
    """Return a SongGenConfig; an override is a dict for a sub-config, or a field of the top."""
    from songgen_hf.modeling.configuration_songgen import SongGenConfig

    sections = copy.deepcopy(TINY_SIZES)
    sections["decoder"]["track_pattern"] = pattern
    fields = {}
    for name, value in overrides.items():
        if name in sections:
            sections[name].update(value)
        else:
            fields[name] = value
    return SongGenConfig(**sections, **fields)


@cache
def _cached_model(pattern: str, seed: int, overrides: str):
    from transformers import GenerationConfig

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

    config = tiny_config(pattern, **json.loads(overrides))
    config._attn_implementation = "eager"
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # for the weights that randomize() leaves alone
        model = randomize(SongGenForConditionalGeneration(config), seed=seed).eval()
    ids = {
        name: getattr(config.decoder, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id")
    }
    model.generation_config = GenerationConfig(
        **ids, decoder_start_token_id=config.decoder_start_token_id, max_length=200, do_sample=False
    )
    return model


@pytest.fixture(scope="session")
def tiny_model():
    """Factory ``tiny_model(pattern, seed=0, **overrides)`` of shared models that stay unchanged."""

    def build(pattern: str = "mixed", *, seed: int = 0, **overrides):
        return _cached_model(pattern, seed, json.dumps(overrides, sort_keys=True))

    return build


@pytest.fixture(scope="session")
def tiny_inputs():
    """Factory of batches of conditions of unequal lengths, the last of which has no voice."""

    def build(
        batch_size: int = 2, *, seed: int = 0, voice: bool = True, lyrics: bool = True
    ) -> dict:
        generator = torch.Generator().manual_seed(seed)

        def ids(longest: int, vocab_size: int):
            lengths = [longest - 3 * (row % 2) for row in range(batch_size)]
            mask = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
            values = torch.randint(3, vocab_size, (batch_size, longest), generator=generator)
            return values * mask, mask.long()

        batch = {}
        batch["input_ids"], batch["attention_mask"] = ids(7, 64)
        if lyrics:
            batch["lyrics_ids"], batch["lyrics_attention_mask"] = ids(9, 48)
        if voice:
            samples = 3200
            values = torch.randn(batch_size, samples, generator=generator)
            mask = torch.ones(batch_size, samples, dtype=torch.long)
            mask[0, samples - 800 :] = 0
            if batch_size > 1:
                mask[-1] = 0
            batch["voice_values"], batch["voice_attention_mask"] = values * mask, mask
        return batch

    return build

"""Tiny codecs and options for the tests of codec training."""

import json

import torch

from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.training.codec.options import CodecTrainingOptions, TeacherTrainingOptions

TINY_CODEC = {
    "acoustic_model_config": {
        "encoder_hidden_size": 4,
        "decoder_hidden_size": 32,
        "hidden_size": 8,
    },
    "semantic_model_config": {
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 20,
        "conv_dim": [6] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 3,
    },
    "codebook_size": 16,
    "target_bandwidths": [0.2, 0.4, 0.8],
}  # 4 codebooks at 50 frames a second


def tiny_config():
    return XCodecConfig(**TINY_CODEC)


def run_options(sounds, out, **values):
    """Options of a run of a few seconds."""
    return {
        "data": str(sounds),
        "out": str(out),
        "preset": "tiny",
        "steps": 4,
        "batch_size": 2,
        "crop_frames": 16,
        "kmeans_crops": 4,
        "log_every": 1,
        "evaluation_crops": 2,
        **values,
    }


def codec_options(sounds, out, **changes):
    """Options of a short run that trains a codec."""
    values = {
        "codebook_counts": [1, 2, 4],
        "kmeans_iterations": 3,
        "semantic_weight": 1.0,
        "discriminator_hops": [64],
        "discriminator_channels": [32],
        "discriminator_mels": 16,
        "learning_rate": 1e-3,
    }
    return CodecTrainingOptions(**run_options(sounds, out, **values | changes))


def teacher_options(sounds, out, **changes):
    """Options of a short run that trains a teacher."""
    values = {"num_clusters": 8, "num_mels": 20, "warmup_steps": 0, "mask_frames": 4}
    return TeacherTrainingOptions(**run_options(sounds, out, **values | changes))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def logged(out):
    """The lines of the log of a run."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]

"""Miniature codecs of transformers with random weights and codebooks that are in use."""

import torch
from transformers import DacConfig, EncodecConfig, MimiConfig

from songgen_hf.modeling.codec_adapter import CodecAdapter, new_codec

CODEC_KINDS = ("encodec", "dac", "mimi")


def mini_codec_config(kind):
    """The configuration of a miniature codec: 4 codebooks of 16 codes, frames of 32 to 80."""
    if kind == "encodec":
        return EncodecConfig(
            target_bandwidths=[0.4, 0.8, 1.6],  # 100 frames of 4 bits a second
            sampling_rate=8000,
            hidden_size=8,
            num_filters=2,
            upsampling_ratios=[5, 4, 4],
            codebook_size=16,
            num_lstm_layers=1,
        )
    if kind == "dac":
        return DacConfig(
            encoder_hidden_size=4,
            decoder_hidden_size=16,
            downsampling_ratios=[4, 8],
            n_codebooks=4,
            codebook_size=16,
            codebook_dim=4,
            sampling_rate=16000,
        )
    return MimiConfig(
        sampling_rate=8000,
        hidden_size=16,
        num_filters=2,
        upsampling_ratios=[5, 4],
        codebook_size=16,
        codebook_dim=8,
        vector_quantization_hidden_dimension=8,
        num_quantizers=4,
        num_semantic_quantizers=1,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        intermediate_size=16,
        upsample_groups=16,
        sliding_window=16,
    )


def mini_codec(kind, seed=0):
    """A miniature codec; codebooks, which transformers fills with zeros, have vectors."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = new_codec(mini_codec_config(kind)).eval()
        for name, values in model.named_buffers():
            if name.endswith(("codebook.embed", "codebook.embed_sum")):
                values.normal_()
    return CodecAdapter(model)

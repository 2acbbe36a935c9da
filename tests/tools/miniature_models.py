"""Miniature checkpoints of the classes that preparation and evaluation load by name.

Speech recognition, captioning, CLAP and other models that hear audio are classes of transformers
with tiny sizes, saved to folders, so that the code that loads models of the Hub loads them.
"""

import json

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    ASTConfig,
    ASTFeatureExtractor,
    ASTForAudioClassification,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapProcessor,
    GenerationConfig,
    HubertConfig,
    HubertModel,
    PreTrainedTokenizerFast,
    Qwen2AudioConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2AudioProcessor,
    Wav2Vec2FeatureExtractor,
    WavLMConfig,
    WavLMForXVector,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

CAPTION_WORDS = (
    "a song with guitar and drums calm bright slow fast voice piano music jazz rock . ,".split()
)
_SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>",
    "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
_SUNG = ("the", "river", "rivers", "sings", "der", "fluss", "singt")


def seeded(kind, config):
    """A model with random weights of seed 0; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config)


def write_whisper(folder, words, language="en", *, multilingual=True, seconds=3):
    """Write a Whisper that hears the same words in every sound of up to ``seconds``.

    One that is not multilingual takes neither a language nor a task. Its layers add nothing to the
    embeddings, so the embedding of a position decides on the token.
    """
    names = [*(f"Ġ{word}" for word in _SUNG), *_SPECIAL]
    names += [f"<|{index * 0.02:.2f}|>" for index in range(1501)]
    ids = {name: index for index, name in enumerate(names)}
    tokenizer = WhisperTokenizer(
        vocab={f"Ġ{word}": ids[f"Ġ{word}"] for word in _SUNG},
        merges=[],
        pad_token="<|endoftext|>",
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(_SPECIAL)})
    tokenizer.add_tokens(names[len(_SUNG) + len(_SPECIAL) :])
    assert [tokenizer.convert_tokens_to_ids(name) for name in names] == list(range(len(names)))
    config = WhisperConfig(
        vocab_size=len(names), num_mel_bins=8, d_model=64, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8,
        max_target_positions=40, max_source_positions=50 * seconds,
        pad_token_id=ids["<|endoftext|>"], bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|endoftext|>"], decoder_start_token_id=ids["<|startoftranscript|>"],
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = seeded(WhisperForConditionalGeneration, config)
    said = [f"<|{language}|>", None, "<|0.00|>", *(f"Ġ{word}" for word in words), "<|1.60|>"]
    said = said if multilingual else said[2:]
    decoder = model.model.decoder
    with torch.no_grad():
        layer = decoder.layers[0]
        for part in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
            part.weight.zero_()
            part.bias.zero_()
        drawn = torch.randn(len(names), 64, generator=torch.Generator().manual_seed(0))
        embeddings = torch.nn.functional.normalize(drawn, dim=1)
        decoder.embed_tokens.weight.copy_(embeddings)
        decoder.layer_norm.weight.mul_(6)  # so that the most probable token is certain
        for place in range(config.max_target_positions):
            name = said[place] if place < len(said) else "<|endoftext|>"
            decoder.embed_positions.weight[place] = 20 * embeddings[ids[name or "<|endoftext|>"]]
    languages = {
        "lang_to_id": {name: ids[name] for name in ("<|en|>", "<|de|>")},
        "task_to_id": {name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")},
    }
    model.generation_config = GenerationConfig(
        **{
            name: getattr(config, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")
        },
        decoder_start_token_id=config.decoder_start_token_id,
        **(languages if multilingual else {}),
        no_timestamps_token_id=ids["<|notimestamps|>"],
        is_multilingual=multilingual,
        alignment_heads=[[0, 0]],
        max_initial_timestamp_index=50,
        max_length=40,
    )
    model.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(8, chunk_length=seconds)
    WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    return str(folder)


def caption_tokenizer(*special: str) -> PreTrainedTokenizerFast:
    """A tokenizer of the words of captions."""
    names = ["<pad>", "<s>", "</s>", "<unk>", *special]
    vocabulary = {word: index for index, word in enumerate([*names, *CAPTION_WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", additional_special_tokens=list(special),
    )  # fmt: skip


def write_clap(folder):
    """Write a CLAP model with windows of one second."""
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = ClapConfig(
        text_config=small
        | {"intermediate_size": 16, "vocab_size": 40, "projection_dim": 8, "pad_token_id": 0}
        | {"max_position_embeddings": 40},
        audio_config={
            "spec_size": 64, "num_mel_bins": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
            "patch_embeds_hidden_size": 8, "hidden_size": 16, "window_size": 4, "projection_dim": 8,
            "patch_size": 4, "patch_stride": [4, 4], "aff_block_r": 2, "enable_fusion": False,
        },
        projection_dim=8,
    )  # fmt: skip
    seeded(ClapModel, config).save_pretrained(folder)
    extractor = ClapFeatureExtractor(
        feature_size=16, max_length_s=1, fft_window_size=1024, truncation="rand_trunc"
    )
    ClapProcessor(extractor, caption_tokenizer()).save_pretrained(folder)
    return str(folder)


_SMALL_SPEECH = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
    "conv_dim": [8] * 7, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def write_hubert(folder, *, mert=False, **config):
    """Write a HuBERT, perhaps with the configuration that MERT has."""
    model = seeded(HubertModel, HubertConfig(**_SMALL_SPEECH))
    model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    if mert:
        path = folder / "config.json"
        facts = json.loads(path.read_text()) | {
            "model_type": "mert_model", "architectures": ["MERTModel"],
            "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
            "feature_extractor_cqt": False, "deepnorm": False, "attention_relax": -1.0, **config,
        }  # fmt: skip
        path.write_text(json.dumps(facts))
    return str(folder)


def write_xvectors(folder):
    """Write a WavLM for x-vectors."""
    sizes = {"tdnn_dim": [16] * 5, "xvector_output_dim": 8, "classifier_proj_size": 8}
    seeded(WavLMForXVector, WavLMConfig(**_SMALL_SPEECH, **sizes)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return str(folder)


RELEASE_NAMES = (
    ("masked_spec_embed", "mask_emb"),
    ("feature_projection.layer_norm.", "layer_norm."),
    ("feature_projection.projection.", "post_extract_proj."),
    ("conv.weight", "0.weight"),
    ("conv_layers.0.layer_norm.", "conv_layers.0.2."),
    ("pos_conv_embed.conv.parametrizations.weight.original0", "pos_conv.0.weight_g"),
    ("pos_conv_embed.conv.parametrizations.weight.original1", "pos_conv.0.weight_v"),
    ("pos_conv_embed.conv.bias", "pos_conv.0.bias"),
    ("attention.gru_rel_pos_linear.", "self_attn.grep_linear."),
    ("attention.gru_rel_pos_const", "self_attn.grep_a"),
    ("attention.rel_attn_embed.", "self_attn.relative_attention_bias."),
    (".attention.", ".self_attn."),
    ("feed_forward.intermediate_dense.", "fc1."),
    ("feed_forward.output_dense.", "fc2."),
)
"""Names of WavLM in transformers, and in the release of WavLM, in the order of replacement."""


def write_aesthetics(folder):
    """Write a miniature of Audiobox Aesthetics with the names of its release."""
    folder.mkdir(parents=True, exist_ok=True)
    config = WavLMConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        conv_dim=[8] * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
        num_buckets=16,
    )  # fmt: skip
    weights = {}
    for name, one in seeded(WavLMModel, config).state_dict().items():
        if name.startswith("encoder.layers.") and ".attention" not in name:
            name = name.replace("layers.0.layer_norm.", "layers.0.self_attn_layer_norm.")
            name = name.replace("layers.1.layer_norm.", "layers.1.self_attn_layer_norm.")
        for ours, theirs in RELEASE_NAMES:
            name = name.replace(ours, theirs)
        weights[f"wavlm_model.{name}"] = one.contiguous()
    random = torch.Generator().manual_seed(1)
    transforms = {}
    for place, axis in enumerate(("CE", "CU", "PC", "PQ")):
        weights[f"layer_weights.{axis}"] = torch.randn(3, generator=random)
        # Places of a sequence: a linear layer, layer norm, GELU and dropout, then the last layer.
        weights[f"proj_layer.{axis}.0.weight"] = torch.randn(16, 16, generator=random)
        weights[f"proj_layer.{axis}.1.weight"] = torch.ones(16)
        weights[f"proj_layer.{axis}.4.weight"] = torch.randn(1, 16, generator=random)
        for layer, size in ((0, 16), (1, 16), (4, 1)):
            weights[f"proj_layer.{axis}.{layer}.bias"] = torch.zeros(size)
        transforms[axis] = {"mean": 5.0 + place, "std": 1.0 + place}
    facts = {
        "proj_num_layer": 2, "proj_ln": True, "proj_dropout": 0.1, "output_dim": 1,
        "nth_layer": 3, "normalize_embed": True, "target_transform": transforms,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(facts))
    save_file(weights, folder / "model.safetensors")
    return str(folder)


def write_resemblyzer(path):
    """Write a miniature of Resemblyzer's voice encoder as its package does."""
    lstm, linear = (
        seeded(lambda sizes: torch.nn.LSTM(*sizes), (40, 12, 3)),
        seeded(lambda sizes: torch.nn.Linear(*sizes), (12, 8)),
    )
    with torch.no_grad():
        linear.bias.add_(0.3)  # so that few outputs are cut by the ReLU
    parts = {"lstm": lstm, "linear": linear}
    state = {
        f"{part}.{key}": one for part in parts for key, one in parts[part].state_dict().items()
    }
    state |= {"similarity_weight": torch.tensor([10.0]), "similarity_bias": torch.tensor([-5.0])}
    torch.save({"step": 1, "model_state": state}, path)
    return str(path)


def write_ast(folder, tags=6):
    """Write an AST that hears a second at once."""
    config = ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_length=100, num_mel_bins=32, num_labels=tags,
    )  # fmt: skip
    seeded(ASTForAudioClassification, config).save_pretrained(folder)
    ASTFeatureExtractor(num_mel_bins=32, max_length=100).save_pretrained(folder)
    return str(folder)


def write_qwen2_audio(folder):
    """Write a Qwen2-Audio with random weights."""
    words = caption_tokenizer(
        "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|im_start|>", "<|im_end|>"
    )
    sizes = {"encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
    config = Qwen2AudioConfig(
        audio_config={**sizes, "d_model": 16, "num_mel_bins": 16, "max_source_positions": 1500},
        text_config={
            "model_type": "qwen2", "hidden_size": 16, "intermediate_size": 16,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2,
            "vocab_size": len(words), "max_position_embeddings": 2048,
        },
        audio_token_index=words.convert_tokens_to_ids("<|AUDIO|>"),
    )  # fmt: skip
    model = seeded(Qwen2AudioForConditionalGeneration, config)
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 2
    model.save_pretrained(folder)
    Qwen2AudioProcessor(WhisperFeatureExtractor(feature_size=16), words).save_pretrained(folder)
    return str(folder)


def write_whisper_captioner(folder):
    """Write a Whisper with random weights that knows the words of captions."""
    words = caption_tokenizer()
    config = WhisperConfig(
        vocab_size=len(words), num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_target_positions=160, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[0, 1, 3],
        begin_suppress_tokens=None,
    )  # fmt: skip
    model = seeded(WhisperForConditionalGeneration, config)
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(feature_size=16), words).save_pretrained(folder)
    return str(folder)


class LoudnessDetector(torch.nn.Module):
    """A detector with the interface of silero: it finds a voice where it is louder than a bound."""

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.calls = 0

    @torch.jit.export
    def reset_states(self) -> None:
        self.calls = 0

    def forward(self, samples: torch.Tensor, rate: int) -> torch.Tensor:
        assert samples.shape == (1, 512) and rate == 16000
        self.calls += 1
        return (samples.abs().amax(dim=1, keepdim=True) > self.bound).float()


def write_silero(folder, bound):
    """Write a package ``silero_vad`` with a :class:`LoudnessDetector` in the place of its network.

    The package must not be imported: the one that it stands for sets torch's threads.
    """
    package = folder / "silero_vad"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    with pytest.warns(DeprecationWarning):
        torch.jit.script(LoudnessDetector(bound)).save(package / "data" / "silero_vad.jit")

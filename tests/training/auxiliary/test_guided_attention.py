"""Guided attention: the lyrics token sung in each frame, and the loss of the attention to it."""

import math

import pytest
import torch

from songgen_hf.modeling.patterns import IGNORED_LABEL, TRACK_PATTERNS
from songgen_hf.presets import models as presets
from songgen_hf.training.auxiliary.guided_attention import (
    guided_attention_loss,
    labels_of_steps,
    prepended_attention_loss,
    recorded_attention,
    sung_tokens,
    tokens_of_words,
)
from songgen_hf.training.language_model.collator import SongCollator

from ..conftest import TINY_CODEBOOKS, build_tiny

LYRICS = "Oh my,\nstone 2"
WORDS = [
    {"word": "oh", "start": 0.1, "end": 0.3},
    {"word": "my", "start": 0.3, "end": 0.5},
    {"word": "stone", "start": 0.7, "end": 1.2},
    {"word": "two", "start": 1.2, "end": 1.4},
]
PHONEMES = [
    {"symbol": "oʊ", "start": 0.1, "end": 0.3, "word": 0},
    {"symbol": "m", "start": 0.3, "end": 0.34, "word": 1},
    {"symbol": "aɪ", "start": 0.34, "end": 0.5, "word": 1},
    {"symbol": "s", "start": 0.7, "end": 0.8, "word": 2},
    {"symbol": "t", "start": 0.8, "end": 0.84, "word": 2},
    {"symbol": "oʊ", "start": 0.84, "end": 1.1, "word": 2},
    {"symbol": "n", "start": 1.1, "end": 1.2, "word": 2},
]


@pytest.fixture(scope="module")
def processor():
    return presets.build_processor("mini")


def sung_text(processor, lyrics, tokens):
    """The characters sung in the frames as text, - for none."""
    ids = processor(text="", lyrics=lyrics)["lyrics_ids"][0]
    names = processor.lyrics_tokenizer.convert_ids_to_tokens(ids.tolist())
    return "".join("-" if token == IGNORED_LABEL else names[token] for token in tokens.tolist())


def test_every_word_has_the_tokens_of_its_letters(processor):
    words = tokens_of_words(processor, LYRICS)
    ids = processor(text="", lyrics=LYRICS)["lyrics_ids"][0]
    names = processor.lyrics_tokenizer.convert_ids_to_tokens(ids.tolist())

    spelled = ["".join(names[token] for token in tokens) for _, tokens in words]

    assert spelled == ["oh", "my", "stone", "two"]


def test_frames_have_the_letters_in_order_and_long_phonemes_last_longer(processor):
    words = tokens_of_words(processor, LYRICS)

    tokens = sung_tokens(words, WORDS, PHONEMES, 70, 50.0)

    text = sung_text(processor, LYRICS, tokens)
    assert text[:5] == "-----" and set(text[25:35]) == {"-"}
    assert text[5:25] == "ooooohhhhh" + "mm" + "yyyyyyyy"
    assert list(text[35:60]) == sorted(text[35:60], key="stone".index)
    assert set(text[35:60]) == set("stone")
    assert text[60:70] == "tttwwwwooo"  # no phonemes: spread over the word


def test_lyrics_that_differ_from_the_sung_words_give_no_labels(processor):
    words = tokens_of_words(processor, "other words entirely here")

    assert (sung_tokens(words, WORDS, PHONEMES, 70, 50.0) == IGNORED_LABEL).all()


@pytest.mark.slow
@pytest.mark.parametrize("pattern", TRACK_PATTERNS)
def test_a_decoder_step_has_the_label_of_the_frame_that_it_predicts(pattern):
    model, _ = build_tiny(pattern)
    decoder = model.config.decoder
    song = torch.arange(10, 17)
    shape = (decoder.num_tracks, TINY_CODEBOOKS, -1)
    codes = torch.arange(7).expand(shape)
    labels = decoder.pattern.labels([codes], bos_token_id=-1, eos_token_id=-1)[0]  # [L, rows]
    row = TINY_CODEBOOKS if pattern.startswith("parallel") else 0
    frames = labels[:, row].tolist()
    if pattern == "mixed_flat":  # the other codebooks of a frame follow the first one
        frames = labels[::TINY_CODEBOOKS, row].repeat_interleave(TINY_CODEBOOKS).tolist()

    targets = labels_of_steps([song, song[:3]], model.config)

    assert targets.shape == (2, len(labels))
    for step in range(len(labels)):
        frame = frames[step]
        assert targets[0, step] == (song[frame] if frame >= 0 else IGNORED_LABEL)
    assert (targets[1] != IGNORED_LABEL).sum() == 3 * decoder.pattern.stride


def test_the_collator_adds_lyrics_labels_only_when_asked(processor):
    model, processor = build_tiny("mixed")
    song = {
        "codes": torch.zeros(1, TINY_CODEBOOKS, 70, dtype=torch.int64),
        "text": "a song", "lyrics": LYRICS, "language": "en", "voice": None, "voice_start": 0.0,
        "words": WORDS, "phonemes": PHONEMES,
    }  # fmt: skip

    asked = SongCollator(model.config, processor, align_lyrics=True)
    batch = asked([song, song | {"lyrics": None}, song | {"words": None}])

    assert "lyrics_labels" not in SongCollator(model.config, processor)([song])
    assert batch["lyrics_labels"].shape == batch["labels"].shape[:2]
    sung = (batch["lyrics_labels"] != IGNORED_LABEL).sum(dim=1)
    assert sung.tolist() == [55, 0, 0]


def conditions_of(model, processor):
    batch = processor(text=["a song", "a song"], lyrics=[LYRICS, LYRICS])
    ids = torch.randint(0, 16, (2, model.config.decoder.num_rows, 9))
    with recorded_attention(model.decoder.model.layers[:2]) as seen:
        outputs = model(**batch, decoder_input_ids=ids)
    return batch, seen, outputs


def test_the_guided_attention_loss_is_computed_from_the_attention_weights():
    model, processor = build_tiny("mixed")
    model.set_attn_implementation("eager")
    batch, seen, outputs = conditions_of(model, processor)
    targets = torch.full((2, 9), IGNORED_LABEL)
    targets[0, 2], targets[1, 5] = 3, 4
    num_lyrics = batch["lyrics_ids"].shape[1]
    module, states, conditions = seen[1]

    loss, hits = guided_attention_loss(
        module, states, conditions, outputs.encoder_attention_mask, targets, num_lyrics
    )

    _, weights = module(
        states,
        torch.zeros(1, 1, 1, conditions.shape[1]).masked_fill(
            outputs.encoder_attention_mask[:, None, None] == 0, -math.inf
        ),
        None,
        None,
        conditions,
    )
    first = conditions.shape[1] - num_lyrics
    near = [
        weights[0, 0, 2, first + 2 : first + 5].sum(),
        weights[1, 0, 5, first + 3 : first + 6].sum(),
    ]
    expected = -sum(part.log() for part in near) / 2
    torch.testing.assert_close(loss, expected)
    assert 0 <= hits <= 1


def test_prepended_lyrics_are_guided_in_the_self_attention():
    model, processor = build_tiny("mixed")
    model.config.lyrics_cross_attention = False
    model.set_attn_implementation("eager")
    batch = dict(processor(text=["a song", "a song"], lyrics=[LYRICS, "la"]))
    ids = torch.randint(0, 16, (2, model.config.decoder.num_rows, 9))
    with recorded_attention(model.decoder.model.layers[:1], name="self_attn") as seen:
        outputs = model(**batch, decoder_input_ids=ids, output_attentions=True)
    targets = torch.full((2, 9), IGNORED_LABEL)
    targets[0, 2], targets[1, 5] = 3, 1
    mask = batch["lyrics_attention_mask"]
    module, states, conditions = seen[0]

    loss, hits = prepended_attention_loss(module, states, mask, targets)

    assert conditions is None
    weights = outputs.decoder_attentions[0][:, 0, mask.shape[1] :]  # [B, L, P + L] of one head
    near = [weights[0, 2, 2:5].sum(), weights[1, 5, 0:3].sum()]
    torch.testing.assert_close(loss, -sum(part.log() for part in near) / 2)
    assert 0 <= hits <= 1


@pytest.mark.slow
def test_minimizing_the_loss_moves_attention_to_the_sung_token():
    torch.manual_seed(0)
    model, processor = build_tiny("mixed", dropout=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    targets = torch.arange(9).expand(2, 9) // 2 + 2
    for _ in range(150):
        batch, seen, outputs = conditions_of(model, processor)
        loss, hits = guided_attention_loss(
            *seen[1], outputs.encoder_attention_mask, targets, batch["lyrics_ids"].shape[1]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert loss < 0.3 and hits > 0.6


def test_recording_attention_removes_its_hooks():
    model, processor = build_tiny("mixed")
    _, seen, _ = conditions_of(model, processor)
    number = len(seen)

    model(**processor(text="a song"), decoder_input_ids=torch.zeros(1, TINY_CODEBOOKS, 2).long())

    assert number == len(seen) == 2

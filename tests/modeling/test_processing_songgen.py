"""Tests of the processor's outputs for one song and for batches."""

import io

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoProcessor

from songgen_hf.modeling.processing_songgen import SongGenProcessor
from songgen_hf.modeling.tokenization_songgen import (
    lyrics_tokenizer_from_vocab,
    wrap_lyrics_tokenizer,
)
from songgen_hf.presets.tokenizers import build_mini_processor

TEXTS = ["a calm piano ballad, female voice", "Fast rock", None]
LYRICS = ["Hello world\nIt's 5", None, "[verse]\nOh, la la la"]


@pytest.fixture(scope="module")
def processor() -> SongGenProcessor:
    return build_mini_processor()


def noise(seconds: float, rate: int, seed: int = 0, channels: int | None = None) -> np.ndarray:
    generator = np.random.default_rng(seed)
    shape = round(seconds * rate) if channels is None else (channels, round(seconds * rate))
    return generator.uniform(-0.5, 0.5, shape).astype(np.float32)


def valid(batch, name: str, row: int) -> list:
    mask = batch["attention_mask" if name == "input_ids" else "lyrics_attention_mask"][row]
    return batch[name][row][mask.bool()].tolist()


def test_one_song_has_every_input_of_the_model(processor):
    batch = processor("a calm song", "Hello", reference_voice=(noise(3, 24000), 24000))

    assert list(batch) == processor.model_input_names
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (1, 4)
    assert batch["lyrics_ids"].shape == batch["lyrics_attention_mask"].shape == (1, 8)
    assert batch["voice_values"].shape == batch["voice_attention_mask"].shape == (1, 72000)
    for name, tensor in batch.items():
        assert tensor.dtype == (torch.float32 if name == "voice_values" else torch.int64)


def test_a_batch_equals_its_songs_one_by_one(processor):
    voices = [(noise(4, 44100, 1, channels=2), 44100), None, (noise(1.5, 16000, 2), 16000)]

    batch = processor(TEXTS, LYRICS, reference_voice=voices)

    for row, (text, lyrics, voice) in enumerate(zip(TEXTS, LYRICS, voices, strict=True)):
        single = processor(text, lyrics, reference_voice=voice)
        assert valid(batch, "input_ids", row) == single["input_ids"][0].tolist()
        assert valid(batch, "lyrics_ids", row) == single["lyrics_ids"][0].tolist()
        assert torch.equal(batch["voice_values"][row], single["voice_values"][0])
        assert torch.equal(batch["voice_attention_mask"][row], single["voice_attention_mask"][0])


def test_padding_follows_the_content_and_holds_the_pad_id(processor):
    batch = processor(TEXTS, LYRICS)

    for ids, mask, tokenizer in (
        (batch["input_ids"], batch["attention_mask"], processor.tokenizer),
        (batch["lyrics_ids"], batch["lyrics_attention_mask"], processor.lyrics_tokenizer),
    ):
        assert (mask.diff(dim=1) <= 0).all() and (mask[:, 0] == 1).all()
        assert (ids[mask == 0] == tokenizer.pad_token_id).all()


def test_missing_inputs_are_the_ids_of_empty_strings_and_a_silent_masked_voice(processor):
    batch = processor()
    lyrics_tokenizer = processor.lyrics_tokenizer

    assert batch["input_ids"].tolist() == [processor.tokenizer("")["input_ids"]]
    english = lyrics_tokenizer.convert_tokens_to_ids("[en]")
    expected = [lyrics_tokenizer.bos_token_id, english, lyrics_tokenizer.eos_token_id]
    assert batch["lyrics_ids"].tolist() == [expected]
    assert not batch["voice_values"].any() and not batch["voice_attention_mask"].any()
    for name in ("input_ids", "lyrics_ids"):
        assert torch.equal(batch[name], processor("", " \n")[name])


def test_a_single_value_is_shared_by_the_songs_of_a_batch(processor):
    voice = (noise(3, 24000), 24000)
    separate = processor(["calm"] * 3, LYRICS, reference_voice=[voice] * 3, language=["en"] * 3)

    shared = processor("calm", LYRICS, reference_voice=voice)

    for name, tensor in separate.items():
        assert torch.equal(shared[name], tensor), name


def test_one_file_object_serves_a_whole_batch(processor):
    file = io.BytesIO()
    soundfile.write(file, noise(3, 24000), 24000, format="WAV")
    file.seek(0)

    batch = processor(["calm", "fast"], reference_voice=file)

    assert torch.equal(batch["voice_values"][0], batch["voice_values"][1])


def test_the_language_of_each_song_has_its_own_tag(processor):
    batch = processor(lyrics=["la", "la"], language=["en", "fr-FR"])

    decoded = processor.batch_decode_lyrics(batch["lyrics_ids"])

    assert decoded == ["[START][en]la", "[START][fr]la"]


def test_decoded_lyrics_are_the_normalized_lyrics(processor):
    ids = processor(lyrics=["Hello  World\n3 times", None])["lyrics_ids"]

    assert processor.batch_decode_lyrics(ids, skip_special_tokens=True) == [
        "hello world.three times",
        "",
    ]
    assert processor.decode_lyrics(ids[0].tolist()) == "[START][en]hello world.three times"


def test_control_characters_become_unknown_tokens_not_errors(processor):
    ids = processor(text="\x00\x1b calm", lyrics="la\x00\x07la")["lyrics_ids"]

    assert processor.decode_lyrics(ids[0]) == "[START][en]la[UNK][UNK]la"


@pytest.mark.parametrize("rate", [8000, 24000, 44100])
@pytest.mark.parametrize("channels", [None, 2])
def test_a_voice_of_any_rate_fills_the_three_seconds(processor, rate, channels):
    voice = {"array": noise(5, rate, channels=channels), "sampling_rate": rate}

    batch = processor(reference_voice=voice)

    assert batch["voice_values"].shape == (1, 72000)
    assert batch["voice_attention_mask"].sum() == 72000
    assert batch["voice_values"].mean().abs() < 1e-5
    assert abs(batch["voice_values"].std() - 1) < 1e-3


def test_a_short_voice_is_normalized_over_its_own_length(processor):
    batch = processor(reference_voice=(noise(1.5, 24000) + 0.3, 24000))

    values, mask = batch["voice_values"][0], batch["voice_attention_mask"][0]
    assert mask.sum() == 36000 and mask[:36000].all()
    assert not values[36000:].any()
    assert values[:36000].mean().abs() < 1e-5 and abs(values[:36000].std() - 1) < 1e-3


def test_the_start_of_the_voice_is_in_seconds_of_the_recording(processor):
    recording = noise(6, 48000, channels=2)

    late = processor(reference_voice=(recording, 48000), voice_start=2.5)

    cut = processor(reference_voice=(recording[:, 120000 : 120000 + 144000], 48000))
    assert torch.equal(late["voice_values"], cut["voice_values"])


def test_a_silent_voice_is_all_zeros(processor):
    assert not processor(reference_voice=(np.zeros(72000, np.float32), 24000))["voice_values"].any()


def test_a_voice_is_read_from_a_file(processor, tmp_path):
    path = tmp_path / "voice.wav"
    recording = noise(4, 44100, channels=2)
    soundfile.write(path, recording.T, 44100, subtype="FLOAT")

    batch = processor(reference_voice=str(path))

    expected = processor(reference_voice=recording, sampling_rate=44100)
    assert torch.equal(batch["voice_values"], expected["voice_values"])


def test_an_audio_prompt_keeps_its_length_at_the_rate_of_the_codec(processor):
    long, short = noise(0.501, 16000, 1), noise(0.25, 16000, 2)

    batch = processor(["a", "b"], audio=[(long, 16000), (short, 16000)])

    assert batch["input_values"].shape == (2, 1, 8016) and batch["padding_mask"].shape == (2, 8016)
    assert batch["padding_mask"].sum(dim=1).tolist() == [8016, 4000]
    np.testing.assert_array_equal(batch["input_values"][0, 0], long)
    np.testing.assert_array_equal(batch["input_values"][1, 0, :4000], short)
    assert not batch["input_values"][1, 0, 4000:].any()


def test_a_dual_track_prompt_is_a_pair_of_accompaniment_and_vocal(processor):
    accompaniment, vocal = noise(0.5, 16000, 1), noise(1, 32000, 2)[:16000]

    batch = processor("a", audio=((accompaniment, 16000), (vocal, 32000)))

    assert batch["input_values"].shape == (1, 2, 8000)
    np.testing.assert_array_equal(batch["input_values"][0, 0], accompaniment)


def test_the_processor_returns_numpy_arrays_on_request(processor):
    for kind in ("np", None):
        batch = processor("a", return_tensors=kind)
        assert all(isinstance(value, np.ndarray) for value in batch.values())


def test_a_processor_loaded_by_its_auto_class_gives_equal_inputs(processor, tmp_path):
    from songgen_hf.modeling.configuration_songgen import SongGenConfig

    AutoProcessor.register(SongGenConfig, SongGenProcessor, exist_ok=True)
    first, second = tmp_path / "first", tmp_path / "second"
    inputs = {
        "text": TEXTS,
        "lyrics": LYRICS,
        "reference_voice": [(noise(4, 44100, 1, channels=2), 44100), None, None],
        "audio": (noise(0.3, 16000), 16000),
    }

    processor.save_pretrained(first)
    loaded = AutoProcessor.from_pretrained(first)
    loaded.save_pretrained(second)
    again = SongGenProcessor.from_pretrained(second)

    expected = processor(**inputs)
    for other in (loaded, again):
        assert isinstance(other, SongGenProcessor)
        got = other(**inputs)
        assert list(got) == list(expected)
        for name, tensor in expected.items():
            assert torch.equal(got[name], tensor), name


def test_saved_files_hold_no_path_of_this_machine(processor, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    processor.save_pretrained(first)
    SongGenProcessor.from_pretrained(first).save_pretrained(second)

    names = {str(path.relative_to(second)) for path in second.rglob("*") if path.is_file()}
    assert names == {
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "lyrics_tokenizer/tokenizer.json",
        "lyrics_tokenizer/tokenizer_config.json",
    }
    for name in names:
        assert str(tmp_path) not in (second / name).read_text()


def test_a_text_tokenizer_in_place_of_the_lyrics_tokenizer_is_refused(processor):
    with pytest.raises(ValueError, match=r"has no \[START\] token, so it is another tokenizer"):
        SongGenProcessor(
            processor.tokenizer,
            processor.tokenizer,
            processor.feature_extractor,
            processor.voice_feature_extractor,
        )


@pytest.mark.filterwarnings("ignore")
def test_a_missing_lyrics_tokenizer_is_not_replaced_silently(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    for file in (tmp_path / "lyrics_tokenizer").iterdir():
        file.unlink()

    with pytest.raises(ValueError, match="restore lyrics_tokenizer/"):
        SongGenProcessor.from_pretrained(tmp_path)


def test_the_reference_processor_takes_a_vocabulary_file(processor, tmp_path):
    vocab = tmp_path / "vocab.json"
    vocab.write_text(processor.lyrics_tokenizer.backend_tokenizer.to_str())

    reference = SongGenProcessor.for_reference_checkpoint(processor.tokenizer, lyrics_vocab=vocab)

    expected = processor(TEXTS, LYRICS)
    for name, tensor in reference(TEXTS, LYRICS).items():
        assert torch.equal(expected[name], tensor)
    assert reference.sampling_rate == 16000
    assert reference.voice_feature_extractor.sampling_rate == 24000
    assert reference.voice_seconds == 3.0


def test_without_the_network_the_missing_vocabulary_is_named(processor, tmp_path):
    with pytest.raises(ValueError, match=r"download vocab\.json of coqui/XTTS-v2 .*lyrics_vocab="):
        SongGenProcessor.for_reference_checkpoint(processor.tokenizer, cache_dir=tmp_path)
    with pytest.raises(ValueError, match="no lyrics vocabulary: './none.json' is not a file"):
        lyrics_tokenizer_from_vocab("./none.json")


def test_without_the_network_the_missing_text_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match="cannot load the text tokenizer .* text_tokenizer="):
        SongGenProcessor.for_reference_checkpoint(str(tmp_path))


@pytest.mark.parametrize("content", ["", "{}", '{"en": 1}'])
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, content):
    path = tmp_path / "vocab.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=r"'vocab\.json' is not a vocabulary in the JSON format"):
        lyrics_tokenizer_from_vocab(path)


def test_a_vocabulary_without_the_marks_is_refused(processor):
    with pytest.raises(ValueError, match=r"missing: \['\[START\]', '\[STOP\]'"):
        wrap_lyrics_tokenizer(processor.tokenizer.backend_tokenizer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ["a", "b"], "lyrics": ["c"]}, "same length, got text: 2, lyrics: 1"),
        ({"text": []}, "an empty batch: text has no items"),
        ({"text": "a", "language": ["en", "fr"]}, "language has 2 items for a batch of 1"),
        ({"lyrics": "a", "language": "xx"}, "'xx' are not supported"),
        ({"text": ["a", "b"], "audio": [(np.ones(99), 16000), None]}, "every song of a batch"),
        (
            {"audio": ((np.ones(16000), 16000), (np.ones(8000), 16000))},
            r"equally long, got 1\.00 s and 0\.50 s",
        ),
        ({"audio": ((np.ones(9), 16000),) * 3}, "got 3 tracks"),
        (
            {"audio": [(np.ones(9), 16000), ((np.ones(9), 16000),) * 2]},
            r"same number of tracks, got \[1, 2\]",
        ),
        ({"reference_voice": (np.ones(24000), 24000), "voice_start": 1.0}, "an earlier start"),
    ],
)
def test_arguments_that_do_not_fit_together_are_refused(processor, arguments, message):
    with pytest.raises(ValueError, match=message):
        processor(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": 5}, "text must be a string or a list of strings, got int"),
        ({"lyrics": ["a", 5]}, "lyrics must be a string or a list of strings, got int"),
        ({"reference_voice": [0.1, 0.2]}, "must be a recording.*list of them: got the number 0.1"),
        ({"reference_voice": 0.5}, "audio must be a path"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(processor, arguments, message):
    with pytest.raises(TypeError, match=message):
        processor(**arguments)


def test_arguments_of_the_tokenizers_are_passed_on(processor):
    wide = processor("folk", lyrics="la la", padding=True, truncation=True, max_length=64)
    text = {"padding": "max_length", "max_length": 9, "truncation": True}
    padded = processor("folk", lyrics="la la", text_kwargs=text)
    short = processor("a calm folk song", lyrics="la", text_kwargs={**text, "max_length": 2})

    assert wide["input_ids"].tolist() == processor("folk", lyrics="la la")["input_ids"].tolist()
    assert padded["input_ids"].shape == (1, 9) and padded["attention_mask"].sum() < 9
    assert padded["lyrics_ids"].shape == wide["lyrics_ids"].shape
    assert short["input_ids"].shape == (1, 2)


def test_unknown_arguments_and_ragged_rows_are_refused(processor):
    with pytest.raises(TypeError, match="got images, expected some of padding, truncation"):
        processor("folk", images=None)
    with pytest.raises(ValueError, match="padding is off and the rows have"):
        processor(["folk", "a calm folk song with a flute"], padding=False)


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        (np.full(1600, 0.5, np.float32), "has 0.10 seconds: give at least 0.5"),
        (np.zeros(48000, np.float32), "is silent: the song is generated without a voice"),
        (np.full(48000, 0.5, np.float32), None),
    ],
)
def test_a_short_or_silent_voice_is_warned_about(processor, caplog, voice, message):
    processor("folk", reference_voice=(voice, 16000))

    assert (message in caplog.text) if message else not caplog.text

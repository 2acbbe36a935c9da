import numpy as np
import pytest
import torch

from songgen_hf.training.language_model.collator import SongCollator, counted_positions
from songgen_hf.training.language_model.dataset import (
    SongDataset,
    SongSampler,
    corrupted,
    read_songs,
)
from songgen_hf.training.options import DataOptions

from ..conftest import TINY_CODEBOOKS, VOICE_SECONDS, build_tiny, song_row, write_songs


@pytest.fixture(scope="module")
def tiny():
    return {pattern: build_tiny(pattern) for pattern in ("mixed", "mixed_pro", "parallel_A_V")}


@pytest.fixture
def rows(songs_folder):
    return read_songs(songs_folder, "train")


def make(rows, tiny, pattern="mixed", *, training=True, seed=0, **options):
    config = tiny[pattern][0].config
    return SongDataset(
        rows,
        config,
        DataOptions(**options),
        seed=seed,
        training=training,
        voice_seconds=VOICE_SECONDS,
    )


@pytest.mark.slow
def test_a_song_has_the_codes_of_its_row(rows, tiny):
    row = song_row(3, 14)

    mixed = make(rows, tiny)[3]
    dual = make(rows, tiny, "parallel_A_V")[3]
    pro = make(rows, tiny, "mixed_pro")[3]

    assert mixed["codes"].tolist() == [row["codes"]]
    assert dual["codes"].tolist() == [row["accompaniment_codes"], row["vocal_codes"]]
    assert pro["codes"].tolist() == [row["codes"]]
    assert pro["vocal_codes"].tolist() == [row["vocal_codes"]]
    assert mixed["lyrics"] == "line number 3"
    assert mixed["text"] in row["captions"]


@pytest.mark.slow
def test_random_choices_of_a_song_follow_from_seed_epoch_and_index_alone(rows, tiny):
    dropout = {"text_dropout": 0.5, "voice_dropout": 0.5, "joint_dropout": 0.2}
    songs = make(rows, tiny, seed=1, **dropout)
    again = make(rows, tiny, seed=1, **dropout)

    first = [
        (song["text"], song["voice"], song["voice_start"])
        for song in map(songs.__getitem__, range(10))
    ]
    backwards = [again[(0, index)] for index in reversed(range(10))]
    other_epoch = [songs[(1, index)]["voice_start"] for index in range(10)]

    assert [(s["text"], s["voice"], s["voice_start"]) for s in reversed(backwards)] == first
    assert other_epoch != [start for _, _, start in first]


@pytest.mark.slow
def test_conditions_are_dropped_with_their_probabilities(rows, tiny):
    songs = make(
        rows, tiny, text_dropout=0.1, lyrics_dropout=0.2, voice_dropout=0.3, joint_dropout=0.1
    )

    drawn = [songs[(epoch, index)] for epoch in range(100) for index in range(10)]

    def share(*names):
        return np.mean([all(song[name] is None for name in names) for song in drawn])

    # Alone or with all the others: p + j - p j.
    assert share("text") == pytest.approx(0.19, abs=0.04)
    assert share("lyrics") == pytest.approx(0.28, abs=0.05)
    assert share("voice") == pytest.approx(0.37, abs=0.05)
    assert share("text", "lyrics", "voice") == pytest.approx(0.1 + 0.9 * 0.006, abs=0.03)


def test_evaluation_drops_no_conditions(rows, tiny):
    songs = make(rows, tiny, training=False, joint_dropout=1.0)

    assert all(songs[index]["voice"] is not None for index in range(10))
    assert songs[0]["text"] == "caption 0 a"


def test_corrupted_codes_are_spans_of_the_same_track():
    codes = torch.arange(2 * 3 * 400).view(2, 3, 400)

    wrong = corrupted(codes, 0.3, np.random.default_rng(0))

    again = corrupted(codes, 0.3, np.random.default_rng(0))
    other = corrupted(codes, 0.3, np.random.default_rng(1))
    assert torch.equal(wrong, again) and not torch.equal(wrong, other)
    for track in range(2):
        changed = (wrong[track] != codes[track]).all(0)
        assert torch.equal(changed, (wrong[track] != codes[track]).any(0))  # whole frames
        assert 0.15 < changed.float().mean() < 0.35  # stretches may overlap or stay in place
        sources = wrong[track] - codes[track, :, :1]
        assert (sources == sources[0]).all()  # all codebooks of a frame come from one frame
        steps = sources[0].diff()
        assert (steps == 1).float().mean() > 0.7  # and frames follow each other
    assert not torch.equal(wrong[0] - codes[0], wrong[1] - codes[1])  # tracks by themselves
    assert corrupted(codes[..., :1], 1.0, np.random.default_rng(0)).shape == (2, 3, 1)


def test_training_corrupts_the_input_codes_and_not_the_labels(rows, tiny):
    model, processor = tiny["mixed"]
    songs = [make(rows, tiny, history_corruption=0.9)[index] for index in (2, 9)]
    plain = [make(rows, tiny)[index] for index in (2, 9)]

    batch = SongCollator(model.config, processor)(songs)

    expected = SongCollator(model.config, processor)(plain)
    true_past = model.shift_right(expected["labels"])
    assert torch.equal(batch["labels"], expected["labels"])
    assert batch["decoder_input_ids"].shape == true_past.shape
    special = true_past >= model.config.decoder.codebook_size
    assert torch.equal(batch["decoder_input_ids"][special], true_past[special])
    assert not torch.equal(batch["decoder_input_ids"], true_past)
    assert torch.isfinite(model(**batch).loss)
    assert "input_codes" not in make(rows, tiny, training=False, history_corruption=0.9)[2]


def test_foreign_history_replaces_the_accompaniment_and_keeps_the_vocal(rows, tiny):
    songs = make(rows, tiny, "parallel_A_V", foreign_history=1.0)
    found = [songs[epoch, 3] for epoch in range(20)]

    starts = [(song["input_codes"] != song["codes"]).any(1) for song in found]
    assert not any(changed[1].any() for changed in starts)
    lengths = {int(changed[0].sum()) for changed in starts}
    assert len(lengths) > 4
    for changed in starts:
        number = int(changed[0].sum())
        assert changed[0, :number].all() and not changed[0, number:].any()
    again = make(rows, tiny, "parallel_A_V", foreign_history=1.0)[7, 3]
    assert torch.equal(again["input_codes"], found[7]["input_codes"])


def test_songs_outside_of_the_length_limits_are_left_out(rows, tiny):
    songs = make(rows, tiny, min_seconds=9 / 50, max_seconds=12 / 50)

    assert sorted(songs.lengths) == [9, 9, 10, 11, 12, 12]
    with pytest.raises(ValueError, match="no song of 10 lasts 1.0"):
        make(rows, tiny, min_seconds=1.0)


def test_a_missing_column_is_named(rows, tiny):
    with pytest.raises(ValueError, match="the dataset lacks vocal_codes, which mixed_pro needs"):
        make(rows.remove_columns("vocal_codes"), tiny, "mixed_pro")


def test_codes_of_another_codec_are_refused(tmp_path, tiny):
    import datasets

    path = tmp_path / "train.parquet"
    write_songs(path, [5])
    row = song_row(0, 5)
    large = {**row, "codes": [[1024] * 5] * TINY_CODEBOOKS}
    few = {**row, "codes": row["codes"][:2]}

    with pytest.raises(ValueError, match="got codes from 1024 to 1024, expected 0 to 1023"):
        make(datasets.Dataset.from_list([large]), tiny)[0]
    with pytest.raises(ValueError, match="codes of song song-0: got 2 codebooks, expected 3"):
        make(datasets.Dataset.from_list([few]), tiny)[0]


def test_lengths_are_counted_from_the_codes_without_num_frames(rows, tiny):
    songs = make(rows.remove_columns("num_frames"), tiny)

    assert songs.lengths.tolist() == [9, 12, 7, 14, 10, 8, 11, 13, 9, 12]


@pytest.mark.parametrize("pattern", ["mixed", "mixed_pro", "parallel_A_V"])
def test_a_batch_has_the_labels_of_its_songs_and_fits_the_model(rows, tiny, pattern):
    model, processor = tiny[pattern]
    songs = make(rows, tiny, pattern)
    collate = SongCollator(model.config, processor)

    batch = collate([songs[0], songs[3]])

    pattern_object = model.config.decoder.pattern
    expected = pattern_object.labels(
        [songs[0]["codes"], songs[3]["codes"]], bos_token_id=1025, eos_token_id=1024
    )
    assert torch.equal(batch["labels"], expected)
    assert ("vocal_labels" in batch) == (pattern == "mixed_pro")
    assert batch["voice_values"].shape == (2, 4800)
    assert torch.isfinite(model(**batch).loss)


def test_a_hidden_condition_is_the_null_branch_of_guidance(rows, tiny):
    model, processor = tiny["mixed"]
    songs = make(rows, tiny, joint_dropout=1.0)

    batch = SongCollator(model.config, processor)([songs[0]])

    assert batch["input_ids"].tolist() == [list(model.config.null_text_ids)]
    assert batch["lyrics_ids"].tolist() == [list(model.config.lyrics_encoder.null_ids)]
    assert not batch["voice_values"].any() and not batch["voice_attention_mask"].any()


@pytest.mark.parametrize("pattern", ["mixed", "parallel_std", "parallel_V_A", "interleaving_A_V"])
def test_counted_positions_are_codes_and_one_end_of_sequence(pattern):
    from songgen_hf.modeling.patterns import CodebookPattern

    shape = CodebookPattern(pattern, 3)
    songs = [torch.zeros(shape.num_tracks, 3, length, dtype=torch.int64) for length in (4, 7)]

    labels = shape.labels(songs, bos_token_id=1025, eos_token_id=1024)

    steps = 11 * shape.stride
    for row in range(shape.num_rows):
        counted = counted_positions(labels[:, :, [row]], bos_token_id=1025, pad_token_id=1024)
        assert counted == steps + 2


def test_a_sampler_gives_every_song_once_an_epoch_in_another_order_each_time():
    sampler = SongSampler(list(range(103)), 4, seed=3, strategy="group_by_length")

    orders = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {key[0] for key in keys} == {epoch}
        orders.append([key[1] for key in keys])

    assert sorted(orders[0]) == sorted(orders[1]) == list(range(103))
    assert orders[0] != orders[1]


@pytest.mark.parametrize("strategy", ["group_by_length", "random", "sequential"])
def test_an_epoch_has_all_songs_and_its_own_mixtures(strategy):
    epochs = np.array([-1] * 20 + [0] * 6 + [1] * 5 + [2] * 6)
    lengths = np.arange(len(epochs)) % 7
    sampler = SongSampler(lengths, 4, seed=3, strategy=strategy, mixture_epochs=epochs)

    seen = {}
    for epoch in range(7):
        sampler.set_epoch(epoch)
        keys = [index for _, index in sampler]
        assert len(keys) == len(set(keys)) == len(sampler) == 25
        assert set(range(20)) <= set(keys)
        seen[epoch] = {index for index in keys if index >= 20}
        assert {epochs[index] for index in seen[epoch]} == {epoch % 3}

    assert seen[0] == seen[3] == seen[6] and seen[1] == seen[4]


def test_grouped_batches_need_less_padding_and_the_longest_comes_first():
    lengths = np.random.default_rng(0).integers(100, 600, 1000)

    def padding(strategy):
        order = SongSampler(lengths, 8, seed=0, strategy=strategy).order()
        batches = lengths[order].reshape(-1, 8)
        return 1 - lengths.sum() / (batches.max(axis=1) * 8).sum(), batches

    grouped, batches = padding("group_by_length")
    shuffled, _ = padding("random")

    assert grouped < 0.02 < 0.2 < shuffled
    assert batches[0].max() == lengths.max()


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="unknown train_sampling_strategy: got 'best'"):
        SongSampler([1], 1, seed=0, strategy="best")

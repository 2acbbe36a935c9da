"""Training of masked models: masks, losses, and the pipeline that a run writes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from songgen_hf.cli import main
from songgen_hf.modeling.masked.distributions import CodebookDistribution, CumulativeMixture
from songgen_hf.modeling.masked.scheduler import MaskSchedule
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.pipelines.masked_song import MaskedSongPipeline
from songgen_hf.training.auxiliary.losses import AuxiliaryLosses
from songgen_hf.training.masked.dataset import MaskedSongCollator, masked_positions
from songgen_hf.training.masked.objective import MaskedStep
from songgen_hf.training.masked.options import (
    MASKED_OPTIONS,
    SCHEDULES,
    MaskedModelOptions,
    MaskedObjectiveOptions,
)
from songgen_hf.training.masked.run import (
    load_masked,
    load_masked_songs,
    start_from_decoder,
    train_masked_model,
)
from songgen_hf.training.option_parsing import RESOLVED_FILE, make_options

from ..conftest import TINY_CODEBOOKS, build_tiny, interrupted_after, song_row, write_table

DUAL = "interleaving_A_V"
SETTINGS = {
    "max_steps": 4,
    "warmup_steps": 1,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_strategy": "no",
    "per_device_train_batch_size": 2,
    "disable_tqdm": True,
    "joint_dropout": 0.2,
    "num_components": 8,
    "mean_rank": 4,
}
LABELS = {
    "lyrics": "see me",
    "tempo": 120,
    "gender": "female",
    "words": [{"word": "see", "start": 0.02, "end": 0.1}, {"word": "me", "start": 0.1, "end": 0.2}],
    "phonemes": [
        {"symbol": "s", "start": 0.02, "end": 0.06, "word": 0},
        {"symbol": "i", "start": 0.06, "end": 0.1, "word": 0},
        {"symbol": "m", "start": 0.1, "end": 0.12, "word": 1},
        {"symbol": "i", "start": 0.12, "end": 0.2, "word": 1},
    ],
}


@pytest.fixture(scope="session")
def labeled_songs(tmp_path_factory) -> str:
    """A folder of songs with labels."""
    folder = tmp_path_factory.mktemp("known")
    rows = [song_row(number, 12) | LABELS for number in range(4)]
    write_table(folder / "train-00000-of-00001.parquet", rows)
    return str(folder)


@pytest.fixture
def options(tiny_checkpoint, songs_folder, tmp_path):
    """Factory: the options of a short run with some changed."""

    def make(pattern=DUAL, *, out="out", **changes):
        values = {
            **SETTINGS,
            "model": tiny_checkpoint(pattern, dropout=0.0),
            "dataset": songs_folder,
            "output_dir": str(tmp_path / out),
            **changes,
        }
        return make_options(MASKED_OPTIONS, values)

    return make


@pytest.fixture
def train(options):
    """Factory: a short run with some options changed -> its trainer."""
    return lambda *pattern, **changes: train_masked_model(*options(*pattern, **changes))


@pytest.fixture
def masked_songs(options):
    """Factory: masked songs and their collator, of the options of a run."""

    def make(**changes):
        model_options, data, objective, args = options(**changes)
        pipe = load_masked(model_options, seed=args.seed)
        songs, _ = load_masked_songs(data, pipe, objective, args)
        return songs, MaskedSongCollator(pipe.conditioner.config, pipe.processor), pipe

    return make


def history(trainer) -> list[dict]:
    return [entry for entry in trainer.state.log_history if "objective" in entry]


def losses(trainer) -> list[float]:
    return [entry["objective"] for entry in history(trainer)]


def test_schedules_of_training_are_those_of_the_scheduler():
    assert set(SCHEDULES) == set(MaskSchedule.__args__)


@pytest.mark.slow
def test_masks_are_the_same_in_every_run_and_differ_between_epochs(masked_songs):
    (songs, _, _), (same, _, _) = masked_songs(), masked_songs()
    (other, _, _) = masked_songs(seed=1)

    for index in range(4):
        visible = songs[0, index]["visible"]
        assert torch.equal(visible, same[0, index]["visible"])
        assert visible.shape == (2, songs[0, index]["codes"].shape[-1])
        assert 0 <= visible.min() and visible.max() <= TINY_CODEBOOKS
    for changed, epoch in ((songs, 1), (other, 0)):
        assert any(
            not torch.equal(changed[epoch, index]["visible"], songs[0, index]["visible"])
            for index in range(4)
        )


@pytest.mark.slow
def test_tracks_and_spans_are_unmasked_with_their_probabilities(masked_songs):
    songs, _, _ = masked_songs(track_probability=1.0, span_probability=0.0)
    whole = [(songs[0, index]["visible"] == TINY_CODEBOOKS).all(dim=1) for index in range(10)]
    assert all(tracks.any() and not tracks.all() for tracks in whole)
    assert len({tuple(tracks.tolist()) for tracks in whole}) == 2

    songs, _, _ = masked_songs(track_probability=0.0, span_probability=0.0)
    assert not any(
        (songs[0, index]["visible"] == TINY_CODEBOOKS).all(dim=1).any() for index in range(10)
    )


@pytest.mark.slow
def test_the_loss_of_a_batch_is_that_of_its_songs_without_padding(masked_songs):
    songs, collate, pipe = masked_songs()
    step = MaskedStep(pipe.transformer, pipe.conditioner, MaskedObjectiveOptions()).eval()
    chosen = [songs[0, index] for index in (2, 3)]  # 7 and 14 frames

    with torch.no_grad():
        together = step(**collate(chosen))
        alone = [step(**collate([song])) for song in chosen]

    counts = [(song["visible"] < TINY_CODEBOOKS).sum() for song in chosen]
    batch = collate(chosen)
    assert masked_positions(batch["visible"], batch["frame_mask"], TINY_CODEBOOKS) == sum(counts)
    mean = sum(n * loss["masked_loss"] for n, loss in zip(counts, alone, strict=True)) / sum(counts)
    assert together["masked_loss"].item() == pytest.approx(mean.item(), rel=1e-4)


@pytest.mark.slow
def test_codebook_decay_weighs_the_codebooks(masked_songs):
    songs, collate, pipe = masked_songs()
    batch = collate([songs[0, index] for index in range(3)])
    plain, halved = (
        MaskedStep(
            pipe.transformer,
            pipe.conditioner,
            MaskedObjectiveOptions(codebook_decay=decay, length_weight=0.0),
        ).eval()
        for decay in (1.0, 0.5)
    )

    with torch.no_grad():
        losses, weighed = plain(**batch), halved(**batch)

    hidden = torch.arange(TINY_CODEBOOKS) >= batch["visible"][..., None]  # [B, N, T, K]
    hidden &= batch["frame_mask"][:, None, :, None]
    parts = [losses[f"codebook_{k}"] * hidden[..., k].sum() for k in range(TINY_CODEBOOKS)]
    positions = hidden.any(dim=-1).sum()
    expected = sum(0.5**k * part for k, part in enumerate(parts)) / positions / 1.75
    assert losses["objective"].item() == pytest.approx((sum(parts) / positions / 3).item())
    assert weighed["objective"].item() == pytest.approx(expected.item())


@pytest.mark.slow
def test_the_regression_of_a_mixture_has_its_weight(masked_songs):
    songs, collate, pipe = masked_songs(head="mixture")
    objective = MaskedObjectiveOptions(regression_weight=0.5, length_weight=0.0)
    step = MaskedStep(pipe.transformer, pipe.conditioner, objective).eval()

    with torch.no_grad():
        losses = step(**collate([songs[0, 0]]))

    parts = losses["regression"].item(), losses["classification"].item()
    assert losses["objective"].item() == pytest.approx(0.5 * parts[0] + parts[1], rel=1e-4)
    assert losses["masked_loss"].item() == pytest.approx(sum(parts), rel=1e-4)


@pytest.mark.slow
def test_guided_attention_trains_the_layers_and_not_the_conditioner(masked_songs):
    songs, collate, pipe = masked_songs()
    step = MaskedStep(
        pipe.transformer, pipe.conditioner, MaskedObjectiveOptions(guided_attention_weight=1.0)
    ).train()
    batch = collate([songs[0, index] for index in range(2)])
    batch["lyrics_labels"] = torch.randint(0, 8, batch["frame_mask"].shape)

    step(**batch)["objective"].backward()

    assert not pipe.conditioner.training
    assert all(weight.grad is None for weight in pipe.conditioner.parameters())
    layers = pipe.transformer.layers
    assert AuxiliaryLosses(step.objective, layers).guided_layers == [0, 1]
    for layer in pipe.transformer.layers:
        assert layer.encoder_attn.q_proj.weight.grad.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
def test_training_lowers_the_loss_and_logs_its_parts(train, head, labeled_songs, tmp_path):
    auxiliary = {
        "guided_attention_weight": 0.3,
        "frame_label_weight": 0.2,
        "dataset": labeled_songs,
    }
    evaluated = {"eval_split": "train", "eval_strategy": "steps", "eval_on_start": True}
    trainer = train(
        head=head, max_steps=8, eval_steps=8, joint_dropout=0.0, **auxiliary, **evaluated
    )

    entries = history(trainer)
    before, after = (e for e in trainer.state.log_history if "eval_masked_loss" in e)
    assert after["eval_masked_loss"] < before["eval_masked_loss"] - 0.5
    parts = {"softmax": {"codebook_0", "codebook_2"}, "mixture": {"regression", "classification"}}
    losses_of_both = {"masked_loss", "length_loss", "sound_loss", "alignment_loss"}
    assert parts[head] | losses_of_both <= entries[0].keys()
    assert entries[-1]["sound_loss"] < entries[0]["sound_loss"]
    assert entries[0]["loss"] == pytest.approx(entries[0]["objective"], abs=1e-4)
    assert not (tmp_path / "out" / "sound_heads.safetensors").exists()


@pytest.mark.slow
def test_a_run_writes_a_complete_masked_pipeline(train, tiny_checkpoint, tmp_path):
    trainer = train(ema_decay=0.9, optimizer="muon", warm_start=True)

    pipe = MaskedSongPipeline.from_pretrained(tmp_path / "out")
    for name, average in trainer.average.average.items():
        saved = pipe.transformer.state_dict()[name.removeprefix("transformer.")]
        assert torch.equal(saved, average.to(saved))
    start = SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint(DUAL, dropout=0.0))
    parts = ((pipe.conditioner, start.conditioner), (pipe.codec, start.audio_encoder))
    for part, original in parts:
        assert all(torch.equal(original.state_dict()[k], v) for k, v in part.state_dict().items())
    assert (tmp_path / "out" / RESOLVED_FILE).is_file()
    assert not list(tmp_path.rglob("*.bin"))


@pytest.mark.slow
def test_a_masked_model_is_trained_further_from_its_folder(train, options, tmp_path):
    train(max_steps=2)
    before = load_masked(MaskedModelOptions(model=str(tmp_path / "out"))).transformer.state_dict()

    further = train(out="further", model=str(tmp_path / "out"), max_steps=2, learning_rate=0.0)

    after = further.pipe.transformer.state_dict()
    assert all(torch.equal(before[name], weight) for name, weight in after.items())


@pytest.mark.slow
@pytest.mark.parametrize("heads", [("softmax", "mixture"), ("mixture", "softmax")])
def test_a_masked_model_is_trained_further_with_another_head(options, heads, tmp_path):
    def load(out, head=None):
        chosen, *_ = options(out=out, head=head, model=str(tmp_path / "first"))
        return load_masked(chosen).transformer

    first, _, _, args = options(out="first", head=heads[0])
    load_masked(first, seed=args.seed).save_pretrained(tmp_path / "first")
    before, same, other = load("same", heads[0]), load("kept"), load("other", heads[1])

    assert same.config.head == before.config.head == heads[0]
    assert other.config.head == heads[1]
    fresh = load_masked(options(out="fresh", head=heads[1])[0]).transformer
    for name, weight in other.state_dict().items():
        if not name.startswith("lm_heads."):
            assert torch.equal(weight, before.state_dict()[name])
    assert other.lm_heads.state_dict().keys() == fresh.lm_heads.state_dict().keys()
    if heads[1] == "mixture":  # its components lie where they begin in a fresh model
        assert torch.equal(other.lm_heads.offsets, fresh.lm_heads.offsets)
        assert other.config.num_components == SETTINGS["num_components"]


@pytest.mark.slow
@pytest.mark.parametrize("head", ["softmax", "mixture"])
def test_scheduled_sampling_trains_only_frames_with_true_visible_codes(masked_songs, head):
    songs, collator, pipe = masked_songs(head=head)
    batch = collator([songs[0, index] for index in range(3)])
    step = MaskedStep(
        pipe.transformer, pipe.conditioner, MaskedObjectiveOptions(scheduled_sampling=0.5)
    )
    seen, judged = [], []
    distribution = {"softmax": CodebookDistribution, "mixture": CumulativeMixture}[head]
    losses_of = distribution.losses

    def watched(self, codes, visible, frame_mask):
        judged.append(visible)
        return losses_of(self, codes, visible, frame_mask)

    hook = pipe.transformer.register_forward_pre_hook(lambda _, given: seen.append(given[:2]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distribution, "losses", watched)
        found = [step(**batch, sampling_seed=seed)["objective"].item() for seed in (1, 1, 2)]
    hook.remove()

    assert found[0] == found[1] != found[2]
    (codes, earlier), (shown, visible) = seen[:2]
    assert torch.equal(codes, batch["codes"]) and torch.equal(visible, batch["visible"])
    assert (earlier <= visible).all() and (earlier < visible).any()
    wrong = (shown != codes).any(dim=2)
    assert wrong.any() and not wrong[earlier == visible].any()
    hidden = torch.arange(TINY_CODEBOOKS)[:, None] >= visible[:, :, None]
    assert torch.equal(shown[hidden], codes[hidden])
    assert torch.equal(judged[0], visible.masked_fill(wrong, TINY_CODEBOOKS))


@pytest.mark.slow
def test_scheduled_sampling_changes_training_and_follows_the_seed(train):
    plain, own, again = (
        losses(train(out=out, max_steps=2, scheduled_sampling=share))
        for out, share in (("plain", 0.0), ("own", 0.5), ("again", 0.5))
    )

    assert own == again and own != plain


@pytest.mark.slow
def test_accumulated_batches_train_like_one_large_batch(train):
    large = train(out="large", per_device_train_batch_size=4, num_train_epochs=1)
    small = train(
        out="small",
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        num_train_epochs=1,
        length_weight=0.1,
    )

    first = [entry["masked_loss"] for entry in history(large)]
    assert [entry["masked_loss"] for entry in history(small)] == pytest.approx(first, rel=1e-3)


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_losses(train, labeled_songs):
    settings = {
        "dataset": labeled_songs,
        "max_steps": 7,
        "save_strategy": "steps",
        "save_steps": 2,
        "ema_decay": 0.9,
        "frame_label_weight": 0.2,
        "scheduled_sampling": 0.5,
        "optimizer": "muon",
    }
    whole = train(out="whole", **settings)

    for step in np.random.default_rng(0).choice(range(2, 7), 2, replace=False).tolist():
        out = f"killed-{step}"
        with interrupted_after(step):
            train(out=out, **settings)
        resumed = train(out=out, resume_from_checkpoint="auto", **settings)

        assert losses(resumed) == pytest.approx(losses(whole), abs=1e-5)
        for name, average in whole.average.average.items():
            assert torch.allclose(resumed.average.average[name], average, atol=1e-6)


@pytest.mark.slow
def test_a_resumed_run_keeps_its_head_and_refuses_another_one(train):
    settings = {"max_steps": 1, "save_strategy": "steps", "save_steps": 1}
    train(head="mixture", **settings)
    settings |= {"max_steps": 2, "resume_from_checkpoint": "auto", "allow_changed_options": True}
    with pytest.raises(ValueError, match=r"checkpoint-1 has a mixture head, --head is softmax: le"):
        train(head="softmax", **settings)

    settings["allow_changed_options"] = False
    settings["max_steps"] = 1
    with pytest.raises(ValueError, match=r"other options \(head was 'mixture', now 'softmax'\)"):
        train(head="softmax", **settings)
    for head in (None, "mixture"):
        assert train(head=head, **settings).pipe.transformer.config.head == "mixture"


@pytest.mark.slow
def test_a_resumed_run_may_name_the_head_that_it_has(train, tmp_path):
    settings = {"max_steps": 1, "save_strategy": "steps", "save_steps": 1}
    train(head=None, **settings)

    train(head="softmax", resume_from_checkpoint="auto", **settings)


@pytest.mark.slow
def test_every_evaluation_uses_the_same_masks(train):
    trainer = train(
        max_steps=2,
        eval_split="validation",
        eval_strategy="steps",
        eval_steps=1,
        eval_on_start=True,
        learning_rate=0.0,
    )

    found = [e["eval_masked_loss"] for e in trainer.state.log_history if "eval_masked_loss" in e]
    assert len(found) == 3 and found == pytest.approx([found[0]] * 3)


@pytest.mark.slow
def test_samples_are_made_at_each_evaluation(train, tmp_path):
    train(
        max_steps=1,
        eval_split="validation",
        eval_strategy="steps",
        eval_steps=1,
        sample_songs=1,
        sample_seconds=0.1,
        sample_guidance=2.0,
    )

    (sample,) = tmp_path.rglob("samples/*/0.flac")
    assert sample.stat().st_size > 0


def test_layers_start_with_the_weights_of_the_decoder():
    model, _ = build_tiny(DUAL)
    from songgen_hf.modeling.masked.model import MaskedSongModel

    fresh = MaskedSongModel.from_song_model(model, head="softmax")
    copied = start_from_decoder(fresh, model.decoder.model)

    weights = dict(model.decoder.model.layers.named_parameters())
    assert set(copied) == set(weights)
    for name, weight in fresh.layers.named_parameters():
        assert torch.equal(weight, weights[name])
    other = MaskedSongModel.from_song_model(model, head="softmax", hidden_size=16, ffn_dim=8)
    assert start_from_decoder(other, model.decoder.model) == []


@pytest.mark.slow
def test_the_command_writes_a_masked_model(
    tiny_checkpoint, songs_folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    run = ["--model", tiny_checkpoint("mixed"), "--dataset", songs_folder, "--max-steps", "1"]
    run += ["--warmup-steps", "0", "--per-device-train-batch-size", "2", "--disable-tqdm", "true"]
    run += ["--save-strategy", "no", "--output-dir", str(tmp_path / "out"), "--logging-steps", "1"]

    assert main(["train", "masked", *run, "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["written"]) == ("masked", str(tmp_path / "out"))
    assert answer["metrics"]["masked_loss"] > 0
    assert (Path(answer["written"]) / "model_index.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head": "sofmax"}, "unknown head: got 'sofmax', expected softmax or mixture"),
        ({"mask_schedule": "sine"}, "unknown mask_schedule: got 'sine'"),
        ({"span_probability": 2.0}, "span_probability is 2.0, expected 0 to 1"),
        ({"codebook_decay": 0.0}, "codebook_decay is 0.0, expected more than 0 and at most 1"),
        ({"length_weight": -1.0}, "length_weight is -1.0, expected 0 or more"),
        ({"model": None}, "no model given"),
        (
            {"history_corruption": 0.3},
            "history_corruption changes the input of an autoreg.* got 0.3",
        ),
        ({"foreign_history": 0.3}, "got 0.3 for a masked model, leave --foreign-history out"),
        ({"head": "mixture", "codebook_decay": 0.5}, "has one loss for all codebooks"),
        ({"warm_start": True, "hidden_size": 16}, "no layer of the song model fits"),
    ],
)
def test_wrong_options_of_masked_training_are_refused(train, changes, message):
    with pytest.raises(ValueError, match=message):
        train(**changes)

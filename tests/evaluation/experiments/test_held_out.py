"""Teacher-forced scores of single songs."""

import pytest
import torch

from songgen_hf.evaluation.experiments.held_out import held_out_parts, song_losses
from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.options import ObjectiveOptions
from songgen_hf.training.options import DataOptions

from ...training.conftest import TINY_CODEBOOKS, build_tiny


@pytest.mark.parametrize("pattern", ["mixed", "parallel_V_A", "interleaving_A_V"])
def test_the_losses_of_the_codes_are_those_of_the_model_without_its_end_marks(pattern):
    model, processor = build_tiny(pattern)
    tracks = model.config.decoder.num_tracks
    codes = torch.randint(0, 1024, (tracks, TINY_CODEBOOKS, 7))
    song = {
        "codes": codes, "text": "a song", "lyrics": "la", "language": "en", "voice": None,
        "voice_start": 0.0,
    }  # fmt: skip
    batch = SongCollator(model.config, processor)([song])

    losses, attended = song_losses(model, batch, 7, None, ObjectiveOptions())

    labels = batch["labels"].clone()
    labels[labels >= 1024] = -100  # the end mark of each row
    given = {"labels": labels, "decoder_input_ids": model.shift_right(batch["labels"])}
    with torch.no_grad():
        means = model(**batch | given).codebook_losses
    assert losses.shape == codes.shape and attended is None
    of_rows = losses.mean(dim=2) if len(means) > TINY_CODEBOOKS else losses.mean(dim=(0, 2))
    torch.testing.assert_close(of_rows.flatten(), means, atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("prepended", [False, True])
def test_the_scores_of_a_trained_model(annotated_folder, tmp_path, prepended):
    model, processor = build_tiny("interleaving_A_V")
    model.config.lyrics_cross_attention = not prepended
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    data = DataOptions(dataset=annotated_folder, voice_column=None)

    parts = held_out_parts(
        tmp_path,
        data,
        ObjectiveOptions(guided_attention_weight=0.1),
        split="validation",
        max_songs=9,
    )

    codes = {name: [below for _, below in pairs] for name, pairs in parts.items()}
    assert codes["loss"] == [8 * 2 * 3, 10 * 2 * 3]  # frames, tracks, codebooks
    sung = codes["sung_loss_0"]
    assert 0 < sung[0] <= 8 and codes["sung_loss"] == [3 * count for count in sung]
    assert codes["attended"] == [2 * count for count in sung]  # steps of both tracks
    summed = sum(parts[f"sung_loss_{k}"][0][0] for k in range(3))
    assert parts["sung_loss"][0][0] == pytest.approx(summed, rel=1e-5)
    assert all(5 < above / below < 9 for above, below in parts["loss"])  # log(1024) is 6.9
    assert all(0 <= above <= below for above, below in parts["attended"])


@pytest.mark.slow
def test_lyrics_gain_nothing_where_the_decoder_does_not_hear_them(annotated_folder, tmp_path):
    model, processor = build_tiny("mixed")
    with torch.no_grad():
        for layer in model.decoder.model.layers:
            layer.encoder_attn.v_proj.weight.zero_()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    data = DataOptions(dataset=annotated_folder, voice_column=None)

    parts = held_out_parts(tmp_path, data, ObjectiveOptions(), split="validation", max_songs=2)

    assert "attended" not in parts
    assert [above for above, _ in parts["lyrics_gain"]] == [0, 0]

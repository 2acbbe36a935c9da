"""The benchmark of codes predicted from true ones: what is predicted, and a tiny model."""

import json
import sys

import pytest
import torch

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

from ..tools.judge_cases import tiny_judges
from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_processor, tiny_singer  # noqa: F401


@pytest.fixture
def model(tiny_checkpoint):  # noqa: F811
    return SongGenForConditionalGeneration.from_pretrained(tiny_checkpoint("interleaving_A_V"))


def some_codes(model, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(model.config.decoder.codebook_size, shape, generator=generator)


@pytest.mark.slow
def test_every_code_is_predicted_from_the_true_past(benchmark, model):
    decoder = model.config.decoder
    codes = some_codes(model, 2, 2, decoder.num_codebooks, 9)
    ids = {"bos_token_id": decoder.bos_token_id, "eos_token_id": decoder.eos_token_id}
    labels = decoder.pattern.labels(codes, **ids)
    text = torch.tensor([model.config.null_text_ids]).expand(2, -1)
    batch = {"labels": labels, "input_ids": text}

    true, best, drawn = benchmark.predicted(model.eval(), batch, torch.Generator().manual_seed(1))

    assert torch.equal(true, labels.transpose(1, 2))
    is_code = true < decoder.codebook_size
    assert torch.equal(best[~is_code], true[~is_code])
    again = benchmark.predicted(model, batch, torch.Generator().manual_seed(1))[2]
    other = benchmark.predicted(model, batch, torch.Generator().manual_seed(2))[2]
    assert torch.equal(drawn, again) and not torch.equal(drawn, other)
    # The past of a step is what the library's own forward is given.
    logits = model(input_ids=text, decoder_input_ids=model.shift_right(labels)).logits
    logits = logits.unflatten(0, true.shape[:2])
    expected = logits[..., : decoder.codebook_size].argmax(-1)
    assert torch.equal(best[is_code], expected[is_code])


@pytest.mark.slow
def test_true_codes_sound_as_the_codec_decodes_them(
    benchmark,
    model,
    tmp_path,
    tiny_checkpoint,  # noqa: F811
    monkeypatch,
    capsys,
):
    pytest.importorskip("datasets")
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")
    judges = tiny_judges()
    judges.save(tmp_path / "judges")
    codes = some_codes(model, 2, 2, model.config.decoder.num_codebooks, 30)
    sounds = [{"symbol": "ʌ", "start": 0.1, "end": 0.3, "word": 0}]
    rows = [
        {"accompaniment_codes": band, "vocal_codes": voice, "lyrics": "us", "phonemes": sounds}
        for band, voice in codes.tolist()
    ]
    (tmp_path / "codes").mkdir()
    path = tmp_path / "codes" / "validation-00000-of-00001.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    flags = ["--dataset", str(tmp_path / "codes"), "--judges", str(tmp_path / "judges")]
    monkeypatch.setattr(
        sys, "argv", ["exposure_bias.py", tiny_checkpoint("interleaving_A_V"), *flags]
    )

    benchmark.main()

    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["track_pattern"] == "interleaving_A_V" and report["songs"] == 2
    vocals = [model.decode_codes(song[None]).vocal[0, 0].detach().numpy() for song in codes]
    heard = judges.phonemes(vocals)
    expected = sum(_edits(["ə"], list(one)) for one in heard) / 2
    assert report["per"]["true"] == pytest.approx(expected, abs=1e-4)
    assert len(report["per"]) == 5
    assert len(report["coherence"]) == 2 and min(report["coherence"]) >= 0


def _edits(asked: list[str], heard: list[str]) -> int:
    """Levenshtein distance to a single phoneme."""
    return max(len(heard) - (asked[0] in heard), 1 - (asked[0] in heard))

import json
import logging
import math
import re
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from songgen_hf.publishing.cards import is_replaceable
from songgen_hf.training.language_model.drift import measure_drift
from songgen_hf.training.language_model.lora import (
    ATTENTION,
    LoraOptions,
    add_lora,
    load_adapters,
    train_lora,
)
from songgen_hf.training.language_model.options import LORA_OPTIONS
from songgen_hf.training.option_parsing import make_options

from ..conftest import build_tiny


def inputs(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "input_ids": torch.tensor([[5, 6, 1]]),
        "lyrics_ids": torch.tensor([[7, 8, 9, 0]]),
        "decoder_input_ids": torch.randint(0, 1024, (1, 3, 6), generator=generator),
    }


@torch.no_grad()
def logits(model) -> torch.Tensor:
    return model.eval()(**inputs()).logits


def disturb(adapted, seed: int) -> None:
    """Give an untrained adapter an effect."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.3, generator=generator)


@pytest.fixture
def saved_adapter(tmp_path):
    """Factory: a disturbed adapter -> its folder and the logits with it."""

    def save(seed: int, **options):
        model, processor = build_tiny("mixed")
        adapted = add_lora(model, LoraOptions(lora_rank=2, lora_alpha=2.0, **options), processor)
        disturb(adapted, seed)
        folder = tmp_path / f"adapter-{seed}"
        adapted.save_pretrained(folder)
        return str(folder), logits(adapted)

    return save


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"lora_heads": True}])
def test_an_untrained_adapter_changes_nothing(options):
    model, processor = build_tiny("mixed")
    before = logits(model)

    adapted = add_lora(model, LoraOptions(**options), processor)

    if "use_dora" in options:  # divides and multiplies by the same norms
        torch.testing.assert_close(logits(adapted), before, atol=1e-5, rtol=0)
    else:
        assert torch.equal(logits(adapted), before)


@pytest.mark.slow
def test_only_the_attention_of_the_decoder_is_trained():
    model, processor = build_tiny("parallel_std")

    adapted = add_lora(model, LoraOptions(), processor)

    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert len(trained) == 2 * 2 * 8  # A and B of 8 projections in 2 layers
    pattern = re.compile(rf"base_model\.model\.{ATTENTION}\.lora_[AB]\.default\.weight")
    assert all(pattern.fullmatch(name) for name in trained)


@pytest.mark.parametrize("preset", ["mini", pytest.param("full", marks=pytest.mark.slow)])
def test_at_most_three_percent_of_the_weights_are_trained(preset):
    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
    from songgen_hf.presets import models as presets

    processor = presets.build_processor("mini")
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(presets.build_config(preset))
        adapted = add_lora(model, LoraOptions(), processor)

    trained, total = adapted.get_nb_trainable_parameters()
    assert 0 < trained <= 0.03 * total


@pytest.mark.slow
# PEFT 0.21 itself asks transformers 5.23 by an old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_is_saved_loaded_merged_and_swapped(saved_adapter):
    first, with_first = saved_adapter(1)
    second, with_second = saved_adapter(2)
    model, _ = build_tiny("mixed")
    plain = logits(model)
    assert not torch.allclose(with_first, plain, atol=1e-2)

    load_adapters(model, first)
    torch.testing.assert_close(logits(model), with_first, atol=1e-6, rtol=0)
    load_adapters(model, second)
    torch.testing.assert_close(logits(model), with_second, atol=1e-6, rtol=0)
    load_adapters(model, {})
    torch.testing.assert_close(logits(model), plain, atol=1e-6, rtol=0)

    from peft import PeftModel

    merged = PeftModel.from_pretrained(build_tiny("mixed")[0], first).merge_and_unload()
    torch.testing.assert_close(logits(merged), with_first, atol=1e-5, rtol=0)
    swapped = build_tiny("mixed")[0]
    swapped.load_adapter(first, adapter_name="voice")
    swapped.load_adapter(second, adapter_name="voice", hotswap=True)
    torch.testing.assert_close(logits(swapped), with_second, atol=1e-6, rtol=0)


@pytest.mark.slow
# PEFT 0.21 itself asks transformers 5.23 by an old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_two_adapters_are_combined_by_weight(saved_adapter):
    from peft import PeftModel

    first, second = saved_adapter(1)[0], saved_adapter(2)[0]
    mixed = build_tiny("mixed")[0]

    load_adapters(mixed, {first: 0.7, second: -0.4})

    reference = build_tiny("mixed")[0]
    weights = reference.state_dict()
    for folder, share in ((first, 0.7), (second, -0.4)):
        merged = PeftModel.from_pretrained(build_tiny("mixed")[0], folder).merge_and_unload()
        plain = build_tiny("mixed")[0].state_dict()
        for name, weight in merged.state_dict().items():
            if re.search(ATTENTION, name):
                weights[name] += share * (weight - plain[name])
    torch.testing.assert_close(logits(mixed), logits(reference), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_adapters_are_paths_or_lists_and_weights_are_numbers(saved_adapter):
    first, second = saved_adapter(1)[0], saved_adapter(2)[0]
    model, expected = build_tiny("mixed")[0], build_tiny("mixed")[0]

    load_adapters(model, [Path(first), second])
    load_adapters(expected, {first: 1.0, second: 1.0})

    torch.testing.assert_close(logits(model), logits(expected), atol=1e-6, rtol=0)
    with pytest.raises(TypeError, match="weight of the adapter .* is '0.5': expected a number"):
        load_adapters(model, {first: "0.5"})
    with pytest.raises(ValueError, match="weight of the adapter .* is nan: expected it finite"):
        load_adapters(model, {first: math.nan})


@pytest.mark.slow
def test_only_what_is_wrong_with_the_second_adapter_is_reported(saved_adapter, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    first, second = saved_adapter(1)[0], saved_adapter(2)[0]
    model, _ = build_tiny("mixed")

    load_adapters(model, [first, second])

    assert caplog.text == ""
    file = Path(second, "adapter_model.safetensors")
    weights = load_file(file)
    missing = next(name for name in weights if "lora_A" in name)
    save_file({name: weight for name, weight in weights.items() if name != missing}, file)
    load_adapters(model, [first, second])
    report = caplog.records[-1].getMessage()
    assert f"LOAD REPORT from: {second}" in report and report.count("| MISSING") == 1
    assert "lora_A.adapter_1" in report and "adapter_0" not in report
    caplog.clear()
    save_file({**weights, missing: weights[missing][:, :3].contiguous()}, file)
    with pytest.raises(ValueError, match="cannot load the adapter"):
        load_adapters(model, [first, second])
    assert "MISMATCH" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed_pro", "interleaving_A_V"])
def test_an_adapter_of_another_model_gives_a_warning(saved_adapter, caplog, name):
    folder, _ = saved_adapter(1)
    config = Path(folder) / "adapter_config.json"
    facts = json.loads(config.read_text()) | {"base_model_name_or_path": "songgen-mini/mixed_pro"}
    config.write_text(json.dumps(facts))
    model, _ = build_tiny("mixed")
    model.name_or_path = f"/somewhere/{name}"

    load_adapters(model, folder)

    warned = "was trained for songgen-mini/mixed_pro and is used with /somewhere/" in caplog.text
    assert warned == (name != "mixed_pro")


def test_a_folder_without_an_adapter_is_refused(tmp_path):
    model, _ = build_tiny("mixed")

    with pytest.raises(ValueError, match="cannot load the adapter .*songgen-hf train lora wrote"):
        load_adapters(model, str(tmp_path))


@pytest.mark.slow
def test_a_pipeline_generates_with_an_adapter(saved_adapter):
    from songgen_hf.pipelines.text_to_song import TextToSongPipeline

    folder, _ = saved_adapter(3)
    request = {"text": "a song", "seed": 1, "max_seconds": 0.1}

    def sing(**options):
        model, processor = build_tiny("mixed")
        song = TextToSongPipeline(model=model, processor=processor, **options)
        return torch.from_numpy(song(request["text"], seed=1, max_seconds=0.1)["audio"])

    plain, adapted, silent = sing(), sing(adapter=folder), sing(adapter={folder: 0.0})
    assert torch.equal(plain, silent)
    assert plain.shape != adapted.shape or not torch.equal(plain, adapted)


@pytest.fixture
def train(tiny_checkpoint, songs_folder, tmp_path):
    def run(out="out", **changes):
        values = {
            "model": tiny_checkpoint("mixed", dropout=0.0),
            "dataset": songs_folder,
            "output_dir": str(tmp_path / out),
            "max_steps": 6,
            "learning_rate": 0.05,
            "logging_steps": 1,
            "save_strategy": "no",
            "disable_tqdm": True,
            "max_train_songs": 2,
            **changes,
        }
        return train_lora(*make_options(LORA_OPTIONS, values))

    return run


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"lora_plus_ratio": 4.0}, {"lyrics_tokens": ["[es]"]}])
def test_adapter_training_lowers_the_loss_and_keeps_the_model_unchanged(train, tmp_path, options):
    trainer = train(**options)

    history = [entry["plain_loss"] for entry in trainer.state.log_history if "plain_loss" in entry]
    assert history[-1] < history[0] - 0.05
    frozen = trainer.model.get_base_model().get_parameter("decoder.lm_heads.weight")
    assert torch.equal(frozen, build_tiny("mixed", dropout=0.0)[0].decoder.lm_heads.weight)

    model, _ = build_tiny("mixed", dropout=0.0)
    load_adapters(model, str(tmp_path / "out"))
    trained = logits(trainer.model)
    torch.testing.assert_close(logits(model), trained, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_an_adapter_has_a_card_that_says_what_it_was_trained_on(train, tmp_path):
    trainer = train(save_strategy="steps", save_steps=4, max_steps=6, seed=3)

    out = tmp_path / "out"
    for folder, steps in ((out, 6), (out / "checkpoint-4", 4)):
        card = ModelCard.load(folder / "README.md")
        text = card.text
        assert "More Information Needed" not in text and str(tmp_path) not in card.content
        assert "Songs or clips of songs: 2, 0.0 minutes in all" in text and "rank 8" in text
        assert f"Training: {steps} steps of 8 of them" in text and "seed 3." in text
        assert f'adapter="{folder.name}"' in text and f"--adapter {folder.name}" in text
        data = card.data.to_dict()
        assert data["library_name"] == "peft" and {"lora", "text-to-song"} <= {*data["tags"]}
        assert data["pipeline_tag"] == "text-to-audio" and "base_model" not in data
        assert is_replaceable(card.content)

    (out / "README.md").write_text("My own words.")
    trainer.model.save_pretrained(out)
    assert (out / "README.md").read_text() == "My own words."


@pytest.mark.slow
def test_lora_plus_trains_b_matrices_faster(train):
    trainer = train(lora_plus_ratio=4.0, lr_scheduler_type="constant")

    rates = {group["lr"] for group in trainer.optimizer.param_groups if group["params"]}
    assert rates == {0.05, 0.2}


@pytest.mark.slow
def test_a_killed_adapter_run_resumes_with_the_same_losses(train, tmp_path):
    import shutil

    settings = {"save_strategy": "steps", "save_steps": 2, "lora_dropout": 0.1}
    whole = train("whole", **settings)
    train("killed", **settings)
    for step in (4, 6):
        shutil.rmtree(tmp_path / "killed" / f"checkpoint-{step}")

    resumed = train("killed", resume_from_checkpoint="auto", **settings)

    def losses(trainer):
        return [e["objective"] for e in trainer.state.log_history if "objective" in e]

    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)
    shutil.rmtree(tmp_path / "killed" / "checkpoint-6")
    for name in ("adapter_model.safetensors", "optimizer.pt", "rng_state.pth"):
        path = tmp_path / "killed" / "checkpoint-4" / name
        content = path.read_bytes()
        path.write_bytes(content[:50])
        with pytest.raises(ValueError, match=r"cannot resume from .*checkpoint-4 \(.*remove this"):
            train("killed", resume_from_checkpoint="auto", **settings)
        path.write_bytes(content)


@pytest.mark.slow
def test_the_drift_grows_with_the_effect_of_the_adapter(train):
    trainer = train(max_steps=1, learning_rate=0.0, eval_split="train", eval_strategy="no")
    adapted, songs = trainer.model, trainer.eval_dataset

    drifts = [measure_drift(adapted, songs, trainer.processor)]
    generator = torch.Generator().manual_seed(0)
    for scale in (0.1, 0.3):
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, scale, generator=generator)
        drifts.append(measure_drift(adapted, songs, trainer.processor))

    assert drifts[0] == 0 and 0 < drifts[1] < drifts[2]
    assert adapted.training  # as it was


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "steps"), [(1e-6, 2), (100.0, 6)])
def test_training_stops_when_the_model_has_drifted(train, limit, steps):
    trainer = train(
        max_drift=limit, eval_split="train", eval_strategy="steps", eval_steps=2, max_eval_songs=1
    )

    drifts = [e["eval_drift"] for e in trainer.state.log_history if "eval_drift" in e]
    assert trainer.state.global_step == steps and len(drifts) == steps // 2 and drifts[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_drift": 0.1}, "max_drift is measured on evaluation songs: add --eval-split"),
        ({"lora_rank": 0}, "lora_rank is 0, expected 1 or more; change --lora-rank"),
        ({"lora_plus_ratio": -1.0}, "lora_plus_ratio is -1.0, expected more than 0"),
        ({"lyrics_tokens": ["[xx]"]}, r"the lyrics tokenizer has no token '\[xx\]'"),
        ({"freeze": ["conditions"]}, "only the adapter is trained"),
        ({"ema_decay": 0.9}, "leave --ema-decay out"),
    ],
)
def test_wrong_options_are_refused(train, changes, message):
    with pytest.raises(ValueError, match=message):
        train(**changes)

"""A training step never waits for the device: only then can the host prepare the next one."""

import pytest
import torch

from songgen_hf.training.language_model.dataset import SongDataset, read_songs
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS, ObjectiveOptions
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.language_model.song_trainer import SongTrainer
from songgen_hf.training.language_model.trainer import SongGenTrainer
from songgen_hf.training.option_parsing import make_options
from songgen_hf.training.options import DataOptions, SongGenTrainingArguments

from ...tools.host_sync import HostSync
from ..conftest import VOICE_SECONDS, build_tiny


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.masked_select(x > 0),
        lambda x: torch.zeros(3, device="meta").copy_(x),
    ],
)
def test_operations_that_wait_are_found(operation):
    with HostSync() as sync:
        operation(torch.tensor([1.0, 0.0, 2.0]))

    assert len(sync.found) == 1 and "test_host_sync.py" in sync.found[0]


def test_operations_that_do_not_wait_are_not_found():
    values = torch.tensor([1.0, 0.0, 2.0])
    with HostSync() as sync:
        values[values > 1] = 0.0
        torch.where(values > 0, values, -values).sum().clamp(min=1).to(torch.float16)

    assert sync.found == []


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V", "parallel_V_A"])
def test_a_training_step_does_not_wait(pattern, tiny_checkpoint, annotated_folder, tmp_path):
    found, training_step = [], SongTrainer.training_step

    def watched(self, *args, **options):
        with HostSync() as sync:
            loss = training_step(self, *args, **options)
        found.append(sync.found)
        return loss

    values = {
        "model": tiny_checkpoint(pattern),
        "dataset": annotated_folder,
        "output_dir": str(tmp_path),
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "save_strategy": "no",
        "disable_tqdm": True,
        "guided_attention_weight": 0.1,
        "frame_label_weight": 0.1,
        "scheduled_sampling": 0.3,
        "history_corruption": 0.3,
        "mask_after_errors": True,
        "sung_frame_weight": 2.0,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SongTrainer, "training_step", watched)
        train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    assert found == [[], []]


@pytest.mark.slow
def test_a_training_step_copies_nothing_to_the_device(annotated_folder, tmp_path):
    model, processor = build_tiny("interleaving_V_A")
    songs = SongDataset(
        read_songs(annotated_folder, "train"),
        model.config,
        DataOptions(),
        voice_seconds=VOICE_SECONDS,
    )
    trainer = SongGenTrainer(
        model,
        SongGenTrainingArguments(output_dir=str(tmp_path)),
        processor=processor,
        train_dataset=songs,
        objective=ObjectiveOptions(
            guided_attention_weight=0.1, frame_label_weight=0.1, vocal_track_weight=2.0
        ),
    )
    batch = trainer.data_collator([songs[0], songs[1]])
    batch = torch.utils._pytree.tree_map(lambda tensor: tensor.to("meta"), batch)
    model.to("meta").train()

    def step():
        total = trainer._get_num_items_in_batch([batch], torch.device("meta"))
        trainer.compute_loss(model, batch, num_items_in_batch=total).backward()

    step()  # copies the codebook weights of the phase
    with HostSync() as sync:
        step()

    assert sync.found == []
    assert model.decoder.lm_heads.weight.grad.shape == model.decoder.lm_heads.weight.shape

"""The codes of a frame that the embedded models draw belong together."""

import pytest
import torch

from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.data.corpus.options import CorpusOptions
from songgen_hf.data.corpus.render import render_corpus
from songgen_hf.data.preparation.codes import prepare_codes
from songgen_hf.data.preparation.options import CodesOptions
from songgen_hf.evaluation.metrics.codebook_coherence import codebook_coherence
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.processing_songgen import SongGenProcessor
from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.dataset import SongDataset, read_songs
from songgen_hf.training.options import DataOptions

pytestmark = [pytest.mark.debian, pytest.mark.slow]
SONGS = 4


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Codes of new songs of the corpus that the embedded models were trained on."""
    folder = tmp_path_factory.mktemp("coherence")
    sizes = {"train_songs": 0, "validation_songs": SONGS, "test_songs": 0}
    render_corpus(CorpusOptions(output=folder / "songs", seed=77, progress=False, **sizes))
    model = str(find_checkpoint("songgen-mini/interleaving_A_V"))
    options = CodesOptions(source=str(folder / "songs"), output=folder / "codes", model=model)
    prepare_codes(options, progress=False)
    return str(folder / "codes")


@pytest.mark.parametrize("name", ["interleaving_A_V", "mixed_pro"])
def test_the_second_code_of_a_frame_follows_from_the_first(codes, name):
    checkpoint = find_checkpoint(f"songgen-mini/{name}")
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint).eval()
    processor = SongGenProcessor.from_pretrained(checkpoint)
    rows = read_songs(codes, "validation")
    dataset = SongDataset(rows, model.config, DataOptions(), training=False)
    batch = SongCollator(model.config, processor)([dataset[place] for place in range(SONGS)])
    inputs = {name: value for name, value in batch.items() if not name.endswith("labels")}
    inputs["decoder_input_ids"] = model.shift_right(batch["labels"])

    coherence = codebook_coherence(model, inputs, generator=torch.Generator().manual_seed(0))

    assert coherence.min() > 0.5, f"got {coherence} nats"

"""Fixtures of tiny models, processors and checkpoints for tests of pipelines and commands."""

import json

import pytest


@pytest.fixture(scope="session")
def tiny_processor():
    """The processor of the mini preset, which tests do not change."""
    from songgen_hf.presets.tokenizers import build_mini_processor

    return build_mini_processor()


@pytest.fixture(scope="session")
def tiny_singer(tiny_model, tiny_processor):
    """Factory ``tiny_singer(pattern)`` of tiny models that fit ``tiny_processor``; read only."""

    def build(pattern: str = "mixed"):
        nothing = tiny_processor(text="", lyrics="")
        return tiny_model(
            pattern,
            text_encoder={"vocab_size": len(tiny_processor.tokenizer)},
            lyrics_encoder={
                "vocab_size": len(tiny_processor.lyrics_tokenizer),
                "null_ids": nothing["lyrics_ids"][0].tolist(),
            },
        )

    return build


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory, tiny_singer, tiny_processor):
    """Factory ``tiny_checkpoint(pattern)`` of directories with a tiny model and its processor."""
    made = {}

    def build(pattern: str = "mixed") -> str:
        if pattern not in made:
            directory = tmp_path_factory.mktemp(pattern)
            tiny_singer(pattern).save_pretrained(directory)
            tiny_processor.save_pretrained(directory)
            settings = directory / "generation_config.json"
            sampling = {**json.loads(settings.read_text()), "do_sample": True, "top_k": 50}
            settings.write_text(json.dumps(sampling))
            made[pattern] = str(directory)
        return made[pattern]

    return build


@pytest.fixture(scope="session")
def tiny_masked(tiny_singer, tiny_processor):
    """Factory ``tiny_masked(pattern, head)`` of tiny masked pipelines.

    Each is new, since the factory of pipelines adds listeners to those that it gets; their models
    are made once and stay unchanged.
    """
    made = {}

    def build(pattern: str = "parallel_std", head: str = "softmax"):
        import torch

        from songgen_hf.modeling.masked.model import MaskedSongModel
        from songgen_hf.modeling.masked.scheduler import MaskedRVQScheduler
        from songgen_hf.pipelines.masked_song import MaskedSongPipeline

        if (pattern, head) not in made:
            song_model = tiny_singer(pattern)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                sizes = {"num_components": 8, "mean_rank": 4} if head == "mixture" else {}
                transformer = MaskedSongModel.from_song_model(song_model, head=head, **sizes)
            pipe = MaskedSongPipeline.from_song_model(
                song_model,
                tiny_processor,
                transformer.eval(),
                MaskedRVQScheduler(choice_temperature=4.0),
            )
            made[pattern, head] = pipe.components
        pipe = MaskedSongPipeline(**made[pattern, head])
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return build

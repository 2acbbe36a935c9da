"""A tiny checkpoint on disk, model and processor, for the doors: pipeline, command line, export."""

import json

import pytest


@pytest.fixture(scope="session")
def tiny_processor():
    """The mini preset's processor; read only."""
    from songgen_hf.tokenizers_mini import build_mini_processor

    return build_mini_processor()


@pytest.fixture(scope="session")
def tiny_singer(tiny_model, tiny_processor):
    """Factory ``tiny_singer(pattern)``: a tiny model that fits ``tiny_processor``; read only."""

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
    """Factory ``tiny_checkpoint(pattern)``: directory of a saved tiny model and its processor."""
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

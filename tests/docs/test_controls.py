"""The page of all controls has every flag of ``generate`` and every field of a request."""

import inspect
import re

from songgen_hf.cli import build_parser
from songgen_hf.serving.fields import SongRequest

from ..tools.documentation.blocks import ROOT

PAGE = (ROOT / "docs" / "controls.md").read_text(encoding="utf-8")
OTHER_SPELLINGS = {"--help", "-h", "--no-repeat-chorus"}


def test_every_flag_of_generate_is_on_the_page():
    (commands,) = (one for one in build_parser()._actions if isinstance(one.choices, dict))
    actions = commands.choices["generate"]._actions
    flags = {spelling for action in actions for spelling in action.option_strings}

    assert set(re.findall(r"`(--[a-z-]+)`", PAGE)) - OTHER_SPELLINGS == flags - OTHER_SPELLINGS


def test_every_field_of_a_request_is_on_the_page():
    cells = [row.split("|")[4] for row in PAGE.splitlines() if row.count("|") == 6]
    named = set(re.findall(r"`(\w+)`", " ".join(cells))) | {"model"}

    assert named == set(SongRequest.model_fields)


def test_arguments_of_the_page_are_those_of_the_pipelines():
    from songgen_hf.checkpoints.loading import load_pipeline
    from songgen_hf.pipelines.masked_song import MaskedSongPipeline
    from songgen_hf.pipelines.song import Song
    from songgen_hf.pipelines.text_to_song import TextToSongPipeline

    functions = (
        *(load_pipeline, MaskedSongPipeline.__call__, TextToSongPipeline.__call__, Song.save),
        *(TextToSongPipeline.whole_song, TextToSongPipeline._forward),
    )
    known = {name for function in functions for name in inspect.signature(function).parameters}
    settings = {"model", "do_sample", "top_k", "compile"}  # of transformers and generate()

    assert set(re.findall(r"`(\w+)=", PAGE)) - known == settings

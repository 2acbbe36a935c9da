"""Short songs for the pages and the notebooks."""

from typing import Any

import pytest

FEW_STEPS = 2  # of a masked model, unless a page asks for four or fewer and prints each of them


@pytest.fixture
def short_songs(request, monkeypatch):
    """Cut every song to ``LONGEST_SONG`` frames of the test's file, unless it is shorter anyway.

    Masked songs keep their length, which pages print, and are generated in few steps. Songs that
    are edited keep theirs.
    """
    from songgen_hf import MaskedSongPipeline, SongGenForConditionalGeneration

    longest = request.module.LONGEST_SONG
    masked_call = MaskedSongPipeline.__call__

    def generate_masked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("num_inference_steps", 99) > 2 * FEW_STEPS:
            kwargs["num_inference_steps"] = FEW_STEPS
        return masked_call(self, *args, **kwargs)

    monkeypatch.setattr(MaskedSongPipeline, "__call__", generate_masked)
    library_generate = SongGenForConditionalGeneration.generate

    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        known = kwargs.get("known_codes")
        if known is not None and (known < 0).any():  # not only a beginning
            return library_generate(self, *args, **kwargs)
        given = kwargs.get("max_new_frames") or longest
        kwargs["max_new_frames"] = min(given, longest)
        if kwargs.get("min_new_frames"):
            kwargs["min_new_frames"] = min(kwargs["min_new_frames"], longest)
        return library_generate(self, *args, **kwargs)

    monkeypatch.setattr(SongGenForConditionalGeneration, "generate", generate)

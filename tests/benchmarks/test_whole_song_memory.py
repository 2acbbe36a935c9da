"""The song of the measurement has the length asked for."""

from songgen_hf.pipelines.song_plan import plan


def test_the_song_whose_memory_is_measured_has_the_length_asked_for(benchmark):
    for seconds in (20, 60):
        made = plan(benchmark.WHOLE_LYRICS * (seconds // 20), window=16)

        assert made.seconds == seconds and {one.seconds for one in made.sections} == {10}

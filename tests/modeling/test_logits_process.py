"""The pattern's logits processor: its state gives the scores of a look at the whole history."""

import pytest
import torch
from transformers import LogitsProcessor

from songgen_hf.modeling.logits_process import CodebookPatternLogitsProcessor, StepProcessors
from songgen_hf.modeling.patterns import FREE, TRACK_PATTERNS, CodebookPattern

VOCABULARY, EOS, BOS = 12, 8, 9
FRAMES, CODEBOOKS, SONGS = 5, 3, 2


def processor_of(pattern: CodebookPattern, known: torch.Tensor | None, min_frames: int):
    return CodebookPatternLogitsProcessor(
        pattern,
        max_steps=pattern.num_steps(FRAMES) + 2,
        num_frames=FRAMES,
        min_frames=min_frames,
        bos_token_id=BOS,
        pad_token_id=EOS,
        eos_token_id=EOS,
        known_codes=known,
    )


def from_the_whole_history(processor, pattern, known, min_frames, ids, scores):
    """The scores by the definition of the rules, with the whole history at every step."""
    step, songs = ids.shape[1], len(ids) // pattern.num_rows
    table = pattern.forced_ids(
        pattern.num_steps(FRAMES) + 2, FRAMES, BOS, EOS, known_codes=known
    ).expand(songs, -1, -1)
    frames = pattern.cells(table.shape[-1])[1][:, step]
    ended = ((ids.view(songs, pattern.num_rows, step) == EOS) & (table[..., :step] == FREE)).any(-1)
    scores = scores.clone().view(songs, pattern.num_rows, -1)
    for song in range(songs):
        shortest = min_frames
        if known is not None:
            given = (known[song] != FREE).flatten(0, 1).any(dim=0).nonzero()
            shortest = max(shortest, int(given.max()) + 1 if len(given) else 0)
        for row in range(pattern.num_rows):
            first = row - row % pattern.num_codebooks
            lower = all(bool(ended[song, other]) for other in range(first, row))
            forced = int(table[song, row, step])
            if pattern.delay == 0 and ended[song, first]:
                forced = EOS
            if not lower or 0 <= frames[row] < shortest:
                scores[song, row, EOS] = -torch.inf
            if forced != FREE:
                scores[song, row] = -torch.inf
                scores[song, row, forced] = 0.0
    return scores.flatten(0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRACK_PATTERNS)
@pytest.mark.parametrize("seed", range(4))
def test_the_state_gives_the_scores_of_the_whole_history(name, seed):
    generator = torch.Generator().manual_seed(seed)
    pattern = CodebookPattern(name, CODEBOOKS)
    min_frames, known = seed % 3, None
    if seed % 2:
        shape = (SONGS, pattern.num_tracks, CODEBOOKS, 3)
        known = torch.randint(-1, 8, shape, generator=generator)
        known[0, :, :, 1:] = FREE  # songs of one batch know different numbers of frames
    processor = processor_of(pattern, known, min_frames)
    ids = torch.full((SONGS * pattern.num_rows, 1), BOS)

    for _ in range(1, pattern.num_steps(FRAMES) + 2):
        scores = torch.randn(len(ids), VOCABULARY, generator=generator)
        expected = from_the_whole_history(processor, pattern, known, min_frames, ids, scores)
        first = processor(ids, scores)

        assert torch.equal(first, expected)
        assert torch.equal(processor(ids, first), expected)  # it also runs last
        scores[:, EOS] += 2.0  # so that codebooks end at different steps
        chosen = processor(ids, scores).softmax(dim=-1).multinomial(1, generator=generator)
        ids = torch.cat([ids, chosen], dim=1)
    assert (ids == EOS).any()


def test_another_history_is_read_from_its_start():
    pattern = CodebookPattern("mixed", CODEBOOKS)
    processor, scores = processor_of(pattern, None, 0), torch.zeros(CODEBOOKS, VOCABULARY)
    ended = torch.tensor([[BOS, 1, EOS, EOS], [BOS, BOS, 1, 2], [BOS, BOS, BOS, 1]])
    going_on = torch.tensor([[BOS, 1, 2, 3], [BOS, BOS, 1, 2], [BOS, BOS, BOS, 1]])

    may_end = [processor(ids, scores)[1, EOS].isfinite() for ids in (ended, going_on, ended)]

    assert may_end == [True, False, True]
    assert not processor(going_on[:, :3], scores)[1, EOS].isfinite()


def test_processors_that_take_more_than_scores_are_still_found():
    class Scaled(LogitsProcessor):
        def __call__(self, input_ids, scores, factor):
            return scores * factor

    class Doubled(LogitsProcessor):
        def __call__(self, input_ids, scores):
            return scores * 2

    ids, scores = torch.zeros(1, 1, dtype=torch.int64), torch.ones(1, 4)

    assert StepProcessors([Doubled(), Doubled()])(ids, scores, other=1).eq(4).all()
    assert StepProcessors([Doubled(), Scaled()])(ids, scores, factor=3).eq(6).all()
    with pytest.raises(ValueError, match="required parameters"):
        StepProcessors([Scaled()])(ids, scores)

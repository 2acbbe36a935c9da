"""Words of text alone, and the phonemes that espeak-ng speaks for them."""

import pytest

from songgen_hf.data.corpus.spoken_words import spoken_lines, training_words
from songgen_hf.data.corpus.vocabulary import is_unseen, vocabulary


@pytest.mark.slow
def test_words_are_different_and_none_is_held_out():
    words = training_words(15000)

    assert len(set(words)) == len(words) == 15000
    assert not any(map(is_unseen, words))
    known = {text for forms in vocabulary().values() for text in forms.texts if text.isalpha()}
    assert known <= set(words)


def test_words_follow_the_seed():
    assert training_words(50) == training_words(50)
    assert training_words(50) != training_words(50, seed=1)
    with pytest.raises(ValueError, match="got 0 words to speak, expected 1 or more"):
        training_words(0)


@pytest.mark.debian
def test_every_word_of_a_line_has_phonemes():
    lines = list(spoken_lines(60))

    spoken = [word["word"] for line in lines for word in line["words"]]
    assert set(spoken) <= set(training_words(60)) and len(spoken) > 50
    for line in lines:
        assert line["lyrics"].split() == [word["word"] for word in line["words"]]
        indices = [phoneme["word"] for phoneme in line["phonemes"]]
        assert indices == sorted(indices) and set(indices) == set(range(len(line["words"])))
        assert all(phoneme["symbol"] for phoneme in line["phonemes"])

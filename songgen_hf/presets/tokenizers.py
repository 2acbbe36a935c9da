"""The two small tokenizers of the mini preset, and its processor.

The vocabularies are the tables in this module. They contain no third-party data and need no
training, so every machine builds the same ids. ``CAPTION_WORDS`` are the words that have ids of
their own and are therefore best in descriptions.
"""

from collections.abc import Iterable

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import DacFeatureExtractor, PreTrainedTokenizerFast

from ..modeling.lyrics_languages import LANGUAGES
from ..modeling.processing_songgen import (
    SongGenProcessor,
    build_voice_feature_extractor,
)
from ..modeling.tokenization_songgen import (
    LYRICS_SPACE,
    LYRICS_START,
    LYRICS_STOP,
    LYRICS_UNKNOWN,
    wrap_lyrics_tokenizer,
)

CAPTION_WORDS: dict[str, tuple[str, ...]] = {
    "genre": tuple(
        "pop rock folk jazz blues soul funk disco country reggae ska punk metal indie gospel "
        "electronic house techno trance ambient synthwave lofi hip-hop rap r&b latin bossa samba "
        "waltz march ballad lullaby anthem hymn shanty classical orchestral chamber cinematic "
        "swing bluegrass celtic acoustic dance".split()
    ),
    "instrument": tuple(
        "piano organ harpsichord accordion guitar bass banjo ukulele mandolin harp violin viola "
        "cello strings flute clarinet oboe saxophone trumpet trombone horn brass synth synthesizer "
        "pad lead pluck bell bells marimba vibraphone glockenspiel drums drum kick snare hat "
        "cymbal percussion tambourine shaker claps choir keys".split()
    ),
    "mood": tuple(
        "happy sad calm gentle soft tender warm bright dark dreamy hopeful joyful cheerful playful "
        "melancholic nostalgic lonely romantic peaceful relaxed quiet loud energetic powerful "
        "aggressive angry tense mysterious epic emotional uplifting lively groovy smooth moody "
        "intimate sweet bittersweet".split()
    ),
    "tempo": tuple(
        "slow fast medium moderate tempo upbeat downtempo midtempo driving steady bpm beat beats "
        "rhythm groove pulse largo adagio andante moderato allegro presto".split()
    ),
    "key": tuple(
        "major minor key mode sharp flat dorian mixolydian pentatonic chord chords scale a b c d e "
        "f g".split()
    ),
    "voice": tuple(
        "voice vocal vocals singer singing sung male female man woman boy girl child deep high low "
        "breathy husky clear solo duet harmony whispered tenor baritone alto soprano instrumental "
        "mezzo".split()
    ),
    "glue": tuple(
        "an the and or with without in on of at by for from to over under is are it its this that "
        "song track music tune melody piece verse chorus bridge intro outro sound style arpeggio "
        "arpeggios accompaniment accompanied backing plays played features featuring very "
        "simple short long one two three no not only like has meter time".split()
    ),
}

_BYTES = tuple(f"<0x{value:02X}>" for value in range(256))
_WORD_MARK = "▁"
_PUNCTUATION = "'.,;:!?-&#%()/\"+"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789"
# The letters of the Latin languages that the text cleaner supports; others become unknown ids.
_ACCENTED = "àáâäãåæçèéêëìíîïñòóôöõøœùúûüýßčěřšžąćęłńśźżőűğış"
LYRICS_CHARACTERS = list(dict.fromkeys(_LETTERS + _DIGITS + _PUNCTUATION + "’" + _ACCENTED))


def lyrics_marks() -> list[str]:
    """The tokens of every tokenizer of lyrics: marks and language tags."""
    tags = [f"[{language.tag}]" for language in LANGUAGES.values()]
    return [LYRICS_STOP, LYRICS_UNKNOWN, LYRICS_SPACE, LYRICS_START, *tags]


def build_text_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer of descriptions, with ids for caption words, letters and bytes.

    Text is converted to lower case. The end token is appended, so that an empty text has one id. No
    text contains the unknown token, because other characters are encoded as bytes.
    """
    words = [word for group in CAPTION_WORDS.values() for word in group]
    vocabulary: list[tuple[str, float]] = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(byte, 0.0) for byte in _BYTES]
    # Scores are log-probabilities: a word (-1) is more probable than its letters (-10 each).
    vocabulary += [(mark, -10.0) for mark in _WORD_MARK + _LETTERS + _DIGITS + _PUNCTUATION]
    vocabulary += [(_WORD_MARK + word, -1.0) for word in dict.fromkeys(words)]

    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
        model_input_names=["input_ids", "attention_mask"],
    )


def build_lyrics_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer of cleaned lyrics, with ids for characters, marks and language tags."""
    special = lyrics_marks()
    vocabulary = {token: index for index, token in enumerate([*special, *LYRICS_CHARACTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=LYRICS_UNKNOWN))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return wrap_lyrics_tokenizer(tokenizer)


def learn_lyrics_tokenizer(lyrics: Iterable[str], size: int) -> PreTrainedTokenizerFast:
    """Learn a tokenizer of lyrics whose words are pieces, as those of T5 (a unigram model).

    Args:
        lyrics: normalized lyrics, see :func:`normalize_lyrics`.
        size: number of ids, of which there are fewer if the lyrics have fewer pieces.
    Raises:
        ValueError: if the characters and marks alone need more ids.
    """
    special = lyrics_marks()
    least = len(special) + len(LYRICS_CHARACTERS)
    if size < least:
        raise ValueError(f"got {size} pieces of lyrics, expected at least {least}")
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.UnigramTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=LYRICS_CHARACTERS,
        unk_token=LYRICS_UNKNOWN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(lyrics, trainer)
    return wrap_lyrics_tokenizer(tokenizer)


def load_lyrics_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer, such as that of T5, as a tokenizer of lyrics.

    Args:
        name: a folder or a Hub repository; marks of lyrics that it lacks are added to it.
    Raises:
        OSError, ValueError: if there is no such tokenizer.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(name).backend_tokenizer
    tokenizer.add_special_tokens(lyrics_marks())  # those that are there keep their ids
    return wrap_lyrics_tokenizer(tokenizer)


def build_mini_processor(
    *, sampling_rate: int = 16000, hop_length: int = 320, voice_sampling_rate: int = 24000
) -> SongGenProcessor:
    """Build the processor of the mini preset.

    Args:
        sampling_rate: sampling rate of the codec in Hz.
        hop_length: number of samples of a codec frame.
        voice_sampling_rate: sampling rate of the voice encoder in Hz.
    """
    return SongGenProcessor(
        tokenizer=build_text_tokenizer(),
        lyrics_tokenizer=build_lyrics_tokenizer(),
        feature_extractor=DacFeatureExtractor(sampling_rate=sampling_rate, hop_length=hop_length),
        voice_feature_extractor=build_voice_feature_extractor(voice_sampling_rate),
    )

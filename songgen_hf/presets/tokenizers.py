"""The two small tokenizers of the mini preset, made in code from our own words, and its processor.

No third-party vocabulary and no training run is involved: the tables below are the vocabulary, so
every machine builds the same ids. ``CAPTION_WORDS`` are the words that captions are best written
with.
"""

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import DacFeatureExtractor, PreTrainedTokenizerFast

from songgen_hf.modeling.lyrics_languages import LANGUAGES
from songgen_hf.modeling.processing_songgen import (
    SongGenProcessor,
    build_voice_feature_extractor,
)
from songgen_hf.modeling.tokenization_songgen import (
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
# Enough for the Latin languages that the cleaner knows; others come out as unknown characters.
_ACCENTED = "àáâäãåæçèéêëìíîïñòóôöõøœùúûüýßčěřšžąćęłńśźżőűğış"


def build_text_tokenizer() -> PreTrainedTokenizerFast:
    """Tokenizer of the style text: caption words whole, others by letter, anything else by byte.

    Text is lower-cased; the end mark is appended, so that an empty text is one id. No text
    comes out as the unknown token.
    """
    words = [word for group in CAPTION_WORDS.values() for word in group]
    vocabulary: list[tuple[str, float]] = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(byte, 0.0) for byte in _BYTES]
    # Scores are log-probabilities: one whole word (-1) beats any way to spell it (-10 a letter).
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
    """Tokenizer of cleaned lyrics: one id a character, marks and language tags as upstream."""
    tags = [f"[{language.tag}]" for language in LANGUAGES.values()]
    special = [LYRICS_STOP, LYRICS_UNKNOWN, LYRICS_SPACE, LYRICS_START, *tags]
    characters = dict.fromkeys(_LETTERS + _DIGITS + _PUNCTUATION + "’" + _ACCENTED)
    vocabulary = {token: index for index, token in enumerate([*special, *characters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token=LYRICS_UNKNOWN))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return wrap_lyrics_tokenizer(tokenizer)


def build_mini_processor(
    *, sampling_rate: int = 16000, hop_length: int = 320, voice_sampling_rate: int = 24000
) -> SongGenProcessor:
    """Processor of the mini preset.

    Args:
        sampling_rate: rate of the codec, in Hz.
        hop_length: samples of one codec frame.
        voice_sampling_rate: rate of the voice encoder, in Hz.
    """
    return SongGenProcessor(
        tokenizer=build_text_tokenizer(),
        lyrics_tokenizer=build_lyrics_tokenizer(),
        feature_extractor=DacFeatureExtractor(sampling_rate=sampling_rate, hop_length=hop_length),
        voice_feature_extractor=build_voice_feature_extractor(voice_sampling_rate),
    )

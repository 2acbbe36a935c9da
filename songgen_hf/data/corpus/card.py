"""Writes the dataset card of a rendered corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files import write_files
from .genres import GENRES
from .instruments import FAMILIES, INSTRUMENTS
from .vocabulary import HELD_OUT_PER_HUNDRED
from .voices import SINGERS, drawn_singers, unheard_singers

_CARD = """---
license: apache-2.0
language:
- en
pretty_name: songgen-hf rendered songs
task_categories:
- text-to-audio
tags:
- music
- singing
- synthetic
configs:
- config_name: default
  data_files:
{data_files}---

# Rendered songs with exact labels

Short English songs, rendered from a seed: the time of every word, phoneme and note is known to the
millisecond, and the mixture is the exact sum of the two stems.

Rendered by `songgen-hf corpus` {how}; the same command gives the same files.

| split | songs | lines and words |
|---|---|---|
{splits}
## Columns

- `mixture`, `vocal`, `accompaniment`: FLAC bytes, 16 kHz, mono, 16 bit. `mixture` is the sum of
  the two stems, sample for sample, at -14 LUFS. Load with `Audio(decode=False)` and read the bytes
  with soundfile (`songgen_hf.data.corpus.rows.read_sound`).
- `lyrics` (with line breaks), `words` (word, start, end, line), `phonemes` (symbol in
  IPA, start, end, word), `notes` (MIDI pitch, from vowel onset to the next syllable or the end);
  times in seconds.
- `captions`: four phrasings of the metadata, of which the first is complete.
- `genre`, `mood`, `tempo` (bpm), `key`, `gender`, `voice_id`, `lead_instrument`, `lead_family`,
  `instruments` (lead first), `duration`, `sampling_rate`, `song_id`, `split`.
{unseen}

A reference voice for a song is the `vocal` of any other song with the same `voice_id`.

## How it is made

Lyrics: a grammar and a lexicon written for this project. A hash of its text assigns every line to
one split, so no line occurs in two splits. Voices: espeak-ng speaks at a flat pitch, WORLD
moves the speech onto a melody ({singers} singers). Accompaniment: FluidSynth with the FluidR3
soundfont (MIT license); {genres} genres, {instruments} General-MIDI instruments in
{families} families. No recording of any person is part of it.

## Limits

The voices are synthesized speech on notes: they have no dynamics of a trained voice and no
ornaments, and sing in one language. The lyrics are grammatical but mean little. The arrangements
are repeated patterns. The mood follows from genre and mode and is hardly audible beyond them.
"""
_SPLIT_NOTES = {
    "small": {
        "train": "lines of this split only; nine in ten words of the lexicon",
        "validation": "lines of this split only; the words of train",
        "test": "lines of this split only; also words that train never uses",
    },
    "large": {
        "train": "lines of this split only; 97 % of the words, 64 singers",
        "validation": "lines of this split only; also words and singers that train never uses",
        "test": "lines of this split only; also words and singers that train never uses",
    },
}
_UNSEEN_COLUMNS = {
    "small": "- `unseen_words`: dictionary forms in a test song that no training song uses.",
    "large": f"""- `unseen_words`: words of a validation or test song, as they are sung, that no
  training song uses ({HELD_OUT_PER_HUNDRED} % of all words, chosen by a hash of the word).
- `unseen_voice`: whether no training song has the singer, who is one of
  {", ".join(sorted(unheard_singers()))}.""",
}


def card_text(
    seed: int, songs: Mapping[str, int], voices: Sequence[str] = (), edition: str = "small"
) -> str:
    """The text of the dataset card of a corpus.

    Args:
        seed: seed of the corpus.
        songs: number of songs of each split; empty splits are left out.
        voices: names of the singers, if they were chosen.
        edition: ``small`` or ``large``.
    """
    large = edition == "large"
    everyone = SINGERS | drawn_singers() if large else SINGERS
    present = {split: count for split, count in songs.items() if count}
    how = f"with seed {seed}"
    how += f", edition {edition}" if large else ""
    how += f" and voices {', '.join(voices)}" if voices else ""
    return _CARD.format(
        data_files="".join(
            f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in present
        ),
        how=how,
        unseen=_UNSEEN_COLUMNS[edition],
        splits="".join(
            f"| {split} | {count} | {_SPLIT_NOTES[edition][split]} |\n"
            for split, count in present.items()
        ),
        singers=len(voices or everyone),
        genres=len(GENRES),
        instruments=len(INSTRUMENTS),
        families=len(FAMILIES),
    )


def write_card(
    folder: Path,
    *,
    seed: int,
    songs: Mapping[str, int],
    voices: Sequence[str] = (),
    edition: str = "small",
) -> None:
    """Write the dataset card, ``README.md``, into the folder of a corpus."""
    write_files({folder / "README.md": card_text(seed, songs, voices, edition).encode()})

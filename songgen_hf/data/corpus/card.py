"""Writes the dataset card of a rendered corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ...files import write_files
from .genres import GENRES
from .instruments import FAMILIES, INSTRUMENTS
from .singer import SINGERS

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
- `unseen_words`: dictionary forms in a test song that no training song uses.

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
    "train": "lines of this split only; nine in ten words of the lexicon",
    "validation": "lines of this split only; the words of train",
    "test": "lines of this split only; also words that train never uses",
}


def card_text(seed: int, songs: Mapping[str, int], voices: Sequence[str] = ()) -> str:
    """The text of the dataset card of a corpus.

    Args:
        seed: seed of the corpus.
        songs: number of songs of each split; empty splits are left out.
        voices: names of the singers, if they were chosen.
    """
    present = {split: count for split, count in songs.items() if count}
    return _CARD.format(
        data_files="".join(
            f"  - split: {split}\n    path: data/{split}-*.parquet\n" for split in present
        ),
        how=f"with seed {seed}" + (f" and voices {', '.join(voices)}" if voices else ""),
        splits="".join(
            f"| {split} | {count} | {_SPLIT_NOTES[split]} |\n" for split, count in present.items()
        ),
        singers=len(voices or SINGERS),
        genres=len(GENRES),
        instruments=len(INSTRUMENTS),
        families=len(FAMILIES),
    )


def write_card(
    folder: Path, *, seed: int, songs: Mapping[str, int], voices: Sequence[str] = ()
) -> None:
    """Write the dataset card, ``README.md``, into the folder of a corpus."""
    write_files({folder / "README.md": card_text(seed, songs, voices).encode()})

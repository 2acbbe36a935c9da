"""The dataset card of a rendered corpus."""

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

# Rendered songs with known truth

Short English songs made from a seed: every word, phoneme and note is known to the millisecond, and
both stems are exact. Rendered by `songgen-hf corpus` {how}; the same command gives the
same bytes.

| split | songs | lines and words |
|---|---|---|
{splits}
## Columns

- `mixture`, `vocal`, `accompaniment`: FLAC bytes, 16 kHz, mono, 16 bit. `mixture` is the sum of
  the two stems, sample for sample, at -14 LUFS. Load with `Audio(decode=False)` and read the bytes
  with soundfile (`songgen_hf.data.corpus.rows.read_sound`).
- `lyrics` (lines divided by a line break), `words` (word, start, end, line), `phonemes` (symbol in
  IPA, start, end, word), `notes` (MIDI pitch, from vowel onset to the next syllable or the end);
  times in seconds.
- `captions`: four phrasings of the metadata, the first complete, the others with parts left out.
- `genre`, `mood`, `tempo` (bpm), `key`, `gender`, `voice_id`, `lead_instrument`, `lead_family`,
  `instruments` (lead first), `duration`, `sampling_rate`, `song_id`, `split`.
- `unseen_words`: dictionary forms in a test song that no training song uses.

A reference voice for a song is the `vocal` of any other song with the same `voice_id`.

## How it is made

Words: a grammar over a lexicon written for this project. A line belongs to one split by a hash of
its text, so no line is shared between splits. Voices: espeak-ng speaks at a flat pitch, WORLD
puts the sound on a melody in key and time ({singers} singers). Band: FluidSynth with the FluidR3
soundfont (MIT license); {genres} genres, {instruments} General-MIDI instruments in
{families} families. No recording of any person is part of it.

## Limits

Speech synthesis set to notes, not singing: no dynamics of a trained voice, no ornaments, one
language. Lyrics are grammatical and mean little. The arrangements are patterns; moods follow genre
and mode and are hardly audible beyond them.
"""
_SPLIT_NOTES = {
    "train": "lines of their own; nine words in ten of the lexicon",
    "validation": "lines of their own; the words of train",
    "test": "lines of their own; also words that train never uses",
}


def card_text(seed: int, songs: Mapping[str, int], voices: Sequence[str] = ()) -> str:
    """The card of a corpus.

    Args:
        seed: of the corpus.
        songs: number of songs by split; empty splits are left out.
        voices: the singers, if they were chosen by name.
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
    """Write ``README.md`` into the folder of a corpus, whole or not at all."""
    write_files({folder / "README.md": card_text(seed, songs, voices).encode()})

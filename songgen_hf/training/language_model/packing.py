"""Packs the songs of a codes parquet for training with one model's tokenizers.

What is computed of a song at every epoch is computed once here: ids of captions and lyrics, the
phoneme and the lyrics token of each frame, and the voice at the model's sampling rate.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...data.packed import INDEX_FILE, PackedShard, is_packed, write_index, write_shard
from ...data.preparation.codes import DESCRIPTION_FILE, source_splits
from ...data.preparation.options import PackOptions
from ...data.tables import load_rows, source_digest
from ...files import encode_json, write_files
from ...modeling.audio_io import read_audio
from ..auxiliary.frame_labels import CATEGORY_COLUMNS, phoneme_frames
from ..auxiliary.guided_attention import sung_tokens, tokens_of_words
from .dataset import ANNOTATION_COLUMNS, CAPTION_COLUMNS, codes_of, value_of
from .packed_songs import CODE_COLUMNS, INTEGER_COLUMNS, NO_NAME, vocabulary_digest

NAME_COLUMNS = (*CATEGORY_COLUMNS, "language")
DEFAULT_LANGUAGE = "en"


def pack_songs(options: PackOptions, *, progress: bool = True) -> dict[str, int]:
    """Pack the songs of every split; an interrupted run is continued.

    Args:
        options: what to pack, and where to write it.
        progress: whether to show progress bars.
    Returns:
        The number of songs of each split.
    Raises:
        ValueError: if the output was packed with other options, or the source has no codes.
        OSError: if a file cannot be read or written.
    """
    from tqdm.auto import tqdm

    available = source_splits(options.source)
    splits = list(options.splits or available)
    for split in splits:
        if split not in available:
            raise ValueError(
                f"{options.source} has no split {split!r}: it has {', '.join(available)}"
            )
    rows = {split: load_rows(options.source, split, extra="prepare") for split in splits}
    packer = SongPacker(options, rows)
    write_identity(options, packer.identity)
    shards: dict[str, list[Path]] = {}
    for split in splits:
        with tqdm(total=len(rows[split]), unit="song", desc=split, disable=not progress) as bar:
            shards[split] = list(packer.write_split(split, rows[split], bar.update))
    phonemes = {
        name
        for path in sum(shards.values(), [])
        for name in PackedShard(path).facts["names"].get("phonemes", ())
    }
    write_index(options.output, packer.identity | {"phonemes": sorted(phonemes)}, shards)
    return {split: len(rows[split]) for split in splits}


def write_identity(options: PackOptions, identity: Mapping[str, Any]) -> None:
    """Write what the packed songs depend on, or compare it with a started folder.

    Raises:
        ValueError: if the folder holds songs that were packed otherwise.
    """
    path = options.output / INDEX_FILE
    if is_packed(options.output):
        found = json.loads(path.read_text(encoding="utf-8"))
        for name, value in identity.items():
            if found.get(name) != value:
                raise ValueError(
                    f"{options.output} was packed with another {name} ({found.get(name)!r}, now "
                    f"{value!r}): choose a new folder or remove the old one"
                )
        return
    contents = {path: encode_json(dict(identity))}
    codes = Path(options.source) / DESCRIPTION_FILE
    if codes.is_file():
        contents[options.output / DESCRIPTION_FILE] = codes.read_bytes()
    write_files(contents)


class SongPacker:
    """Makes packed columns of rows of songs.

    Args:
        options: what to pack.
        rows: the rows of every split, ``datasets.Dataset``.
    """

    def __init__(self, options: PackOptions, rows: Mapping[str, Any]):
        self.options = options
        self.processor = load_processor(options.model)
        self.codes = codes_description(options.source)
        columns = sorted(set.intersection(*(set(table.column_names) for table in rows.values())))
        if not set(CODE_COLUMNS) & set(columns):
            raise ValueError(
                f"{options.source} has no codes: it has {', '.join(columns)}; write them with "
                "songgen-hf prepare codes"
            )
        voice = options.voice_column if options.voice_column in columns else None
        rate = self.processor.voice_feature_extractor.sampling_rate
        captions = ["captions"] if set(CAPTION_COLUMNS) & set(columns) else []
        kept = {
            *CODE_COLUMNS,
            *ANNOTATION_COLUMNS,
            *NAME_COLUMNS,
            *INTEGER_COLUMNS,
            "lyrics",
            voice,
        }
        languages = {DEFAULT_LANGUAGE}
        if "language" in columns:
            languages |= {name for table in rows.values() for name in table.unique("language")}
        languages.discard(None)
        self.identity: dict[str, Any] = {
            "source_files": source_digest(options.source),
            "columns": [name for name in columns if name in kept] + captions,
            "voice": {"column": voice, "sampling_rate": rate, "clips": options.voice_clips},
            "tokenizers": {
                "text tokenizer": vocabulary_digest(self.processor.tokenizer),
                "lyrics tokenizer": vocabulary_digest(self.processor.lyrics_tokenizer),
            },
            "null_ids": {
                "text": self._text_ids(None),
                "lyrics": {name: self._lyrics_ids(None, name) for name in sorted(languages)},
            },
            "max_shard_size": options.max_shard_size,
        }
        self.voice = voice
        self.code_type = np.uint8 if self.codes["codebook_size"] <= 256 else np.uint16

    def write_split(self, split: str, rows: Any, advance: Any) -> Iterator[Path]:
        """Write the missing shards of a split and return the paths of all."""
        first, number = 0, 0
        arrow = self._undecoded(rows).with_format("arrow")
        limit = self.options.max_shard_size * 1e6
        while first < len(rows):
            path = self.options.output / f"{split}-{number:05d}.safetensors"
            if path.is_file():
                last = PackedShard(path).facts["last"]
                advance(last - first)
            else:
                last = self._write_shard(path, arrow, first, limit, advance)
            yield path
            first, number = last, number + 1

    def _write_shard(self, path: Path, rows: Any, first: int, limit: float, advance: Any) -> int:
        """Write songs from ``first`` on until the shard is full; return the number of the next."""
        names: dict[str, dict[str, int]] = {"phonemes": {}, **{name: {} for name in NAME_COLUMNS}}
        songs: list[dict[str, np.ndarray]] = []
        size, last = 10_000.0, first  # of the header
        while last < len(rows):
            song = self.pack(rows[last], names)
            size += sum(values.nbytes + 8 for values in song.values())
            if songs and size > limit:
                break
            songs.append(song)
            last += 1
            advance(1)
        columns = {name: [song[name] for song in songs] for name in songs[0]}
        facts = {"first": first, "last": last, "names": {k: list(v) for k, v in names.items()}}
        write_shard(path, columns, facts)
        return last

    def pack(self, row: Any, names: dict[str, dict[str, int]]) -> dict[str, np.ndarray]:
        """The columns of one song; new names are added to those of the shard."""
        columns = self.identity["columns"]
        codes = {name: codes_of(row, name) for name in CODE_COLUMNS if name in columns}
        packed = {
            name: values.reshape(levels, -1).T.astype(self.code_type)
            for name, (values, levels) in codes.items()
        }
        num_frames = max(len(values) for values in packed.values())
        language = value_of(row, "language") or DEFAULT_LANGUAGE
        lyrics = value_of(row, "lyrics")
        phonemes = value_of(row, "phonemes")
        for name in INTEGER_COLUMNS:
            if name in columns:
                packed[name] = np.array([value_of(row, name)], np.int32)
        if "captions" in columns:
            texts = [np.array(self._text_ids(text)) for text in captions_of(row)]
            packed |= joined("text", texts, ids_type(self.processor.tokenizer))
        if "lyrics" in columns:
            ids = self._lyrics_ids(lyrics, language) if lyrics is not None else []
            packed["lyrics"] = np.array(ids, ids_type(self.processor.lyrics_tokenizer))
        for name in NAME_COLUMNS:
            if name in columns:
                packed[name] = np.array([place_of(value_of(row, name), names[name])], np.int32)
        if "tempo" in columns:
            tempo = value_of(row, "tempo")
            packed["tempo"] = np.array([np.nan if tempo is None else tempo], np.float64)
        if "phonemes" in columns:
            packed |= self._phonemes(phonemes, num_frames, names["phonemes"])
        if "words" in columns:
            sung = self._sung(row, lyrics, language, phonemes, num_frames)
            packed["sung_tokens"] = sung.astype(np.int16)
        if self.voice is not None:
            packed |= joined("voice", self._clips(value_of(row, self.voice)), np.int16)
        return packed

    def _text_ids(self, text: str | None) -> list[int]:
        return self.processor(text=[text], return_tensors="np")["input_ids"][0].tolist()

    def _lyrics_ids(self, lyrics: str | None, language: str) -> list[int]:
        inputs = self.processor(lyrics=[lyrics], language=[language], return_tensors="np")
        return inputs["lyrics_ids"][0].tolist()

    def _phonemes(
        self, phonemes: Any, num_frames: int, names: dict[str, int]
    ) -> dict[str, np.ndarray]:
        """The phoneme of each frame, 0 for silence, and the phonemes of the song."""
        frames = np.zeros(0 if phonemes is None else num_frames, np.uint16)
        time = (np.arange(num_frames) + 0.5) / self.codes["frame_rate"]
        own = {}
        for first, last, symbol in phoneme_frames(phonemes or (), time):
            own[symbol] = place_of(symbol, names)
            frames[first:last] = own[symbol] + 1
        return {"phonemes": frames, "phoneme_names": np.array(list(own.values()), np.uint16)}

    def _sung(
        self, row: Any, lyrics: Any, language: str, phonemes: Any, num_frames: int
    ) -> np.ndarray:
        """The lyrics token of each frame; nothing if it is unknown."""
        words = value_of(row, "words")
        if not lyrics or not words or phonemes is None:
            return np.zeros(0)
        tokens = tokens_of_words(self.processor, lyrics, language)
        return sung_tokens(tokens, words, phonemes, num_frames, self.codes["frame_rate"]).numpy()

    def _clips(self, audio: Any) -> list[np.ndarray]:
        """The whole voice as int16, or clips of it."""
        if audio is None or (audio.get("bytes") is None and audio.get("path") is None):
            return []
        rate, seconds = self.identity["voice"]["sampling_rate"], self.processor.voice_seconds
        waveform = read_audio(audio, rate)
        scaled = np.clip(np.round(waveform * 32768), -32768, 32767).astype(np.int16)
        number, size = self.options.voice_clips, round(seconds * rate)
        if number == 0 or len(scaled) <= size:
            return [scaled]
        starts = np.linspace(0, len(scaled) - size, number).astype(int)
        return [scaled[start : start + size] for start in starts]

    def _undecoded(self, rows: Any) -> Any:
        from ...optional import require

        if self.voice is None:
            return rows
        audio = require("datasets", "prepare").Audio(decode=False)
        return rows.cast_column(self.voice, audio)


def captions_of(row: Any) -> list[str]:
    """The captions of a row: of the first column of captions that has any."""
    for name in CAPTION_COLUMNS:
        found = value_of(row, name)
        if isinstance(found, list):
            if found:
                return found
        elif found is not None:
            return [found]
    return []


def ids_type(tokenizer: Any) -> Any:
    """The smallest of two types that holds the ids of a tokenizer."""
    return np.uint16 if len(tokenizer) <= 65536 else np.int32


def joined(name: str, parts: list[np.ndarray], kind: Any) -> dict[str, np.ndarray]:
    """A column with several parts in each row, and the column of their lengths."""
    values = np.concatenate(parts) if parts else np.zeros(0)
    return {
        name: values.astype(kind),
        f"{name}_lengths": np.array([len(part) for part in parts], np.int32),
    }


def place_of(name: Any, names: dict[str, int]) -> int:
    """The number of a name, which is added if it is new; ``NO_NAME`` for None."""
    return NO_NAME if name is None else names.setdefault(str(name), len(names))


def codes_description(source: str) -> dict[str, Any]:
    """What ``prepare codes`` wrote about codes; the facts of the default codec without that."""
    path = Path(source) / DESCRIPTION_FILE
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    from ...modeling.configuration_xcodec import XCodecConfig

    codec = XCodecConfig()
    return {
        "frame_rate": codec.sample_rate / codec.hop_length,
        "codebook_size": codec.codebook_size,
    }


def load_processor(name: str) -> Any:
    """The processor of a checkpoint or of a preset."""
    from ...checkpoints.loading import resolve_checkpoint
    from ...modeling.processing_songgen import SongGenProcessor
    from ...presets import models as presets

    if name in presets.PRESETS and not Path(name).exists():
        return presets.build_processor(name)
    return SongGenProcessor.from_pretrained(resolve_checkpoint(name))


__all__ = ["SongPacker", "pack_songs"]

"""Measures a folder of songs: a row for every song first, then the numbers of the set.

One backbone after the other hears all songs, so that only one is in memory. Rows hold the scores of
single songs; every number of the set follows from rows and kept results, with a bootstrap interval
over songs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.embedded import find_checkpoint
from ...data.listening.spelling import lyrics_words
from ..backbones import networks
from ..backbones.aesthetics import Aesthetics
from ..backbones.phonemes import Phonemes, is_phoneme_recognizer
from ..backbones.resemblyzer import Resemblyzer
from ..backbones.voice_share import VoiceShare
from ..metrics.aesthetics import song_ratings
from ..metrics.band_agreement import key_agreement, tempo_agreement
from ..metrics.embedding_similarity import mean_direction, paired_cosines
from ..metrics.frechet_distance import Moments
from ..metrics.frechet_infinity import MAX_FRAMES, MIN_FRAMES, STEPS, frechet_infinity
from ..metrics.phoneme_error_rate import phoneme_edits
from ..metrics.swapped_tracks import swapped_scores
from ..metrics.tag_divergence import tag_distribution, tag_divergences
from ..metrics.tempo import TOLERANCE
from ..metrics.word_error_rate import normalizer, word_edits
from .folders import MeasuredSong, prompts_digest, read_songs, songs_digest
from .listening import SIGNAL, Listener
from .options import SongsOptions
from .scores import Score, frechet_score, score_of_rows


@dataclass
class Measurement:
    """What was found in a folder of songs.

    Args:
        songs: the songs, in the order of the rows.
        rows: the scores of every song, by name.
        scores: the numbers of the set, by name.
        settings: everything that the numbers depend on besides the songs.
        skipped: why a metric was left out, by name.
    """

    songs: list[MeasuredSong]
    rows: list[dict[str, Any]]
    scores: dict[str, Score] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


def measure_songs(options: SongsOptions) -> Measurement:
    """Measure a folder of songs with the models that the options name.

    Raises:
        ValueError: if a model, a sound or a prompt cannot be read, or for ``voice_from="vocal"`` if
            a song has no vocal.
        OSError: if a folder holds no songs.
        ImportError: if espeak-ng or a package is missing.
    """
    work = options.cache_folder
    songs = read_songs(options.generated, options.prompts, work / "sounds")
    references = read_songs(options.reference, None, work / "sounds") if options.reference else []
    listener = Listener(
        work, options.loudness if options.normalize else None, progress=options.progress
    )
    run = _Run(options, listener, songs, references)
    run.signal()
    for metric in (
        *(run.clap, run.frames, run.vggish, run.tags, run.words),
        *(run.singer, run.resemblyzer, run.aesthetics, run.tracks),
    ):
        metric()
    run.found.settings |= {
        "num_songs": len(songs),
        "num_prompts": len(run.prompts),
        "seeds": run.seeds or None,
        "prompts": prompts_digest(songs),
        "reference": songs_digest(references) if references else None,
        "num_references": len(references),
        "loudness": listener.loudness,
        "voice_from": options.voice_from,
        "separator": options.separator,
        "seed": options.seed,
        "draws": options.draws,
        "fad_draws": options.fad_draws,
    }
    return run.found


class _Run:
    """One measurement; each method adds one kind of metric."""

    def __init__(
        self,
        options: SongsOptions,
        listener: Listener,
        songs: list[MeasuredSong],
        references: list[MeasuredSong],
    ) -> None:
        self.options, self.listener = options, listener
        self.songs, self.references = songs, references
        self.by_id = {song.prompt: song for song in references}
        self.prompts = sorted({song.prompt for song in songs})
        self.seeds = sorted({song.seed for song in songs if song.seed is not None})
        rows = [{"id": song.id, "prompt": song.prompt, "seed": song.seed} for song in songs]
        self.found = Measurement(songs, rows)
        self.model: dict[str, Any] = {"device": options.device, "batch_size": options.batch_size}

    def signal(self) -> None:
        """Loudness, clipping, silence, bandwidth, and whether tempo and key are the requested."""
        for song, row in zip(
            self.listener.each(self.songs, "signal"), self.found.rows, strict=True
        ):
            row |= self.listener.measure(song.path)
            if song.tempo is not None:
                row["tempo"] = float(abs(row["measured_tempo"] / song.tempo - 1) <= TOLERANCE)
            if song.key is not None:
                row["key"] = float(row["measured_key"] == song.key)
        for name in (*SIGNAL, "tempo", "key"):
            self._mean(name)

    def clap(self) -> None:
        """CLAP score and the Frechet distance of CLAP."""
        if (name := self.options.clap) is None:
            return
        backbone = self._load(networks.Clap, name, hop_seconds=self.options.clap_hop)
        self.found.settings["clap"] = backbone.settings
        if not any(song.text for song in self.songs):
            self.found.skipped["clap_score"] = "no song has a description"
        for song, row in self._each(self.songs, "CLAP"):
            if song.text:
                heard = mean_direction(self._hear(backbone, song.path, "embeddings"))
                read = backbone.text(song.text)
                row["clap_score"] = float(paired_cosines(heard[None], read[None])[0])
        self._mean("clap_score")
        self._frechet("clap", backbone)

    def frames(self) -> None:
        """Frechet distance of the states of a self-supervised model."""
        if (name := self.options.frames) is None:
            return
        backbone = self._load(networks.HiddenStates, name, layer=self.options.frames_layer)
        self.found.settings["frames"] = backbone.settings
        self._frechet("frames", backbone)

    def vggish(self) -> None:
        """Frechet distance of VGGish."""
        if (name := self.options.vggish) is None:
            return
        backbone = networks.Vggish(name, **self.model)
        self.found.settings["vggish"] = backbone.settings
        self._frechet("vggish", backbone)

    def tags(self) -> None:
        """Divergence of the tags from those of the reference song of the same name."""
        if (name := self.options.tagger) is None:
            return
        pairs = self._pairs("tag_divergence")
        backbone = self._load(networks.Tagger, name)
        self.found.settings["tagger"] = backbone.settings
        for song, row in self._each(pairs, "tags"):
            ours, theirs = (
                tag_distribution(self._hear(backbone, path, "logits"))[None]
                for path in (song.path, self.by_id[song.prompt].path)
            )
            row["tag_divergence"] = float(tag_divergences(theirs, ours)[0])
        self._mean("tag_divergence")

    def words(self) -> None:
        """Word and phoneme error rate of the songs with lyrics."""
        if (name := self.options.recognizer) is None:
            return
        name = find_checkpoint(name)
        with_lyrics = [song for song in self.songs if song.lyrics]
        if is_phoneme_recognizer(*networks.name_and_revision(name)):
            self._phonemes(self._load(Phonemes, name), with_lyrics)
            return
        if not with_lyrics:
            self.found.skipped["wer"] = "no song has lyrics"
        paths = {song.id: self._voice_path(song) for song in with_lyrics}
        backbone = self._load(networks.Recognizer, name, language=self.options.language)
        spellings = backbone.spellings if self.options.normalizer == "english" else {}
        normalize = normalizer(self.options.normalizer, spellings)
        self.found.settings["recognizer"] = {
            **backbone.settings,
            "normalizer": self.options.normalizer,
            "spellings": len(spellings),
        }
        english = self._has_phonemes()
        for song, row in self._each(with_lyrics, "words"):
            text = str(self._hear(backbone, paths[song.id], "text")[0])
            edits, lengths = word_edits([song.lyrics or ""], [text], normalize)
            row |= {"heard": text, "wer_edits": int(edits[0]), "wer_length": int(lengths[0])}
            if english:
                row |= _phoneme_row(song, _phonemes(text))
        self._ratio("wer")
        self._ratio("per")

    def _phonemes(self, backbone: Phonemes, with_lyrics: list[MeasuredSong]) -> None:
        """Phoneme error rate by a network that hears phonemes instead of words."""
        self.found.settings["recognizer"] = backbone.settings
        self.found.skipped["wer"] = "the recognizer hears phonemes; a Whisper model hears words"
        if not with_lyrics:
            self.found.skipped["per"] = "no song has lyrics"
        elif self._has_phonemes():
            paths = {song.id: self._voice_path(song) for song in with_lyrics}
            for song, row in self._each(with_lyrics, "phonemes"):
                heard = self._hear(backbone, paths[song.id], "phonemes").tolist()
                row |= {"heard": " ".join(heard), **_phoneme_row(song, heard)}
            self._ratio("per")

    def singer(self) -> None:
        """Similarity of the voice with the reference voice, or the vocal of the reference song."""
        if (name := self.options.singer) is None:
            return
        backbone = self._load(networks.Singer, name)
        self.found.settings["singer"] = backbone.settings
        self._voices(backbone, "singer_similarity")

    def resemblyzer(self) -> None:
        """Similarity of the same voices by Resemblyzer's voice encoder."""
        if (name := self.options.resemblyzer) is None:
            return
        backbone = Resemblyzer(name, **self.model)
        self.found.settings["resemblyzer"] = backbone.settings
        self._voices(backbone, "singer_similarity_resemblyzer")

    def _voices(self, backbone: networks.Backbone, metric: str) -> None:
        voices = {}
        for song in self.songs:
            pair = self.by_id.get(song.prompt)
            if voice := song.voice or (pair.vocal if pair else None):
                voices[song.id] = voice
        with_voice = [song for song in self.songs if song.id in voices]
        if not with_voice:
            self.found.skipped[metric] = "no song has a reference voice"
        paths = {song.id: self._voice_path(song) for song in with_voice}
        for song, row in self._each(with_voice, metric):
            ours, theirs = (
                mean_direction(self._hear(backbone, path, "embeddings"))[None]
                for path in (paths[song.id], voices[song.id])
            )
            row[metric] = float(paired_cosines(ours, theirs)[0])
        self._mean(metric)

    def aesthetics(self) -> None:
        """Ratings of Audiobox Aesthetics."""
        if (name := self.options.aesthetics) is None:
            return
        backbone = self._load(Aesthetics, name)
        self.found.settings["aesthetics"] = backbone.settings
        for song, row in self._each(self.songs, "aesthetics"):
            heard = self.listener.hear(backbone, song.path)
            for axis, rating in song_ratings(heard["ratings"], heard["seconds"]).items():
                row[f"aesthetics_{axis.lower()}"] = rating
        for axis in ("ce", "cu", "pc", "pq"):
            self._mean(f"aesthetics_{axis}")

    def tracks(self) -> None:
        """Swapped tracks, and agreement of the vocal with the accompaniment."""
        pairs = [song for song in self.songs if song.vocal and song.accompaniment]
        if not pairs:
            return
        backbone = VoiceShare(self.options.voice_separator, self.options.device)
        self.found.settings["voice_separator"] = backbone.settings
        for song, row in self._each(pairs, "tracks"):
            paths = [path for path in (song.vocal, song.accompaniment) if path is not None]
            shares = [self._hear(backbone, path, "share")[None] for path in paths]
            keys, tempi = (
                [[self.listener.measure(path)[name]] for path in paths]
                for name in ("measured_key", "measured_tempo")
            )
            row["swapped"] = float(swapped_scores(*shares)[0])
            row["key_with_band"] = float(key_agreement(*keys)[0])
            row["tempo_with_band"] = float(tempo_agreement(*tempi)[0])
        for name in ("swapped", "key_with_band", "tempo_with_band"):
            self._mean(name)

    def _load(self, kind: Any, name: str, **options: Any) -> Any:
        """Load a backbone by the name of its model, perhaps with a revision."""
        base, revision = networks.name_and_revision(name)
        return kind(base, revision=revision, **self.model, **options)

    def _has_phonemes(self) -> bool:
        """Whether the phonemes of the lyrics can be found; if not, the reason is kept."""
        if self.options.language != "en":
            self.found.skipped["per"] = "the phonemes of lyrics are known for English (en) alone"
            return False
        try:
            lyrics_words("a")
        except ImportError as error:
            self.found.skipped["per"] = str(error)
            return False
        return True

    def _each(self, songs: Sequence[MeasuredSong], description: str) -> Any:
        """Pairs of a song and its row, with a progress bar."""
        rows = {row["id"]: row for row in self.found.rows}
        return ((song, rows[song.id]) for song in self.listener.each(songs, description))

    def _hear(self, backbone: networks.Backbone, path: Path, name: str) -> np.ndarray:
        return self.listener.hear(backbone, path)[name]

    def _pairs(self, metric: str) -> list[MeasuredSong]:
        pairs = [song for song in self.songs if song.prompt in self.by_id]
        if not pairs:
            self.found.skipped[metric] = (
                "no reference song has the name of a generated song; give --reference"
            )
        return pairs

    def _voice_path(self, song: MeasuredSong) -> Path:
        if self.options.voice_from == "mixture":
            return song.path
        if song.vocal is None:
            raise ValueError(
                f"{song.id!r} has no vocal beside it: generate with --stems, or measure with "
                "--voice-from mixture"
            )
        return song.vocal

    def _mean(self, name: str) -> None:
        if rows := [row for row in self.found.rows if name in row]:
            self.found.scores[name] = self._score(rows, [row[name] for row in rows])

    def _ratio(self, name: str) -> None:
        rows = [row for row in self.found.rows if f"{name}_edits" in row]
        edits = [row[f"{name}_edits"] for row in rows]
        lengths = [row[f"{name}_length"] for row in rows]
        if rows and not sum(lengths):
            self.found.skipped[name] = "the lyrics hold no words"
        elif rows:
            self.found.scores[name] = self._score(rows, edits, lengths)

    def _score(
        self,
        rows: Sequence[dict[str, Any]],
        values: Sequence[float],
        lengths: Sequence[float] | None = None,
    ) -> Score:
        return score_of_rows(
            rows,
            values,
            lengths,
            seeds=self.seeds,
            seed=self.options.seed,
            draws=self.options.draws,
        )

    def _frechet(self, name: str, backbone: networks.Backbone) -> None:
        """Add the Frechet distance of all frames of both folders, and its extrapolation."""
        if not self.references:
            self.found.skipped[f"fad_{name}"] = "no reference songs; give --reference"
            return
        reference = Moments.pooled(
            Moments.of(self._hear(backbone, song.path, "embeddings"))
            for song in self.listener.each(self.references, f"{name}, reference")
        )
        frames = [
            self._hear(backbone, song.path, "embeddings")
            for song in self.listener.each(self.songs, name)
        ]
        self.found.scores[f"fad_{name}"] = frechet_score(
            frames, self.songs, reference, seed=self.options.seed, draws=self.options.fad_draws
        )
        if (count := sum(map(len, frames))) <= MIN_FRAMES:
            self.found.skipped[f"fad_{name}_infinity"] = (
                f"{count} frames, expected more than {MIN_FRAMES}"
            )
            return
        line = frechet_infinity(
            np.concatenate(frames),
            reference,
            seed=self.options.seed,
            replacement=self.options.replacement,
        )
        self.found.scores[f"fad_{name}_infinity"] = Score(line.distance, None, len(frames))
        self.found.settings["fad_infinity"] = {
            "steps": STEPS,
            "min_frames": MIN_FRAMES,
            "max_frames": MAX_FRAMES,
            "replacement": self.options.replacement,
        }


def _phonemes(text: str) -> list[str]:
    return [phoneme for word in lyrics_words(text) for phoneme in word.phonemes]


def _phoneme_row(song: MeasuredSong, heard: Sequence[str]) -> dict[str, int]:
    edits, lengths = phoneme_edits([_phonemes(song.lyrics or "")], [heard])
    return {"per_edits": int(edits[0]), "per_length": int(lengths[0])}


__all__ = ["Measurement", "measure_songs"]

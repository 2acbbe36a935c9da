"""The backbones of the metrics: each hears one waveform and returns arrays.

A backbone has a sampling rate and ``settings``: the model's name and revision, and everything else
that its numbers depend on. The settings are written to metric cards and are part of the keys under
which results are kept. Classes of transformers load Hub ids and folders alike; no code of a
repository is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ...checkpoints.devices import checked_device
from ...data.listening.clap import ClapEmbedder, cut_windows
from ...data.preparation.stages import loading
from ...modeling.checkpoint_files import cached_commit, load_fitting
from ...provenance import identity
from .vggish import SAMPLING_RATE as VGGISH_RATE
from .vggish import VGGish, log_mels
from .weights import file_settings, read_weights_file

WINDOW_SECONDS = 30.0
"""Longest part of a song that a network without a length of its own hears at once."""
_SHORTEST_SECONDS = 1.0


def name_and_revision(name: str) -> tuple[str, str | None]:
    """Split ``owner/name@revision`` of the Hub; a path stays as it is."""
    base, at, revision = name.partition("@")
    return (base, revision) if at and not Path(name).exists() else (name, None)


class Backbone(Protocol):
    """What the table of songs needs of a network."""

    sampling_rate: int
    settings: dict[str, Any]

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Hear a waveform, float32 [S] at ``sampling_rate``, and return named arrays."""


def model_settings(name: str, revision: str | None) -> dict[str, Any]:
    """The name of a model without its path, and its commit or the hash of its weights."""
    found, version = identity(name, cached_commit(name, revision))
    return {"model": found, "revision": version}


class Clap:
    """CLAP: ``embeddings`` [windows, D]; :meth:`text` embeds descriptions.

    Args:
        name: Hub id or folder of a CLAP model.
        device: name of a device.
        revision: branch, tag or commit of a Hub id.
        batch_size: windows that are heard at once.
        hop_seconds: from one window to the next; by default the length of a window.
    """

    def __init__(
        self,
        name: str,
        device: str = "cpu",
        *,
        revision: str | None = None,
        batch_size: int = 8,
        hop_seconds: float | None = None,
    ) -> None:
        with loading(f"the CLAP model {name!r}"):
            self.embedder = ClapEmbedder(name, checked_device(device), revision=revision)
        self.sampling_rate = self.embedder.sampling_rate
        window = self.embedder.window / self.sampling_rate
        self.batch_size, self.hop_seconds = batch_size, hop_seconds or window
        self.settings = {
            **model_settings(name, revision),
            "sampling_rate": self.sampling_rate,
            "window_seconds": window,
            "hop_seconds": self.hop_seconds,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Embed the windows of a waveform."""
        found = self.embedder.audio(
            waveform, hop_seconds=self.hop_seconds, batch_size=self.batch_size
        )
        return {"embeddings": found}

    def text(self, text: str) -> np.ndarray:
        """Embed a description as [D]."""
        return self.embedder.text([text])[0]


class HiddenStates:
    """MERT, HuBERT, WavLM or wav2vec 2.0: ``embeddings`` [frames, D], the states of one layer.

    MERT is a HuBERT with other names in its configuration; its own class is not needed.

    Args:
        name: Hub id or folder.
        device, revision, batch_size: as for :class:`Clap`.
        layer: 0 for the input of the first layer to the number of layers; by default the last.
    """

    def __init__(
        self,
        name: str,
        device: str = "cpu",
        *,
        revision: str | None = None,
        batch_size: int = 8,
        layer: int | None = None,
    ) -> None:
        from transformers import Wav2Vec2FeatureExtractor

        with loading(f"the model {name!r}"):
            model = _hubert_like(name, revision)
            self.extractor = Wav2Vec2FeatureExtractor.from_pretrained(name, revision=revision)
        layers = getattr(model.config, "num_hidden_layers", None)
        if layers is None or not hasattr(model, "feature_extractor"):
            raise ValueError(
                f"{name} is a {model.config.model_type} model: expected MERT, HuBERT, WavLM or "
                "wav2vec 2.0"
            )
        self.layer = layers if layer is None else layer
        if not 0 <= self.layer <= layers:
            raise ValueError(f"{name} has the layers 0 to {layers}: got {layer}")
        self.model = model.eval().to(checked_device(device))
        self.batch_size = batch_size
        self.sampling_rate = int(self.extractor.sampling_rate)
        self.settings = {
            **model_settings(name, revision),
            "layer": self.layer,
            "sampling_rate": self.sampling_rate,
            "window_seconds": WINDOW_SECONDS,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the states of all frames of a waveform."""
        import torch

        found = []
        for batch in _equal_batches(waveform, self.sampling_rate, WINDOW_SECONDS, self.batch_size):
            inputs = self.extractor(batch, sampling_rate=self.sampling_rate, return_tensors="pt")
            with torch.inference_mode():
                output = self.model(
                    inputs["input_values"].to(self.model.device), output_hidden_states=True
                )
            last = self.layer == self.model.config.num_hidden_layers
            states = output.last_hidden_state if last else output.hidden_states[self.layer]
            found.append(states.flatten(0, 1).float().cpu().numpy())
        return {"embeddings": np.concatenate(found)}


class Vggish:
    """VGGish: ``embeddings`` [examples, 128], one for every 0.96 s.

    Args:
        name: a file of its weights (``.pth`` or ``.safetensors``, names as in torchvggish), or a
            folder with a single such file.
        device, batch_size: as for :class:`Clap`.
    """

    def __init__(self, name: str, device: str = "cpu", *, batch_size: int = 8) -> None:
        with loading(f"VGGish from {name!r}"):
            path, weights = read_weights_file(
                name, "torchvggish's vggish-10086976.pth", unused="pca"
            )
            model = VGGish.from_weights(weights)
        self.model = model.to(checked_device(device))
        self.batch_size, self.sampling_rate = batch_size, VGGISH_RATE
        self.settings = {
            **file_settings(path, model),
            "sampling_rate": self.sampling_rate,
            "relu": False,
            "pca": False,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Embed the examples of a waveform."""
        import torch

        device = next(self.model.parameters()).device
        with torch.inference_mode():
            found = [
                self.model(examples.to(device)).cpu()
                for examples in torch.from_numpy(log_mels(waveform)).split(self.batch_size)
            ]
        return {"embeddings": torch.cat(found).numpy()}


class Tagger:
    """A classifier of audio, such as AST: ``logits`` [windows, tags].

    Args:
        name: Hub id or folder of a model for audio classification.
        device, revision, batch_size: as for :class:`Clap`.
    """

    window_seconds = 10.0

    def __init__(
        self, name: str, device: str = "cpu", *, revision: str | None = None, batch_size: int = 8
    ) -> None:
        from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

        with loading(f"the tagger {name!r}"):
            model = _complete(AutoModelForAudioClassification, name, revision)
            self.extractor = AutoFeatureExtractor.from_pretrained(name, revision=revision)
        self.model = model.eval().to(checked_device(device))
        self.batch_size = batch_size
        self.sampling_rate = int(self.extractor.sampling_rate)
        self.settings = {
            **model_settings(name, revision),
            "sampling_rate": self.sampling_rate,
            "window_seconds": self.window_seconds,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the logits of the windows of a waveform."""
        import torch

        found = []
        rate = self.sampling_rate
        for batch in _equal_batches(waveform, rate, self.window_seconds, self.batch_size):
            inputs = self.extractor(batch, sampling_rate=rate, return_tensors="pt")
            with torch.inference_mode():
                found.append(self.model(**inputs.to(self.model.device)).logits.float().cpu())
        return {"logits": torch.cat(found).numpy()}


class Singer:
    """A network of speaker verification, such as WavLM's x-vectors: ``embeddings`` [windows, D].

    Args:
        name: Hub id or folder of a model for x-vectors.
        device, revision, batch_size: as for :class:`Clap`.
    """

    def __init__(
        self, name: str, device: str = "cpu", *, revision: str | None = None, batch_size: int = 8
    ) -> None:
        from transformers import AutoModelForAudioXVector, Wav2Vec2FeatureExtractor

        with loading(f"the x-vector model {name!r}"):
            model = _complete(AutoModelForAudioXVector, name, revision)
            self.extractor = Wav2Vec2FeatureExtractor.from_pretrained(name, revision=revision)
        self.model = model.eval().to(checked_device(device))
        self.batch_size = batch_size
        self.sampling_rate = int(self.extractor.sampling_rate)
        self.settings = {
            **model_settings(name, revision),
            "sampling_rate": self.sampling_rate,
            "window_seconds": WINDOW_SECONDS,
        }

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Embed the voice in the windows of a waveform."""
        import torch

        found = []
        for batch in _equal_batches(waveform, self.sampling_rate, WINDOW_SECONDS, self.batch_size):
            inputs = self.extractor(batch, sampling_rate=self.sampling_rate, return_tensors="pt")
            with torch.inference_mode():
                output = self.model(inputs["input_values"].to(self.model.device))
            found.append(output.embeddings.float().cpu())
        return {"embeddings": torch.cat(found).numpy()}


class Recognizer:
    """A speech recognizer, such as Whisper: ``text``, an array of one string.

    Args:
        name: Hub id or folder of a model for speech recognition.
        device, revision, batch_size: as for :class:`Clap`.
        language: language of the lyrics, which a multilingual Whisper is told; None to let it
            identify the language.
    """

    def __init__(
        self,
        name: str,
        device: str = "cpu",
        *,
        revision: str | None = None,
        batch_size: int = 8,
        language: str | None = "en",
    ) -> None:
        from transformers import pipeline

        with loading(f"the speech recognition model {name!r}"):
            self.pipeline = pipeline(
                "automatic-speech-recognition",
                model=name,
                revision=revision,
                device=checked_device(device),
                dtype="auto",
            )
        self.sampling_rate = int(self.pipeline.feature_extractor.sampling_rate)
        self.batch_size = batch_size
        self.arguments: dict[str, Any] = {}
        multilingual = getattr(self.pipeline.model.generation_config, "lang_to_id", None)
        if self.pipeline.type == "seq2seq_whisper":
            told = {"language": language, "task": "transcribe"} if multilingual else {}
            # Timestamps, by which Whisper divides songs of more than 30 s.
            self.arguments = {
                "return_timestamps": True,
                "generate_kwargs": {**told, "num_beams": 1, "do_sample": False},
            }
        self.settings = {
            **model_settings(name, revision),
            "sampling_rate": self.sampling_rate,
            "dtype": str(self.pipeline.model.dtype).removeprefix("torch."),
            "language": language,
        }

    @property
    def spellings(self) -> dict[str, str]:
        """British spellings with their American ones, if the model brings them."""
        return getattr(self.pipeline.tokenizer, "english_spelling_normalizer", None) or {}

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Return the words of a waveform."""
        sound = {"raw": waveform, "sampling_rate": self.sampling_rate}
        output = self.pipeline(sound, **self.arguments)
        return {"text": np.array([" ".join(output["text"].split())])}


def _equal_batches(
    waveform: np.ndarray, rate: int, seconds: float, batch_size: int
) -> Iterator[list[np.ndarray]]:
    """Batches of windows of equal length, since padding would change their results."""
    shortest = round(_SHORTEST_SECONDS * rate)
    waveform = np.pad(waveform, (0, max(0, shortest - len(waveform))))
    window = round(seconds * rate)
    windows = cut_windows(waveform, window, window, shortest)
    whole = [one for one in windows if len(one) == window]
    for start in range(0, len(whole), batch_size):
        yield whole[start : start + batch_size]
    yield from ([one] for one in windows[len(whole) :])


def _complete(kind: Any, name: str, revision: str | None, **options: Any) -> Any:
    """Load a model of transformers in float32, all of whose weights are in the checkpoint."""
    options |= {"revision": revision, "dtype": "float32", "output_loading_info": True}
    model, report = load_fitting(lambda: kind.from_pretrained(name, **options), name, strict=False)
    missing = [key for key in report.get("missing_keys", ()) if "masked_spec_embed" not in str(key)]
    if missing:
        raise ValueError(
            f"{name} lacks {len(missing)} weights of {type(model).__name__}, such as "
            f"{sorted(map(str, missing))[0]}: choose a model that was trained for this"
        )
    return model


def _hubert_like(name: str, revision: str | None) -> Any:
    from transformers import AutoModel, HubertConfig, HubertModel, PreTrainedConfig

    facts, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    if facts.get("model_type") != "mert_model":
        return _complete(AutoModel, name, revision)
    extra = {
        key: facts.get(key)
        for key in ("feature_extractor_cqt", "deepnorm", "attention_relax")
        if facts.get(key) not in (None, False) and facts.get(key) != -1.0
    }
    if extra:
        raise ValueError(
            f"{name} has parts that HuBERT lacks ({', '.join(extra)}): use a MERT without them, "
            "such as m-a-p/MERT-v1-95M or m-a-p/MERT-v1-330M"
        )
    config = HubertConfig.from_dict({**facts, "model_type": "hubert"})
    return _complete(HubertModel, name, revision, config=config)


__all__ = [
    "WINDOW_SECONDS",
    "Backbone",
    "Clap",
    "HiddenStates",
    "Recognizer",
    "Singer",
    "Tagger",
    "Vggish",
    "model_settings",
    "name_and_revision",
]

"""Requests of the song pipelines: checks the arguments of a call and returns one dict per input.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

REQUEST_KEYS = (
    "text",
    "lyrics",
    "reference_voice",
    "voice_start",
    "separate_voice",
    "audio_prompt",
    "language",
    "seconds",
    "negative_text",
    "song",
    "regions",
    "keep_track",
    "keep_codebooks",
    "seed",
)
MODES = ("autoregressive", "masked")
MAX_SEED = 2**63 - 1
MAX_SECONDS = 3600.0
"""Longest song of one call, in seconds."""

EXACT_OR_BOUNDED = "seconds is the length: leave min_seconds and max_seconds out"


def plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, and anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def check_seconds(name: str, value: Any, *, longest: float = MAX_SECONDS) -> None:
    """Check that an argument is None or a duration in seconds.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is not above 0, or exceeds ``longest``.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(plain(value), int | float):
        raise TypeError(f"{name} must be a number of seconds: got {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite: got {value!r}")
    if value > longest:
        raise ValueError(f"{name} must be at most {longest:g} seconds: got {value:g}")


def check_length(
    seconds: Any, min_seconds: Any, max_seconds: Any, *, longest: float = MAX_SECONDS
) -> None:
    """Check the durations of a song.

    In every pipeline, durations count what is generated, without an audio prompt: ``seconds`` is
    the exact length, ``min_seconds`` and ``max_seconds`` are bounds of the length that the model
    chooses.

    Raises:
        TypeError: if one of them is not a number.
        ValueError: if one of them is out of range, if a length is given with bounds, or if the
            lower bound exceeds the upper one.
    """
    durations = {"seconds": seconds, "min_seconds": min_seconds, "max_seconds": max_seconds}
    for name, value in durations.items():
        check_seconds(name, value, longest=longest)
    if seconds is not None and (min_seconds is not None or max_seconds is not None):
        raise ValueError(EXACT_OR_BOUNDED)
    if None not in (min_seconds, max_seconds) and min_seconds > max_seconds:
        raise ValueError(
            f"min_seconds must not exceed max_seconds: got {min_seconds:g} and {max_seconds:g}"
        )


def check_lyrics(lyrics: Any) -> None:
    """Check that lyrics are None, blank, or have letters or digits to sing.

    Raises:
        TypeError: if they are not a string.
        ValueError: if they have signs alone, which a model sings as noise.
    """
    if not isinstance(lyrics, str | None):
        raise TypeError(f"lyrics must be a string or None: got {type(lyrics).__name__}")
    # The processor refuses lone surrogates by their position.
    sung = any(sign.isalnum() or "\ud800" <= sign <= "\udfff" for sign in lyrics or "")
    if lyrics and lyrics.strip() and not sung:
        raise ValueError(
            f"lyrics have no letter or digit to sing: got {lyrics.strip()[:40]!r}; write words, or "
            "leave them empty for a song without"
        )


def check_voices(requests: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError if requests have settings of a reference voice, and none has a voice."""
    if any(request.get("reference_voice") is not None for request in requests):
        return
    for request in requests:
        unset = {"voice_start": (None, 0), "separate_voice": (None, False, "never", "auto")}
        for name, values in unset.items():
            if (value := request.get(name)) not in values:
                raise ValueError(
                    f"{name} is {value!r}, but there is no reference voice: give one, or leave "
                    f"{name} out"
                )


def check_settings(settings: Mapping[str, Any]) -> None:
    """Check the settings of a call that the library would refuse late or in many lines.

    Raises:
        ValueError: for a batch size that is no integer from 1 up, a ``top_p`` out of range, or
            another output than songs.
    """
    size = settings.get("batch_size")
    if size is not None and (type(size) is not int or size < 1):
        raise ValueError(f"batch_size must be an integer of at least 1: got {size!r}")
    top_p = settings.get("top_p")
    if isinstance(top_p, int | float) and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1: got {top_p!r}")
    if settings.get("return_dict_in_generate"):
        raise ValueError(
            "return_dict_in_generate is an argument of the model's generate(), pipelines return "
            "songs: leave it out"
        )


def check_mode(mode: Any) -> str:
    """Return a checked mode.

    Raises:
        ValueError: unless it is one of ``MODES``.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}: expected {' or '.join(map(repr, MODES))}")
    return str(mode)


def make_requests(
    text: Any,
    shared: Mapping[str, Any],
    seed: Any,
    num_return_sequences: int,
) -> dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]]:
    """Return the requests of a call: one for one input, a list for a list, else an iterator.

    Args:
        text: a text, a request dict, or a list, generator or dataset of them.
        shared: the other arguments of the call; with a list of inputs, a list holds one value for
            each input.
        seed: seed of the first song, one for each input, or None to draw seeds.
        num_return_sequences: number of songs for each input, which have consecutive seeds.
    Raises:
        TypeError: if an argument has a wrong type.
        ValueError: for unknown keys, lists of different lengths, a seed out of range, or settings
            of a reference voice without one.
    """
    if isinstance(text, str | Mapping):
        request = make_request(text, shared, input_seeds(seed, 1, num_return_sequences)[0])
        check_voices([request])
        return request
    if isinstance(text, list | tuple):
        columns = {name: one_per_input(name, value, len(text)) for name, value in shared.items()}
        seeds = input_seeds(seed, len(text), num_return_sequences)
        rows = [{name: column[i] for name, column in columns.items()} for i in range(len(text))]
        requests = [
            make_request(item, row, own_seed)
            for item, row, own_seed in zip(text, rows, seeds, strict=True)
        ]
        check_voices(requests)
        return requests
    if isinstance(text, Iterable) or hasattr(text, "__getitem__"):
        return lazy_requests(text, shared, seed, num_return_sequences)
    raise TypeError(
        "text must be a string, a request dict, or a list, generator or dataset of them: got "
        f"{type(text).__name__}"
    )


def make_request(item: Any, shared: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Return one checked request, in which the keys of an input replace the call's arguments.

    Args:
        item: a text, or a mapping with some of ``REQUEST_KEYS``.
        shared: the arguments of the call.
        seed: seed of an input that has none.
    """
    own = {"text": item} if isinstance(item, str) else item
    if not isinstance(own, Mapping):
        raise TypeError(f"an input must be a string or a request dict: got {type(item).__name__}")
    unknown = [str(key) for key in own if key not in REQUEST_KEYS]
    if unknown:
        raise ValueError(
            f"unknown key in a request: got {', '.join(unknown)}, "
            f"expected some of {', '.join(REQUEST_KEYS)}"
        )
    request = {name: plain(value) for name, value in {**shared, **own}.items()}
    if not isinstance(request.get("text"), str):
        raise TypeError(
            f'text must be a string ("" for none): got {type(request.get("text")).__name__}'
        )
    check_lyrics(request["lyrics"])
    request["seed"] = seed if request.get("seed") is None else check_seed(request["seed"])
    return request


def lazy_requests(
    inputs: Any,
    shared: Mapping[str, Any],
    seed: int | list[int] | None,
    num_return_sequences: int,
) -> Iterator[dict[str, Any]]:
    """Return an iterator over the requests of a generator or dataset.

    The arguments are those of :func:`make_requests`, but lists are refused.
    """
    if isinstance(seed, list | tuple):
        raise ValueError(
            "a list of seeds needs a list of inputs: give one seed, or one in each request dict"
        )
    for name, value in shared.items():
        if isinstance(value, list):
            raise ValueError(
                f"a list for {name} needs a list of inputs: give request dicts with the key {name}"
            )
    items = (
        iter(inputs) if isinstance(inputs, Iterable) else (inputs[i] for i in range(len(inputs)))
    )
    first = None if seed is None else check_seed(seed)
    return (
        make_request(
            item,
            shared,
            draw_seed() if first is None else seed_after(first, i * num_return_sequences),
        )
        for i, item in enumerate(items)
    )


def separate_voices(
    requests: Sequence[Mapping[str, Any]],
    separator: Callable[..., tuple[Any, float]] | None,
    seconds: float,
) -> list[dict[str, Any]]:
    """Remove the accompaniment from the reference voices of requests that ask for it.

    Args:
        requests: checked requests.
        separator: called as ``separator(reference_voice, voice_start, seconds=, separate=)``, with
            the ``separate_voice`` of the request; returns another voice and its start.
        seconds: length of the used part of a voice.
    Returns:
        The requests with the voices to use.
    Raises:
        ValueError: if a voice is to be separated, but there is no separator.
    """
    separated = []
    for request in requests:
        voice, separate = _voice_of(request["reference_voice"]), request["separate_voice"]
        if voice is None or separate is False or separate == "never":
            separated.append({**request, "reference_voice": voice})
            continue
        if separator is None:
            raise ValueError(
                f"separate_voice is {separate!r}, but this pipeline has no separator: load it with "
                'songgen-hf (pipeline("text-to-song", model=...)), or separate the voice beforehand'
            )
        voice, start = separator(voice, request["voice_start"], seconds=seconds, separate=separate)
        separated.append({**request, "reference_voice": voice, "voice_start": start})
    return separated


def prepare_inputs(processor: Any, requests: Sequence[Mapping[str, Any]]) -> Any:
    """Run the processor on the texts, lyrics and voices of checked requests, one row per request.

    Audio prompts are not part of the result.
    """
    names = ("text", "lyrics", "reference_voice", "voice_start", "language", "negative_text")
    columns = {name: [request[name] for request in requests] for name in names}
    columns["reference_voice"] = [_voice_of(voice) for voice in columns["reference_voice"]]
    return processor(**columns, return_tensors="pt")


def _voice_of(source: Any) -> Any:
    """The vocal of a song of a pipeline that has one, and any other recording as it is."""
    if isinstance(source, Mapping) and source.get("vocal") is not None:
        return source["vocal"], source["sampling_rate"]
    return source


def one_per_input(name: str, value: Any, count: int) -> list[Any]:
    """Return an argument as a list with one value for each input."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have one entry for each of the {count} texts: got {len(value)}"
        )
    return value


def input_seeds(seed: Any, count: int, num_return_sequences: int) -> list[int]:
    """Return the seed of the first song of each input; without a seed they are drawn."""
    if seed is None:
        return [draw_seed() for _ in range(count)]
    if isinstance(seed, list | tuple):
        if len(seed) != count:
            raise ValueError(
                f"seed must be one integer or one for each of the {count} inputs: got {len(seed)}"
            )
        return [check_seed(value) for value in seed]
    first = check_seed(seed)
    return [seed_after(first, i * num_return_sequences) for i in range(count)]


def check_seed(seed: Any) -> int:
    """Return a checked seed as an int.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if a torch generator does not accept it.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer: got {seed!r}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be between 0 and 2**63 - 1: got {seed}")
    return int(seed)


def seed_after(seed: int, steps: int) -> int:
    """Return the seed ``steps`` after a seed; 0 follows ``MAX_SEED``."""
    return (seed + steps) % (MAX_SEED + 1)


def draw_seed() -> int:
    """Draw a seed of at most ten digits from the random source of the operating system."""
    return secrets.randbelow(2**31)


__all__ = [
    "EXACT_OR_BOUNDED",
    "MAX_SEED",
    "MODES",
    "REQUEST_KEYS",
    "check_length",
    "check_lyrics",
    "check_mode",
    "check_seconds",
    "check_settings",
    "check_seed",
    "check_voices",
    "make_requests",
    "prepare_inputs",
    "seed_after",
    "separate_voices",
]

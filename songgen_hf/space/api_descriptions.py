"""What the endpoints of the API say about arguments that several of them have."""

from collections.abc import Callable
from typing import Any

SETTINGS = """            lyrics: words to sing, one line of the song on each line.
            text: style description in English, such as "a warm folk song, female voice".
            voice_start: second at which the used part of the reference voice begins.
            mode: "mixed", "two tracks" or "few steps", if the Space has a model for it.
            seconds: earlier name of max_seconds.
            seed: whole number; the same seed and settings give the same song. Random if left out.
            guidance: how closely the song follows what is given, 1 to 10; 1 is off.
            top_k: sample from the k most likely codes; not used in the mode "few steps".
            temperature: sampling temperature, 0.05 to 2.
            steps: number of steps in the mode "few steps", 1 to 64.
            variations: number of songs, with the seeds seed, seed + 1, and so on.
            adapter: LoRA adapter, a name of this Space or a Hub id; several as "a:0.7, b:0.3".
            adapter_weight: weight of the adapter, 0 to 2.
            best_of: number of takes, of which the one with the clearest words is the first.
            guidance_text: guidance of the description, 1 to 10; 0 for that of guidance.
            guidance_lyrics: guidance of the lyrics, 1 to 10; 0 for that of guidance.
            guidance_voice: guidance of the reference voice, 1 to 10; 0 for that of guidance.
            whole: true for a whole song, sung section by section: lines under [intro], [verse],
                [chorus], [bridge], [inst] or [outro], with a length if you like, as [inst 8s].
            window: seconds that the model hears and sings at a time in a whole song.
            context: seconds of a whole song that each section continues.
            repeat_chorus: whether a chorus with the words of an earlier one sounds the same.
            voice: recording of about three seconds of a singer to imitate.
            max_seconds: largest length of the song in seconds."""
EDIT = """            song_id: id of a song of this session.
            lyrics: lyrics of the whole song; those of the song if left out.
            mode: mode of a model with as many tracks; that of the song if left out.
            seed: whole number; random if left out."""


def described(function: Callable[..., Any]) -> Callable[..., Any]:
    """Put the descriptions of settings into the docstring of an endpoint."""
    document = function.__doc__ or ""
    document = document.replace("        {settings}", SETTINGS).replace("        {edit}", EDIT)
    function.__doc__ = document
    return function


__all__ = ["EDIT", "SETTINGS", "described"]

"""The HTML of a song: its player with pictures and words, its takes and its files.

``player.js`` plays what the attributes of the card name: finished tracks, or the parts of a song
that is still being generated.
"""

import json
import os
from collections.abc import Sequence
from html import escape
from string import ascii_uppercase
from typing import Any
from urllib.parse import quote

from .edits import CONTINUE
from .live_songs import LiveSong
from .markup import made_of
from .pictures import HEIGHT, WIDTH
from .section_markup import clock, marks, section_cards, word_button
from .settings import Settings
from .song_files import Song
from .strings import ENGLISH, Say

_PLAY = '<path d="M8 5.5v13l11-6.5z"/>'
_PAUSE = '<path d="M7 5h3.6v14H7zM13.4 5H17v14h-3.6z"/>'


def song_view(song: Song, takes: Sequence[Song] = (), say: Say = ENGLISH) -> str:
    """The player, the takes, the downloads and the link of a song.

    Args:
        song: the song.
        takes: the songs of its family, the oldest first.
        say: words of the page.
    """
    played = song.tracks[1:] or song.tracks
    pictures = {
        track.name: f'<img src="{_url(track.picture)}" width="{WIDTH}" height="{HEIGHT}" '
        f'alt="{escape(_of(song, track.name, "picture", say))}">'
        for track in played
    }
    attributes = {
        "data-sources": json.dumps({track.name: _url(track.audio) for track in played}),
        "data-seconds": f"{song.seconds:.3f}",
        "data-balance": str(song.balance),
        "data-link": link(song),
        **({"data-unfinished": "yes"} if song.is_unfinished else {}),
    }
    return _card(
        song.id,
        song.family or song.id,
        _head(song.title, song.settings, _facts(song, say)),
        pictures,
        attributes,
        say,
        title=song.title,
        words="" if song.sections else _words(song, say),
        over=marks(song.sections),
        below=section_cards(song.sections, say, song=song, plays=True)
        + _rest(song, say)
        + _downloads(song, say)
        + _takes(song, takes, say)
        + _links(song, say),
    )


def live_view(live: LiveSong, say: Say = ENGLISH) -> str:
    """The player of a song that is being generated; :func:`feed` tells of its sound."""
    settings = live.settings
    title = Song(live.id, settings, live.with_voice, (), live.folder).title
    facts = [say("singing"), say(f"mode:{settings.mode}"), say("with_seed", seed=settings.seed)]
    stop = f'<button type="button" class="sg-small" data-sg="stop">{escape(say("stop"))}</button>'
    return _card(
        live.id,
        live.parent.family if live.parent else live.id,
        _head(title, settings, facts),
        dict.fromkeys(live.tracks, f'<canvas width="{WIDTH}" height="{HEIGHT}"></canvas>'),
        {
            "data-live": "yes",
            "data-seconds": f"{live.longest:.3f}",
            # Of a song that is continued, the last two seconds before.
            "data-from": f"{max(0.0, live.parent.seconds - 2) if live.made == CONTINUE else 0:g}",
        },
        say,
        title=title,
        over=marks(live.sections),
        below=section_cards(live.sections, say, plays=True) + f'<div class="sg-links">{stop}</div>',
    )


def feed(live: LiveSong) -> str:
    """What the player of a song fetches next: how many parts of its sound there are."""
    told = {
        "song": live.id,
        "rate": live.sampling_rate,
        "tracks": live.tracks,
        "section": live.section,
        "rewinds": live.rewinds,
        "parts": [_url(part) for part in live.parts],
    }
    return f'<div hidden data-feed="{escape(json.dumps(told))}"></div>'


def link(song: Song) -> str:
    """The link that restores the settings of a song; absolute on the Hub, relative elsewhere."""
    space = os.environ.get("SPACE_ID")
    base = f"https://huggingface.co/spaces/{space}" if space else ""
    return f"{base}?{song.settings.query(voice=song.with_voice)}"


def _card(
    song_id: str,
    family: str,
    head: str,
    pictures: dict[str, str],
    attributes: dict[str, str],
    say: Say,
    *,
    title: str,
    words: str = "",
    over: str = "",
    below: str = "",
) -> str:
    labels = {
        "data-play": say("play", title=title),
        "data-pause": say("pause", title=title),
        "data-at": say("position_at", at="{at}", all="{all}"),
        "data-buffering": say("buffering"),
    }
    named = " ".join(f'{key}="{escape(value)}"' for key, value in {**attributes, **labels}.items())
    seconds = attributes["data-seconds"]
    lanes = "".join(
        f'<div class="sg-lane" data-track="{name}">{picture}<span>{escape(say(f"track:{name}"))}'
        "</span></div>"
        for name, picture in pictures.items()
    )
    mixer = "".join(_mixer(name, say) for name in pictures) if len(pictures) > 1 else ""
    return f"""
<article class="sg-song" data-song="{song_id}" data-family="{family}" {named}>
  {head}
  <div class="sg-transport">
    <button type="button" class="sg-play" data-sg="play" aria-label="{escape(labels["data-play"])}"
     ><svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><g class="sg-icon-play"
     >{_PLAY}</g><g class="sg-icon-pause">{_PAUSE}</g></svg></button>
    <p class="sg-line" aria-hidden="true"></p>
    <span class="sg-time"><b>0:00</b> / <span>{clock(float(seconds))}</span></span>
  </div>
  <div class="sg-stage">
    {words}
    <div class="sg-lanes">
      {lanes}{over}<b class="sg-region" hidden></b><i class="sg-now" aria-hidden="true"></i>
      <input type="range" data-sg="seek" min="0" max="{seconds}" step="0.1" value="0"
       aria-label="{escape(say("position", title=title))}">
    </div>
  </div>
  {f'<div class="sg-mixer">{mixer}</div>' if mixer else ""}
  {below}
</article>"""


def _head(title: str, settings: Settings, facts: Sequence[str]) -> str:
    text = f'<p class="sg-text" lang="en">{escape(settings.text)}</p>' if settings.text else ""
    return f"""<div class="sg-song-head"><h2>{escape(title)}</h2>
    <p>{escape(" · ".join(facts))}</p>{text}</div>"""


def _facts(song: Song, say: Say) -> list[str]:
    settings = song.settings
    mode, seed = say(f"mode:{settings.mode}"), say("with_seed", seed=settings.seed)
    facts = [f"{song.seconds:.1f} s", mode, seed]
    if song.made:
        facts.append(made_of(song, say))
    if settings.adapter:
        facts.append(say("with_adapter", name=settings.adapter))
    if song.with_voice:
        facts.append(say("with_voice"))
    if song.balance:
        facts.append(say("with_balance", balance=f"{song.balance:+d}"))
    if song.lines:
        share = song.timed["coverage"]["share"]
        facts.append(say("coverage", percent=round(100 * share)))
    return facts


def _words(song: Song, say: Say) -> str:
    """The sung words as buttons, which ``player.js`` places at their times."""
    buttons: list[str] = []
    for number, line in enumerate(song.lines):
        buttons += filter(None, (word_button(word, number) for word in line["words"]))
    if not buttons:
        return ""
    label = escape(say("words"))
    return (
        f'<div class="sg-words" role="group" aria-label="{label}" data-roving>'
        f"{''.join(buttons)}</div>"
    )


def _mixer(name: str, say: Say) -> str:
    track = say(f"track:{name}")
    buttons = "".join(
        f'<button type="button" class="sg-small" data-sg="{what}" data-track="{name}" '
        f'aria-pressed="false" aria-label="{escape(say(f"{what}_label", track=track))}">'
        f"{escape(say(what))}</button>"
        for what in ("mute", "solo")
    )
    return f'<span class="sg-channel"><strong>{escape(track)}</strong>{buttons}</span>'


def _downloads(song: Song, say: Say) -> str:
    """The links to the sound files."""
    links = "".join(
        f'<a class="sg-link" href="{_url(track.audio)}" download="{escape(track.audio.name)}" '
        f'data-name="{track.name}" aria-label="{escape(_of(song, track.name, "download", say))}">'
        f"{escape(say(f'track:{track.name}'))}</a>"
        for track in song.tracks
    )
    return f'<p class="sg-downloads"><span>{escape(say("download"))}</span>{links}</p>'


def _takes(song: Song, takes: Sequence[Song], say: Say) -> str:
    """The takes of a song, with their scores, and the way back to the song before an edit."""
    if len(takes) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-song="{take.id}" data-action="show" '
        f'aria-pressed="{"true" if take.id == song.id else "false"}">'
        f"<b>{ascii_uppercase[place % 26]}</b><small>{escape(_take_facts(take, say))}</small>"
        "</button>"
        for place, take in enumerate(takes)
    )
    undo = ""
    if any(take.id == song.parent for take in takes):
        undo = (
            f'<button type="button" class="sg-small" data-song="{song.parent}" '
            f'data-action="show">{escape(say("undo"))}</button>'
        )
    label = escape(say("takes_label"))
    return (
        f'<div class="sg-takes"><h3>{escape(say("takes"))}</h3>'
        f'<div role="group" aria-label="{label}" data-roving>{buttons}</div>{undo}</div>'
    )


def _take_facts(take: Song, say: Say) -> str:
    facts = made_of(take, say) if take.made != "take" else say("with_seed", seed=take.settings.seed)
    if take.score is None:
        return facts
    score = f"{take.score:.2f}".replace("-", "−")
    return f"{facts} · {say('score', score=score)}"


def _rest(song: Song, say: Say) -> str:
    """The button that sings the rest of a stopped whole song."""
    if not song.is_unfinished:
        return ""
    return (
        f'<p class="sg-rest"><button type="button" class="sg-small" data-resing="rest" '
        f'data-song="{song.id}">{escape(say("section_rest"))}</button></p>'
    )


def _links(song: Song, say: Say) -> str:
    files: dict[str, Any] = {**song.lyrics_files, "settings": song.sidecar}
    downloads = "".join(
        f'<a class="sg-link" href="{_url(path)}" download="{escape(path.name)}">'
        f"{escape(say(name))}</a>"
        for name, path in files.items()
    )
    told = " ".join(f'data-{key}="{escape(say(key))}"' for key in ("copied", "shown"))
    return f"""<div class="sg-links">
    <a class="sg-link" href="{escape(link(song))}" data-sg="copy" {told}
     data-ask="{escape(say("copy_this"))}">{escape(say("copy"))}</a>{downloads}
  </div>"""


def _of(song: Song, track: str, what: str, say: Say) -> str:
    """The label of something that a track of a song has."""
    key = "picture" if what == "picture" else f"{what}_label"
    name = say(f"track:{track}")
    return say(
        key, track=name.lower() if say("sing") == ENGLISH("sing") else name, title=song.title
    )


def _url(path: object) -> str:
    """The address of a file that gradio serves, relative to the page."""
    return f"gradio_api/file={quote(str(path))}"


__all__ = ["feed", "link", "live_view", "song_view"]

"""The page as Blocks: put together from controls; what visitors wrote is shown as text."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from songgen_hf.space import Limits, Settings, build_demo
from songgen_hf.space.controls import CONTROLS, Control, Page
from songgen_hf.space.form import restored, shown_in
from songgen_hf.space.generation import Progress
from songgen_hf.space.markup import (
    done,
    empty_stage,
    footer,
    header,
    history_view,
    note,
    problem,
    progress,
    song_view,
)
from songgen_hf.space.settings import FIELDS
from songgen_hf.space.song_files import Song, Track
from songgen_hf.space.song_service import BROKEN, told

from ..tools.serving import idle_loops_closed

EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>"


@pytest.fixture
def built(pipelines, space_folder):
    """Factory of demos that are not started; closed at the end."""
    demos = []

    def build(*arguments, **options):
        with idle_loops_closed():
            demos.append(build_demo(*(arguments or (pipelines,)), **options))
        return demos[-1]

    yield build
    for demo in demos:
        demo.desk.shelf.close()


class Seen(HTMLParser):
    """Tags and attributes of a piece of HTML; balanced, or it fails."""

    VOID = {"img", "input", "path", "rect", "br"}

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def evil_song(tmp_path: Path) -> Song:
    """A song of a visitor who tries to write HTML."""
    settings = Settings(lyrics=EVIL, text=EVIL, adapter=EVIL, seed=7, mode="two tracks")
    path = tmp_path / 'a song\'s & "name".wav'
    tracks = tuple(Track(name, path, path, 1.5) for name in ("mix", "vocal", "band"))
    return Song("id", settings, True, tracks, path.with_suffix(".json"), 20)


def test_what_a_visitor_wrote_is_never_a_tag(tmp_path):
    song = evil_song(tmp_path)
    pieces = [song_view(song), history_view([song, song], "id"), problem(EVIL), note(EVIL),
              footer(EVIL)]  # fmt: skip

    for piece in pieces:
        seen = Seen(piece)
        assert "script" not in seen.tags
        assert not any(name.startswith("on") for name, _ in seen.attributes)
        assert not any(name == "src" and value == "x" for name, value in seen.attributes)


@pytest.mark.parametrize(
    "piece",
    [header("x"), empty_stage(), progress(Progress()), done([]), history_view([], None),
     progress(Progress(2, 3, 0.5, 12.0, waiting=False))],
)  # fmt: skip
def test_the_pages_own_html_is_balanced(piece):
    Seen(piece)


def test_progress_is_said_in_words_and_as_a_number():
    piece = progress(Progress(2, 3, 0.43, 12.4, waiting=False))

    assert "Singing song 2 of 3" in piece and "43 % · at most 12 s left" in piece
    assert 'role="progressbar"' in piece and 'aria-valuenow="43"' in piece
    assert 'data-say="Singing song 2 of 3, 25 percent"' in piece


def test_errors_are_told_only_where_the_visitor_can_help(caplog):
    assert told(ValueError("the seed is odd")) == "The seed is odd."
    assert told(RuntimeError("/secret/path")) == BROKEN
    assert "secret" in caplog.text or caplog.records


@pytest.mark.slow
def test_every_field_has_a_component_in_its_order(built):
    demo = built()

    assert len(restored(Settings())) == len(FIELDS) + 4
    labels = [block.label for block in demo.blocks.values() if getattr(block, "label", None)]
    for label in ("Lyrics", "Description", "Mode", "Length (seconds)", "Seed", "Guidance",
                  "Temperature", "Top-k", "Steps", "Variations", "Adapter (LoRA)", "Genre", "Mood",
                  "Instruments", "Voice", "Balance"):  # fmt: skip
        assert label in labels, label


@pytest.mark.slow
def test_every_component_that_is_used_has_a_label(built):
    import gradio as gr

    for block in built().blocks.values():
        if isinstance(block, gr.components.FormComponent) and block.visible is not False:
            assert block.label, block


def test_one_pipeline_offers_its_own_mode_only(built, pipelines):
    demo = built(pipelines["two tracks"], defaults=Settings(seconds=100.0))

    assert demo.desk.singer.modes == ("two tracks",)
    assert demo.desk.defaults.mode == "two tracks"
    assert demo.desk.defaults.seconds == demo.desk.limits.seconds < 30


@pytest.mark.slow
def test_the_controls_of_few_steps_are_there_for_them_alone(built, pipelines, tiny_masked):
    demo = built(tiny_masked())
    shown = {
        block.label: block.visible
        for block in demo.blocks.values()
        if getattr(block, "elem_id", None) is None and getattr(block, "label", None)
    }

    assert demo.desk.singer.modes == ("few steps",)
    assert shown["Steps"] and shown["Guidance"] and shown["Temperature"]
    assert not (shown["Top-k"] or shown["Adapter (LoRA)"] or shown["Adapter weight"])
    demo = built({**pipelines, "few steps": tiny_masked()})
    hidden = [block for block in demo.blocks.values() if getattr(block, "label", "") == "Steps"]
    assert demo.desk.defaults.mode == "mixed" and hidden[0].visible is False


def test_an_adapter_does_not_follow_into_the_mode_that_refuses_it():
    steps, top_k, adapter, weight = shown_in("few steps")

    assert steps["visible"] and not (top_k["visible"] or weight["visible"])
    assert (adapter["visible"], adapter["value"]) == (False, "")
    assert all("value" not in update for update in shown_in("mixed"))


@pytest.mark.slow
def test_a_later_control_is_one_class(built):
    import gradio as gr

    class Backwards(Control):
        """Plays a song from its end."""

        def draw(self):
            self.button = gr.Button("Backwards")
            self.outputs = [self.button]

        def view(self, song, songs):
            return [gr.update(interactive=song is not None)]

        def wire(self, page: Page):
            self.page = page
            self.button.click(lambda: page.show("nobody", None, ""), None, page.outputs)

    demo = built(controls=[*CONTROLS, Backwards])

    buttons = [
        block for block in demo.blocks.values() if getattr(block, "value", "") == "Backwards"
    ]
    assert len(buttons) == 1


@pytest.mark.slow
def test_what_controls_show_fits_what_they_update(built, tmp_path):
    demo = built(limits=Limits(seconds=2.0))
    controls = [kind(demo.desk) for kind in CONTROLS]
    with idle_loops_closed():
        import gradio as gr

        with gr.Blocks():
            for control in controls:
                control.draw()

    for song in (None, evil_song(tmp_path)):
        for control in controls:
            assert len(control.view(song, [song] if song else [])) == len(control.outputs)


def test_the_queue_is_bounded(built):
    demo = built(limits=Limits(waiting=3, concurrency=2))

    assert demo._queue.max_size == 3
    assert demo._queue.default_concurrency_limit == 2


@pytest.mark.slow
def test_closing_the_page_deletes_its_folder(built):
    demo = built()
    folder = demo.desk.shelf.root
    assert folder.is_dir()

    demo.close(verbose=False)

    assert not folder.exists()

"""The page: its components, its controls, and the escaping of text from visitors."""

import json
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from songgen_hf.space import api
from songgen_hf.space.app import build_demo
from songgen_hf.space.controls import CONTROLS, Control, Page
from songgen_hf.space.error_messages import INTERNAL_ERROR, Told, error_message
from songgen_hf.space.form import restored, shown_in
from songgen_hf.space.limits import Limits
from songgen_hf.space.markup import (
    done,
    empty_stage,
    footer,
    header,
    history_view,
    note,
    problem,
    progress,
)
from songgen_hf.space.progress import Progress
from songgen_hf.space.settings import FIELDS, Settings
from songgen_hf.space.song_files import Song, Track
from songgen_hf.space.song_markup import song_view
from songgen_hf.space.strings import speaker

from ..tools.serving import idle_loops_closed

EVIL = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>"


@pytest.fixture
def built(pipelines, space_folder):
    """Factory of demos that are not launched; their stores are closed after the test."""
    demos = []

    def build(*arguments, **options):
        with idle_loops_closed():
            demos.append(build_demo(*(arguments or (pipelines,)), **options))
        return demos[-1]

    yield build
    for demo in demos:
        demo.service.store.close()


def write_adapter(folder, base):
    """The files of an adapter that says on which model it was trained."""
    folder.mkdir()
    settings = {} if base is None else {"base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def adapter_of(demo):
    """The dropdown of adapters: its choices and its value."""
    blocks = demo.config["components"]
    (props,) = (
        block["props"] for block in blocks if block["props"].get("label") == "Adapter (LoRA)"
    )
    return [name for name, _ in props["choices"]], props["value"]


def test_a_single_adapter_is_chosen_with_the_mode_of_its_model(built, pipelines, tmp_path):
    base = pipelines["two tracks"].model.name_or_path
    mine = write_adapter(tmp_path / "mine", base)
    other = write_adapter(tmp_path / "other", None)

    demo = built(adapters=[mine])
    both = built(adapters=[mine, other])
    unknown = built(adapters=[other])

    assert adapter_of(demo) == (["None", "mine"], "mine")
    assert demo.service.defaults.mode == "two tracks"
    assert adapter_of(both) == (["None", "mine", "other"], "")
    assert both.service.defaults.mode == "two tracks"
    assert adapter_of(unknown)[1] == "other" and unknown.service.defaults.mode == "two tracks"


def test_an_adapter_of_another_model_is_refused(built, pipelines, tmp_path):
    base = pipelines["two tracks"].model.name_or_path
    demo = built(adapters=[write_adapter(tmp_path / "mine", base)])

    with pytest.raises(ValueError, match="'mine' was trained for the mode 'two tracks', not for"):
        settings = Settings(text="folk", seconds=1.0, adapter="mine", mode="mixed")
        list(demo.service.generate("session", settings))


def test_one_adapter_may_be_given_without_a_list(built, pipelines, tmp_path):
    mine = write_adapter(tmp_path / "mine", pipelines["two tracks"].model.name_or_path)

    for adapters in (str(mine), mine):
        assert adapter_of(built(adapters=adapters))[1] == "mine"


@pytest.mark.parametrize(
    ("defaults", "message"),
    [
        (Settings(top_k=-5), "defaults: top-k must be a whole number from 0 to 2048: got -5"),
        (Settings(variations=9), "defaults: variations must be a whole number from 1 to 4: got 9"),
        (Settings(adapter="nobody"), "defaults: there is no adapter 'nobody' here"),
    ],
)
def test_defaults_that_nobody_could_sing_with_are_refused(built, defaults, message):
    with pytest.raises(ValueError, match=message):
        built(defaults=defaults)


@pytest.mark.parametrize("given", ["songgen-mini", None, [1]])
def test_what_is_no_pipeline_is_refused(given):
    with pytest.raises(TypeError, match=r"a Space needs pipelines: got .*load_pipelines"):
        build_demo(given)


class Seen(HTMLParser):
    """The tags and attributes of a piece of HTML, which must be balanced."""

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
    """A song whose settings contain HTML."""
    settings = Settings(lyrics=EVIL, text=EVIL, adapter=EVIL, seed=7, mode="two tracks")
    word = {"word": EVIL, "start": 0.1, "end": 0.4, "confidence": 1.0}
    line = {"line": EVIL, "start": 0.1, "end": 0.4, "words": [word]}
    timed = {"words": [word], "lines": [line], "coverage": {"share": 1.0}}
    path = tmp_path / 'a song\'s & "name".wav'
    tracks = tuple(Track(name, path, path, 1.5) for name in ("mix", "vocal", "band"))
    return Song("id", settings, True, tracks, path.with_suffix(".json"), 20, timed=timed)


def test_text_of_a_visitor_never_becomes_a_tag(tmp_path):
    song = evil_song(tmp_path)
    evil = Told(EVIL, "en")
    pieces = [song_view(song, [song, song]), history_view([song, song], "id"), problem(evil),
              note(EVIL), footer(EVIL)]  # fmt: skip

    for piece in pieces:
        seen = Seen(piece)
        assert "script" not in seen.tags
        assert not any(name.startswith("on") for name, _ in seen.attributes)
        assert not any(name == "src" and value == "x" for name, value in seen.attributes)


@pytest.mark.parametrize(
    "piece",
    [header(), header(speaker("de")), empty_stage(), progress(Progress()), done([]),
     history_view([], None), progress(Progress(2, 3, 0.5, 12.0, waiting=False))],
)  # fmt: skip
def test_the_pages_own_html_is_balanced(piece):
    Seen(piece)


def test_progress_is_shown_as_text_and_as_a_number():
    piece = progress(Progress(2, 3, 0.43, 12.4, waiting=False))

    assert "Singing song 2 of 3" in piece and "43 % · at most 12 s left" in piece
    assert 'role="progressbar"' in piece and 'aria-valuenow="43"' in piece
    assert 'data-say="Singing song 2 of 3, 25 percent"' in piece


def test_the_api_names_the_longest_length_as_the_pipelines_do():
    seen = []

    def generate(session, settings, voice):
        seen.append(settings.seconds)
        yield from ()

    service = SimpleNamespace(generate=generate, begin_request=lambda session: None)
    sing = api.sing_endpoint(service)
    for arguments in ({"seconds": 7.0}, {"seconds": 7.0, "max_seconds": 3.0}):
        assert list(sing(**arguments, request=SimpleNamespace(session_hash="a"))) == [[]]

    assert seen == [7.0, 3.0]


def test_only_errors_that_the_visitor_can_correct_are_shown(caplog):
    assert error_message(ValueError("the seed is odd")) == "The seed is odd."
    assert error_message(RuntimeError("/secret/path")) == INTERNAL_ERROR
    assert "secret" in caplog.text or caplog.records


@pytest.mark.slow
def test_every_setting_has_a_component(built):
    demo = built()

    assert len(restored(Settings())) == len(FIELDS) + 4
    labels = [block.label for block in demo.blocks.values() if getattr(block, "label", None)]
    for label in ("Lyrics", "Description", "Mode", "Length (seconds)", "Seed", "Guidance",
                  "Temperature", "Top-k", "Steps", "Variations", "Adapter (LoRA)", "Genre", "Mood",
                  "Instruments", "Voice", "Balance"):  # fmt: skip
        assert label in labels, label


@pytest.mark.slow
def test_every_visible_component_has_a_label(built):
    import gradio as gr

    for block in built().blocks.values():
        if isinstance(block, gr.components.FormComponent) and block.visible is not False:
            assert block.label, block


def test_a_single_pipeline_offers_only_its_own_mode(built, pipelines):
    demo = built(pipelines["two tracks"], defaults=Settings(seconds=100.0))

    assert demo.service.generator.modes == ("two tracks",)
    assert demo.service.defaults.mode == "two tracks"
    assert demo.service.defaults.seconds == demo.service.limits.seconds < 30


@pytest.mark.slow
def test_the_steps_control_is_visible_only_in_the_mode_few_steps(built, pipelines, tiny_masked):
    demo = built(tiny_masked())
    shown = {
        block.label: block.visible
        for block in demo.blocks.values()
        if getattr(block, "elem_id", None) is None and getattr(block, "label", None)
    }

    assert demo.service.generator.modes == ("few steps",)
    assert shown["Steps"] and shown["Guidance"] and shown["Temperature"]
    assert not (shown["Top-k"] or shown["Adapter (LoRA)"] or shown["Adapter weight"])
    demo = built({**pipelines, "few steps": tiny_masked()})
    hidden = [block for block in demo.blocks.values() if getattr(block, "label", "") == "Steps"]
    assert demo.service.defaults.mode == "two tracks" and hidden[0].visible is False


def test_choosing_few_steps_clears_the_adapter():
    steps, top_k, adapter, weight = shown_in("few steps")

    assert steps["visible"] and not (top_k["visible"] or weight["visible"])
    assert (adapter["visible"], adapter["value"]) == (False, "")
    assert all("value" not in update for update in shown_in("mixed"))


@pytest.mark.slow
def test_a_control_can_be_added_as_a_class(built):
    import gradio as gr

    class Backwards(Control):
        """A control with one button."""

        def draw(self):
            self.button = gr.Button("Backwards")
            self.outputs = [self.button]

        def view(self, song, songs, say):
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
def test_every_control_returns_one_update_for_each_output(built, tmp_path):
    demo = built(limits=Limits(seconds=2.0))
    controls = [kind(demo.service) for kind in CONTROLS]
    with idle_loops_closed():
        import gradio as gr

        with gr.Blocks():
            for control in controls:
                control.draw()

    for song in (None, evil_song(tmp_path)):
        for control in controls:
            assert len(control.view(song, [song] if song else [])) == len(control.outputs)


def test_the_queue_has_the_requested_limits(built):
    demo = built(limits=Limits(waiting=3, concurrency=2))

    assert demo._queue.max_size == 3
    assert demo._queue.default_concurrency_limit == 2


@pytest.mark.slow
def test_closing_the_demo_deletes_its_folder(built):
    demo = built()
    folder = demo.service.store.root
    assert folder.is_dir()

    demo.close(verbose=False)

    assert not folder.exists()

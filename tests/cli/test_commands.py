"""The commands of songgen-hf, called in this process, and once as a process of their own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.checkpoints.codes_files import encode_codes, read_codes
from songgen_hf.checkpoints.digests import codec_facts
from songgen_hf.checkpoints.loading import load_codec, load_pipeline
from songgen_hf.cli import COMMANDS, main
from songgen_hf.pipelines.song_edges import FADE_SECONDS

SHORT = ["--max-seconds", "0.2", "--device", "cpu", "--quiet"]


@pytest.fixture
def sound(tmp_path):
    """A stereo sound file of half a second at 22050 Hz."""
    path = tmp_path / "tone.wav"
    wave = 0.3 * np.sin(np.arange(11025) / 9)
    soundfile.write(path, np.stack([wave, wave], axis=1), 22050)
    return path


def generate(tmp_path, checkpoint, *arguments, out="song.wav"):
    """Run ``generate``; the exit status."""
    return main(
        ["generate", "folk", "--model", checkpoint, "--out", str(tmp_path / out)]
        + [*SHORT, *map(str, arguments)]
    )


def names(directory: Path) -> list[str]:
    """Names of all files in a directory, hidden ones too."""
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.slow
def test_generate_writes_a_song_and_how_to_repeat_it(tmp_path, tiny_checkpoint, capsys):
    status = generate(tmp_path, tiny_checkpoint(), "--lyrics", "la la", "--seed", 5, "--top-k", 9)

    assert status == 0
    assert names(tmp_path) == ["song.json", "song.wav"]
    wave, rate = soundfile.read(tmp_path / "song.wav", always_2d=True)
    facts = json.loads((tmp_path / "song.json").read_text())
    assert rate == facts["sampling_rate"] == 16000
    assert len(wave) / rate == facts["duration"]
    assert np.abs(wave).max() <= 1
    assert (facts["seed"], facts["lyrics"], facts["settings"]) == (5, "la la", {"top_k": 9})
    assert facts["text"] == "folk" and facts["track_pattern"] == "mixed" and facts["trained"]
    assert facts["versions"]["transformers"]
    assert str(tmp_path / "song.wav") in capsys.readouterr().out


@pytest.mark.slow
def test_the_seed_in_the_json_gives_the_same_song(tmp_path, tiny_checkpoint):
    generate(tmp_path, tiny_checkpoint(), out="one.wav")
    seed = json.loads((tmp_path / "one.json").read_text())["seed"]
    generate(tmp_path, tiny_checkpoint(), "--seed", seed, out="two.wav")

    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()


@pytest.mark.slow
def test_stems_add_up_to_the_mixture(tmp_path, tiny_checkpoint):
    assert generate(tmp_path, tiny_checkpoint("parallel_std"), "--stems", "--seed", 1) == 0

    files = ["song.accompaniment.wav", "song.json", "song.vocal.wav", "song.wav"]
    assert names(tmp_path) == files
    accompaniment, vocal, mix = (
        soundfile.read(tmp_path / files[i], dtype="float64")[0] for i in (0, 2, 3)
    )
    inside = len(mix) - round(FADE_SECONDS * 16000)  # a longer track fades out where it is cut
    assert np.allclose(accompaniment[:inside] + vocal[:inside], mix[:inside], atol=1e-4)


@pytest.mark.slow
def test_a_song_ends_in_silence_unless_its_raw_samples_are_requested(tmp_path, tiny_checkpoint):
    generate(tmp_path, tiny_checkpoint(), "--seed", 5, "--save-codes")
    generate(tmp_path, tiny_checkpoint(), "--seed", 5, "--save-codes", "--raw", out="raw.wav")

    song, raw = (soundfile.read(tmp_path / name)[0] for name in ("song.wav", "raw.wav"))
    assert song[0] == 0 and abs(song[-1]) < 1e-3 and song.shape == raw.shape
    assert raw[0] != 0
    assert json.loads((tmp_path / "raw.json").read_text())["raw"] is True
    codes = [read_codes(tmp_path / f"{name}.codes.npz")[0] for name in ("song", "raw")]
    assert np.array_equal(*codes)


@pytest.mark.slow
def test_seconds_is_the_exact_length_also_of_an_autoregressive_song(tmp_path, tiny_checkpoint):
    status = main(
        ["generate", "folk", "--model", tiny_checkpoint(), "--out", str(tmp_path / "song.wav")]
        + ["--seconds", "0.3", "--seed", "1", "--save-codes", "--device", "cpu", "--quiet"]
    )

    assert status == 0
    assert read_codes(tmp_path / "song.codes.npz")[0].shape[-1] == 15
    assert json.loads((tmp_path / "song.json").read_text())["seconds"] == 0.3


@pytest.mark.slow
def test_several_songs_are_numbered(tmp_path, tiny_checkpoint):
    assert generate(tmp_path, tiny_checkpoint(), "--num-songs", 2, "--seed", 8) == 0

    assert names(tmp_path) == ["song-1.json", "song-1.wav", "song-2.json", "song-2.wav"]
    seeds = [json.loads((tmp_path / f"song-{i}.json").read_text())["seed"] for i in (1, 2)]
    assert seeds == [8, 9]


@pytest.mark.slow
def test_in_a_folder_a_song_is_named_after_its_first_line_and_seed(tmp_path, tiny_checkpoint):
    words = tmp_path / "words.txt"
    words.write_bytes(b"\xef\xbb\xbfLa: la?\r\nlo lo\r\n")  # as Windows writes it
    (tmp_path / "songs").mkdir()

    assert (
        generate(tmp_path, tiny_checkpoint(), "--lyrics-file", words, "--seed", 3, out="songs") == 0
    )

    assert names(tmp_path / "songs") == ["la-la-3.json", "la-la-3.wav"]
    facts = json.loads((tmp_path / "songs" / "la-la-3.json").read_text(encoding="utf-8"))
    assert facts["lyrics"] == "La: la?\nlo lo\n"


@pytest.mark.slow
def test_lyrics_in_another_encoding_are_refused(tmp_path, tiny_checkpoint, capsys):
    words = tmp_path / "words.txt"
    words.write_text("la la", encoding="utf-16")  # as an old PowerShell writes it

    assert generate(tmp_path, tiny_checkpoint(), "--lyrics-file", words) == 2
    assert "words.txt is no UTF-8 text: save it as UTF-8" in capsys.readouterr().err


@pytest.mark.slow
def test_lyrics_voice_and_prompt_come_from_files(tmp_path, tiny_checkpoint, sound):
    words = tmp_path / "words.txt"
    words.write_text("la la\nlo lo", encoding="utf-8")

    status = generate(
        tmp_path, tiny_checkpoint(), "--lyrics-file", words, "--voice", sound,
        "--prompt-audio", sound, "--greedy", out="out/song.flac",
    )  # fmt: skip

    assert status == 0
    facts = json.loads((tmp_path / "out" / "song.json").read_text())
    assert facts["lyrics"] == "la la\nlo lo"
    assert facts["voice"] == facts["prompt_audio"][0] == "tone.wav"
    assert facts["settings"] == {"do_sample": False}
    assert facts["duration"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["npz", "safetensors"])
def test_codes_are_read_from_a_file_as_they_were_written(tmp_path, tiny_checkpoint, sound, ending):
    codes, back = tmp_path / f"codes.{ending}", tmp_path / "back.wav"
    model = ["--model", tiny_checkpoint(), "--device", "cpu"]

    assert main(["encode", str(sound), str(codes), *model]) == 0
    assert main(["decode", str(codes), str(back), *model]) == 0

    array, facts = read_codes(codes)
    assert array.dtype == np.int16 and array.shape == (4, 25)
    assert len(facts.pop("codec")) == 16
    assert facts == {"sampling_rate": 16000, "hop_length": 320, "num_samples": 8000}
    assert soundfile.info(back).frames == 8000


@pytest.mark.slow
def test_codes_are_decoded_by_the_codec_that_made_them_alone(
    tmp_path, tiny_checkpoint, sound, capsys
):
    own, other = tiny_checkpoint(), tmp_path / "other"
    codec = load_codec(own, device="cpu")
    codec.quantizer.quantizers[0].codebook.embed.neg_()
    codec.save_pretrained(other)
    codes, back = str(tmp_path / "codes.npz"), str(tmp_path / "back.wav")
    assert main(["encode", str(sound), codes, "--model", own, "--device", "cpu"]) == 0

    half = ["--model", own, "--device", "cpu", "--dtype", "bfloat16"]
    assert main(["decode", codes, back, *half]) == 0
    assert main(["decode", codes, back, "--model", str(other), "--device", "cpu"]) != 0

    assert "has codes of another codec, with the codec" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["generate", "folk", "--quiet", "--song"],
        ["generate", "folk", "--seconds", "0.1", "--quiet", "--prompt-audio"],
        ["align", "--lyrics", "la"],
    ],
)
def test_a_song_of_another_codec_is_not_continued_or_edited(
    tmp_path, tiny_checkpoint, command, capsys
):
    codes = tmp_path / "song.codes.npz"
    codes.write_bytes(encode_codes(codes, np.zeros((1, 4, 10)), codec="0" * 16))
    model = ["--model", tiny_checkpoint("mixed"), "--device", "cpu"]

    assert main([*command, str(codes), *model, "--out", str(tmp_path / "a.wav")]) == 2

    assert f"{codes} has codes of another codec, with the codec 0000" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Path, str])
def test_a_pipeline_takes_the_path_of_a_file_of_codes(tmp_path, tiny_checkpoint, kind):
    pipe = load_pipeline(tiny_checkpoint("mixed"), device="cpu")
    codes = np.arange(40).reshape(1, 4, 10)
    path, short = tmp_path / "song.codes.npz", {"seconds": 0.1, "seed": 1}
    path.write_bytes(encode_codes(path, codes, **codec_facts(pipe.model.audio_encoder)))

    longer = pipe("folk", audio_prompt=kind(path), **short)
    redone = pipe("folk", song=kind(path), regions=(0.1, None), seed=1)

    assert np.array_equal(longer["codes"], pipe("folk", audio_prompt=codes, **short)["codes"])
    assert np.array_equal(redone["codes"][..., :5], codes[..., :5])
    path.write_bytes(encode_codes(path, codes, codec="0" * 16))
    with pytest.raises(ValueError, match=r"npz has codes of another codec, with the codec 0000"):
        pipe("folk", audio_prompt=kind(path), **short)


@pytest.mark.slow
def test_codes_of_another_rate_are_not_continued(tmp_path, tiny_checkpoint, capsys):
    codes = tmp_path / "song.codes.npz"
    codes.write_bytes(encode_codes(codes, np.zeros((1, 4, 10)), hop_length=640))
    model = ["--model", tiny_checkpoint("mixed"), "--device", "cpu", "--quiet"]

    assert main(["generate", "folk", "--prompt-audio", str(codes), *model]) == 2

    assert "with the hop_length 640: expected 320; give the model" in capsys.readouterr().err


@pytest.mark.slow
def test_codes_of_a_codec_in_float16_do_not_name_its_rounded_weights(
    tmp_path, tiny_checkpoint, sound
):
    codes, back = str(tmp_path / "codes.npz"), str(tmp_path / "back.wav")
    model = ["--model", tiny_checkpoint(), "--device", "cpu"]

    assert main(["encode", str(sound), codes, *model, "--dtype", "float16"]) == 0

    assert main(["decode", codes, back, *model]) == 0


@pytest.mark.slow
def test_init_writes_a_checkpoint_that_says_it_is_untrained(tmp_path, capsys):
    directory = tmp_path / "mini"

    assert main(["init", "--track-pattern", "parallel_std", "--out", str(directory)]) == 0
    assert main(["info", str(directory), "--json"]) == 0

    facts = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert facts["track_pattern"] == "parallel_std" and facts["tracks"] == 2
    assert facts["trained"] is False
    assert facts["parameters"]["total"] > 0


@pytest.mark.slow
def test_init_is_reproducible(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        assert main(["init", "--seed", str(seed), "--out", str(tmp_path / name)]) == 0

    weights = [
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two", "three")
    ]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.slow
def test_info_reads_no_weights(tmp_path, tiny_checkpoint, capsys):
    directory = tmp_path / "only-config"
    directory.mkdir()
    config = Path(tiny_checkpoint("interleaving_A_V"), "config.json").read_bytes()
    (directory / "config.json").write_bytes(config)

    assert main(["info", str(directory)]) == 0

    printed = capsys.readouterr().out
    assert "interleaving_A_V" in printed and "100.0" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "a", "--out", "song.txt"], "cannot tell the sound format of 'song.txt'"),
        (["generate", "a", "--threads", "0"], "--threads must be at least 1: got 0"),
        (["generate", "a", "--num-songs", "0"], "--num-songs must be at least 1: got 0"),
        (["generate", "a", "--model", "MIXED", "--stems"], "--stems needs a two-track model"),
        (["generate", "a", "--model", "MIXED", "--greedy", "--top-k", "3"], "drop --top-k"),
        (["generate", "a", "--model", "MIXED", "--seed", "-1"], "seed must be between 0 and"),
        (["generate", "a", "--model", "nowhere"], "no checkpoint 'nowhere': it is neither"),
        (["generate", "a", "--model", "MIXED", "--max-seconds", "0"], "max_seconds must be above"),
        (["generate", "a", "--model", "MIXED", "--voice", "no.wav"], "no.wav"),
        (["generate", "a", "--model", "MIXED", "--device", "nonsense"], "try --device cpu"),
        (["generate", "a", "--model", "MIXED", "--lyrics-file", "no.txt"], "no.txt"),
        (["generate", "a", "--model", "EMPTY"], "has no config.json"),
        (["encode", "no.wav", "codes.txt"], "ends in .npz or .safetensors"),
        (["encode", "no.wav", "codes.npz", "--model", "MIXED"], "no.wav"),
        (["decode", "codes.txt", "out.wav", "--model", "MIXED"], "must end in .npz or"),
        (["decode", "bad.npz", "out.wav", "--model", "MIXED"], "no array 'codes': got other"),
        (["decode", "float.npz", "out.wav", "--model", "MIXED"], "must be integers from 0 to 1023"),
        (["decode", "deep.npz", "out.wav", "--model", "MIXED"], "at most 4 codebooks"),
        (["decode", "song.npz", "out.wav", "--model", "MIXED"], "a whole song to generate --song"),
        (["init", "--preset", "huge", "--out", "new"], "huge"),
        (["init", "--track-pattern", "stereo", "--out", "new"], "stereo"),
        (["init", "--out", "EMPTY/.."], "is not empty: give a new directory"),
    ],
)
def test_wrong_input_is_an_error_of_one_line_and_leaves_no_file(
    tmp_path, tiny_checkpoint, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    np.savez("bad.npz", other=np.zeros(3))
    np.savez("float.npz", codes=np.zeros((4, 3)))
    np.savez("song.npz", codes=np.zeros((2, 4, 3), dtype=np.int64))
    np.savez("deep.npz", codes=np.zeros((9, 3), dtype=np.int64))
    before = names(tmp_path)
    replaced = {"MIXED": tiny_checkpoint(), "EMPTY": str(empty), "EMPTY/..": str(tmp_path)}

    status = main([replaced.get(argument, argument) for argument in arguments])

    errors = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert status == 2
    assert len(errors) == 1 and message in errors[0]
    assert errors[0].startswith(f"songgen-hf {arguments[0]}: error: ")
    assert names(tmp_path) == before


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(ValueError, match="cannot tell the sound format"):
        main(["generate", "a", "--out", "song.txt", "--debug"])


@pytest.mark.slow
def test_interruption_exits_with_130_and_leaves_no_file(tmp_path, tiny_checkpoint, monkeypatch):
    from songgen_hf.pipelines.text_to_song import TextToSongPipeline

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(TextToSongPipeline, "_forward", interrupted)

    assert generate(tmp_path, tiny_checkpoint()) == 130
    assert names(tmp_path) == []


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"] if command else ["--help"])

    assert stopped.value.code == 0
    assert "usage: songgen-hf" in capsys.readouterr().out


@pytest.mark.slow
def test_help_imports_no_package_that_is_slow_or_may_be_missing():
    program = (
        "import sys; sys.argv = ['songgen-hf']\n"
        "import songgen_hf.cli\n"
        f"for words in {[['--help'], *([name, '--help'] for name in COMMANDS)]}:\n"
        "    try: songgen_hf.cli.main(words)\n"
        "    except SystemExit: pass\n"
        "slow = {'torch', 'transformers', 'numpy', 'soundfile', 'huggingface_hub', 'yaml'}\n"
        "assert not slow & sys.modules.keys(), slow & sys.modules.keys()"
    )

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)


def test_only_the_chosen_command_is_imported():
    program = (
        "import sys; sys.argv = ['songgen-hf']\n"
        "import songgen_hf.cli\n"
        "try: songgen_hf.cli.main(['encode', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*sorted(name for name in sys.modules if name.startswith('songgen_hf.cli.')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60
    )

    imported = done.stdout.splitlines()[-1].split()
    others = [module for name, (module, _) in COMMANDS.items() if name != "encode"]
    assert "songgen_hf.cli.encode" in imported and not set(others) & set(imported)


@pytest.mark.slow
def test_the_command_works_as_a_process(tmp_path, tiny_checkpoint):
    out = tmp_path / "song.wav"
    command = [sys.executable, "-m", "songgen_hf", "generate", "folk", "--out", str(out)]

    done = subprocess.run(
        [*command, "--model", tiny_checkpoint(), *SHORT],
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert soundfile.info(out).samplerate == 16000

"""Tests of portability: Python 3.11 to 3.13, Linux, macOS and Windows, and safe file names."""

import ast
import random
import re
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path, PureWindowsPath

import pytest

from songgen_hf import files
from songgen_hf.files import LONGEST_NAME, check_names, new_directory, safe_name, write_files

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path
    for folder in ("songgen_hf", "examples", "benchmarks", "tests", "space")
    for path in (ROOT / folder).rglob("*.py")
)
PACKAGE = [path for path in SOURCES if path.is_relative_to(ROOT / "songgen_hf")]

# Modules that are not part of the standard library of Python 3.13 (PEP 594, and those of 3.12).
REMOVED_BY_3_13 = set(
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap "
    "msilib nis nntplib ossaudiodev pipes smtpd sndhdr spwd sunau telnetlib uu xdrlib".split()
)
ON_UNIX_ONLY = set(
    "crypt fcntl grp nis posix pty pwd readline resource spwd syslog termios tty".split()
)
UNIX_NAMES = {
    "os": set(
        "fork forkpty getuid geteuid getgid getpgid killpg mkfifo nice sched_getaffinity setsid "
        "setpgid sysconf uname wait wait3 wait4 symlink chown getrusage".split()
    ),
    "signal": set("SIGKILL SIGALRM SIGHUP SIGUSR1 SIGUSR2 SIGPIPE alarm setitimer pause".split()),
}
# Uses of such names in code that checks first whether the system has them.
GUARDED = {
    ("data/corpus/isolation.py", "os.fork"),  # loads libraries of Debian before
    ("data/corpus/isolation.py", "signal.SIGKILL"),
}

VERMIN = [sys.executable, "-c", "import vermin; vermin.main()"]
WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.I)


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_at_the_top(tree: ast.Module) -> set[str]:
    """Modules that are imported as soon as the file is."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


def imported_anywhere(tree: ast.Module) -> set[str]:
    """Modules that are imported anywhere in the file."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return imported_at_the_top(ast.Module(body=list(nodes), type_ignores=[]))


@pytest.mark.slow
def test_all_sources_run_with_python_3_11():
    for path in SOURCES:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 11))


@pytest.mark.slow
def test_nothing_newer_than_3_11_of_the_standard_library_is_used():
    pytest.importorskip("vermin")
    command = [*VERMIN, "--target=3.11-", "--no-tips", "--violations"]
    command += ["--eval-annotations", "--processes=1"]

    done = subprocess.run(
        [*command, str(ROOT / "songgen_hf")], capture_output=True, encoding="utf-8", timeout=300
    )

    assert done.returncode == 0, done.stdout
    assert "Minimum required versions" in done.stdout


def test_vermin_recognizes_newer_features(tmp_path):
    pytest.importorskip("vermin")
    (tmp_path / "new.py").write_text("import itertools\nitertools.batched([], 2)\n")
    command = [*VERMIN, "--target=3.11-", "--no-tips", "--violations"]

    done = subprocess.run([*command, str(tmp_path)], capture_output=True, encoding="utf-8")

    assert done.returncode == 1 and "batched" in done.stdout


@pytest.mark.slow
def test_no_module_is_used_that_a_newer_python_lacks():
    for path in SOURCES:
        assert not imported_anywhere(tree_of(path)) & REMOVED_BY_3_13, path


@pytest.mark.slow
def test_the_package_imports_on_every_system():
    for path in PACKAGE:
        assert not imported_at_the_top(tree_of(path)) & ON_UNIX_ONLY, path


@pytest.mark.slow
def test_names_of_unix_are_used_behind_a_check_only():
    found = set()
    for path in PACKAGE:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.attr in UNIX_NAMES.get(node.value.id, ()):
                    name = path.relative_to(ROOT / "songgen_hf").as_posix()
                    found.add((name, f"{node.value.id}.{node.attr}"))

    assert found == GUARDED


def is_text_without_encoding(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the default encoding of the system."""
    given = {keyword.arg for keyword in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else None
    if name in ("read_text", "write_text"):
        positional = {"read_text": 1, "write_text": 2}[name]
        return "encoding" not in given and len(call.args) < positional
    if name in ("run", "Popen", "check_output") and {"text", "universal_newlines"} & given:
        return "encoding" not in given
    plain = isinstance(call.func, ast.Name) and call.func.id == "open"
    if not plain and name not in ("open", "fdopen"):
        return False
    values = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
    modes = [
        value for value in values if isinstance(value, str) and re.fullmatch("[rwax]b?[+]?", value)
    ]
    binary = any("b" in mode for mode in modes)
    is_file = plain or bool(modes)  # Image.open and similar functions take no mode
    return is_file and not binary and "encoding" not in given


@pytest.mark.slow
def test_text_is_utf_8_on_every_system():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PACKAGE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and is_text_without_encoding(node)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("open('a')", True),
        ("open('a', 'w')", True),
        ("open('a', 'wb')", False),
        ("open('a', encoding='utf-8')", False),
        ("path.open('a')", True),
        ("path.open('rb')", False),
        ("path.read_text()", True),
        ("path.write_text(x, encoding='utf-8')", False),
        ("Image.open(path)", False),
        ("subprocess.run(x, text=True)", True),
    ],
)
def test_calls_without_encoding_are_recognized(source, wrong):
    assert is_text_without_encoding(ast.parse(source).body[0].value) is wrong


def test_every_file_of_the_repository_can_be_checked_out_everywhere():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8"
    )
    if listed.returncode:
        pytest.skip("not a clone")
    paths = [PureWindowsPath(name) for name in listed.stdout.split("\0") if name]

    for path in paths:
        check_names([path], windows=True)
        assert len(str(path)) <= 150
    assert len({str(path).casefold() for path in paths}) == len(paths)


NAMES = [
    ("The silver river runs", "the-silver-river-runs"),
    ("  ../../etc/passwd ", "etc-passwd"),
    ("C:\\Windows\\x", "c-windows-x"),
    ('a:b|c?d*e<f>g"h', "a-b-c-d-e-f-g-h"),
    ("CON", "song-con"),
    ("com¹", "song-com¹"),
    ("nul.txt", "nul-txt"),
    ("ends with dots...", "ends-with-dots"),
    ("", "song"),
    ("...", "song"),
    ("\x00\n\t", "song"),
    ("--help", "help"),
    ("Cafe\u0301", "caf\u00e9"),
    ("雨の歌", "雨の歌"),
    ("I\u0307stanbul", "i\u0307stanbul"),
    ("🎵 song 🎵", "song"),
]


@pytest.mark.parametrize(("words", "name"), NAMES)
def test_safe_name_turns_texts_into_file_names(words, name):
    assert safe_name(words) == unicodedata.normalize("NFC", name)


@pytest.mark.slow
def test_names_of_random_texts_are_safe():
    random_ = random.Random(0)
    ranges = [(0, 128), (0, 0x250), (0x300, 0x370), (0x900, 0x980), (0x3040, 0x9FFF), (0, 0x10FFFF)]
    for _ in range(3000):
        low, high = random_.choice(ranges)
        codes = [random_.randrange(low, high) for _ in range(random_.randrange(200))]
        words = "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)

        name = safe_name(words)

        assert name and name == safe_name(name), "a safe name is not changed again"
        assert name == unicodedata.normalize("NFC", name).lower()
        assert (
            len(name) <= LONGEST_NAME + 5 and len(f".{name}-9999999999.wav.12345678".encode()) < 255
        )
        assert PureWindowsPath(name).name == name and not WINDOWS_DEVICES.fullmatch(name)
        assert name[0] not in "-. " and name[-1] not in "-. "
        check_names([Path(f"{name}.wav")], windows=True)


@pytest.mark.parametrize(
    "name", ["con", "CON.wav", "aux.tar.gz", "COM1.flac", "a:b.wav", "what?.wav", "a.", "a ", "a\n"]
)
def test_names_that_windows_cannot_write_are_refused_there(name):
    with pytest.raises(ValueError, match="cannot be a file on Windows: give another name"):
        check_names([PureWindowsPath(f"folder/{name}")], windows=True)
    check_names([Path("folder") / name], windows=False)


@pytest.mark.parametrize(("one", "two"), [("Song.wav", "song.WAV"), ("caf\u00e9", "cafe\u0301")])
def test_two_names_of_one_file_on_some_systems_are_refused(tmp_path, one, two):
    with pytest.raises(ValueError, match="are one file where upper and lower case are alike"):
        write_files({tmp_path / one: b"1", tmp_path / two: b"2"})

    assert list(tmp_path.iterdir()) == []


def test_the_longest_name_that_a_disk_takes_can_be_written(tmp_path):
    path = tmp_path / ("ü" * 125 + ".wav")

    write_files({path: b"1"})

    assert path.read_bytes() == b"1"


def test_an_empty_folder_is_replaced_on_systems_without_atomic_replacement(tmp_path, monkeypatch):
    replace = files.os.replace

    def as_windows_does(source, target):
        if Path(target).is_dir():
            raise PermissionError(13, "Access is denied")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", as_windows_does)
    (tmp_path / "empty").mkdir()

    with new_directory(tmp_path / "empty") as folder:
        (folder / "a").write_bytes(b"a")

    assert (tmp_path / "empty" / "a").read_bytes() == b"a"

"""Tests of the registration with transformers and of the import hook that it uses."""

import importlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from songgen_hf.import_hook import ImportHook


def run(program: str) -> str:
    """Run a program in a new process and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_no_slow_module():
    loaded = {*run("import sys, songgen_hf; print(*sys.modules)").split()}

    assert "songgen_hf.registration" in loaded
    assert not {"torch", "transformers", "numpy", "diffusers", "torchaudio"} & loaded
    assert not {"transformers.pipelines", "songgen_hf.modeling.modeling_songgen"} & loaded


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    [
        # It imports the Auto classes while a module that the models need is incomplete.
        "import songgen_hf; from transformers import XcodecModel",
        "from transformers import AutoModel, pipeline; import songgen_hf",
    ],
)
def test_everything_is_registered_in_any_order_of_imports(imports):
    program = (
        f"{imports}\n"
        "import pickle, transformers as t\n"
        "from transformers.pipelines import PIPELINE_REGISTRY\n"
        "assert 'text-to-song' in PIPELINE_REGISTRY.supported_tasks\n"
        "t.AutoProcessor\n"
        "found = t.CONFIG_MAPPING, t.MODEL_MAPPING, t.PROCESSOR_MAPPING\n"
        "for configs, models, processors in (found, pickle.loads(pickle.dumps(found))):\n"
        "    config = configs['songgen']\n"
        "    print(models[config].__name__, processors[config].__name__)"
    )

    assert run(program).split() == 2 * ["SongGenForConditionalGeneration", "SongGenProcessor"]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A package ``shop`` whose modules import each other in a cycle, and the names of calls."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "base.py").write_text("import shop.auto\nfinished = True")
    (tmp_path / "shop" / "auto.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


def test_an_action_is_called_once_when_no_module_is_incomplete(library):
    calls = []

    def action():
        calls.append(importlib.import_module("shop.base").finished)

    finders = list(sys.meta_path)
    ImportHook({"shop.auto": action}, packages=["shop"]).install()
    import shop

    assert calls == []
    base = importlib.import_module("shop.base")

    assert calls == [True]
    assert "exec_module" not in vars(base.__spec__.loader)
    assert sys.meta_path == finders
    assert shop.auto.__name__ == "shop.auto"


def test_an_action_of_an_imported_module_is_called_at_once(library):
    importlib.import_module("shop.auto")
    calls = []

    hook = ImportHook({"shop.auto": lambda: calls.append(1)}, packages=["shop"])
    hook.install()
    hook.install()

    assert calls == [1] and hook not in sys.meta_path


def test_an_action_that_fails_is_called_again_by_the_next_import(library):
    calls = []

    def action():
        calls.append(1)
        if len(calls) == 1:
            raise ImportError("a package is missing")

    ImportHook({"shop.auto": action}, packages=["shop"]).install()

    with pytest.raises(ImportError, match="a package is missing"):
        importlib.import_module("shop.auto")
    importlib.import_module("shop.auto")
    assert calls == [1, 1]


def test_other_threads_that_import_the_module_wait_for_the_action(library):
    done = []

    def action():
        time.sleep(0.05)
        done.append(True)

    ImportHook({"shop.auto": action}, packages=["shop"]).install()

    def use(_):
        importlib.import_module("shop.auto")
        return list(done)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(4))) == 4 * [[True]]


def test_a_missing_module_and_other_packages_are_left_to_the_other_finders(library):
    hook = ImportHook({"shop.auto": lambda: None}, packages=["shop"])
    hook.install()

    assert hook.find_spec("json") is None
    with pytest.raises(ModuleNotFoundError, match="shop.nothing"):
        importlib.import_module("shop.nothing")

"""Fixtures of a stand-in for the Hub on the loopback interface, which this process uses."""

import threading

import pytest

from ..tools.hub_stand_in import Hub, Server
from ..tools.tiny_checkpoint import tiny_checkpoint, tiny_processor, tiny_singer

__all__ = ["tiny_checkpoint", "tiny_processor", "tiny_singer"]


@pytest.fixture
def server():
    """A running server of the stand-in."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def hub(server, tmp_path, monkeypatch) -> Hub:
    """The stand-in as the Hub of this process, with ``me`` logged in and an empty cache.

    The libraries read their environment when they are imported, so their constants are replaced.
    """
    import datasets.config
    import huggingface_hub.constants as constants
    import huggingface_hub.hf_api
    import transformers.utils.hub

    url, cache = server.url, tmp_path / "hub-cache"
    monkeypatch.setenv("HF_TOKEN", "hf_me")
    for name, value in {
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "ENDPOINT": url,
        "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_TOKEN_PATH": str(tmp_path / "no-token"),
    }.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", url)
    monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    return server.hub

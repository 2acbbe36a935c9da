"""Assistants sing, remix and fetch songs: the Space's server of the Model Context Protocol."""

import ast
import asyncio
import io
from contextlib import asynccontextmanager

import httpx
import pytest
import soundfile

pytest.importorskip("mcp")
pytestmark = [
    pytest.mark.slow,
    # gradio's usage statistics call deprecated functions of pandas 3.
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|The copy keyword)"),
]


@pytest.fixture(scope="module")
def space(pipelines, space_folder):
    """A Space with two tracks that serves assistants."""
    from songgen_hf.space.app import build_demo
    from songgen_hf.space.limits import Limits

    from ..tools.serving import launched

    limits = Limits(seconds=2.0, hub_adapters=False)
    with launched(
        lambda: build_demo({"two tracks": pipelines["two tracks"]}, limits=limits), mcp_server=True
    ) as demo:
        yield demo


@asynccontextmanager
async def assistant(space):
    """A session of a client."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with streamable_http_client(f"{space.local_url}gradio_api/mcp/") as streams:
        async with ClientSession(*streams[:2]) as session:
            await session.initialize()
            yield session


def said(result):
    """What a tool returned."""
    text = result.content[0].text
    assert not result.isError, text
    return ast.literal_eval(text)


def test_an_assistant_sings_remixes_and_fetches_a_song(space):
    async def visit():
        async with assistant(space) as session:
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            words = {"lyrics": "the river runs", "text": "folk", "seconds": 1.0, "seed": 7}
            (song,) = said(await session.call_tool("sing", words))
            balance = {"song_id": song["id"], "balance": -100}
            remixed = said(await session.call_tool("remix", balance))
            fetched = said(await session.call_tool("fetch", {"song_id": song["id"]}))
            missing = await session.call_tool("fetch", {"song_id": "0"})
            wrong = await session.call_tool("sing", words | {"seconds": 60})
            return tools, song, remixed, fetched, missing, wrong

    tools, song, remixed, fetched, missing, wrong = asyncio.run(visit())

    assert {"sing", "redo", "new_words", "sing_over", "remix", "fetch"} <= set(tools)
    assert all(len(tool.description) > 60 for tool in tools.values())
    fields = tools["sing"].inputSchema["properties"]
    assert {"lyrics", "text", "seed", "guidance", "voice"} <= set(fields)
    assert all(field["description"] for field in fields.values())
    assert (song["seed"], song["settings"]["mode"]) == (7, "two tracks")
    assert remixed["balance"] == -100 and (fetched["id"], fetched["balance"]) == (song["id"], -100)
    for track in ("mix", "vocal", "band"):
        sound = httpx.get(fetched["addresses"][track], timeout=60)
        assert soundfile.info(io.BytesIO(sound.content)).samplerate == 16000
    assert missing.isError and "this song is no longer here" in missing.content[0].text.lower()
    assert wrong.isError and "length must be a number from 1 to 1.5" in wrong.content[0].text

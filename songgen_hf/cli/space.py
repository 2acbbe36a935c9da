"""Run the Gradio Space on this machine, or publish it on the Hub."""

import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..files import write_files
from ..optional import require
from .flags import option
from .loading import DeviceOptions
from .output import CommandResult

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """Options of every sub-command of ``songgen-hf space``."""

    models: list[str] = option(
        [],
        "checkpoint; twice for one of each mode (default: those that come with the package)",
        flag="--model",
        append=True,
    )
    adapters: list[str] = option(
        [],
        "LoRA adapter to offer, such as the folder of songgen-hf adapt; may be repeated; a single "
        "one is chosen at the start",
        flag="--adapter",
        append=True,
    )


@dataclass(frozen=True, kw_only=True)
class RunOptions(SpaceOptions, DeviceOptions):
    """Options of ``songgen-hf space run``."""

    host: str = option("127.0.0.1", "address to serve; 0.0.0.0 lets other machines in")
    port: int | None = option(None, "port to serve (default: 7860, or the next free one)")
    share: bool = option(False, "also make a public link that works for a few days")
    open: bool = option(False, "open the page in the browser")
    concurrency: int = option(1, "songs generated at the same time")
    threads: int = option(1, "CPU threads per song; more slow small models down")
    max_seconds: float | None = option(None, "longest song (default: 30)")
    compile: bool = option(
        False, "compile the steps of autoregressive models; the first songs wait for the compiler"
    )
    hub_adapters: bool = option(True, "do not let visitors name adapters of the Hub")
    adapt: Path | None = option(
        None,
        "folder for adapters: offer the tab Adapt, which trains on recordings of this machine; "
        "only with a --host of this machine",
    )
    mcp: bool = option(
        False,
        "also serve the Model Context Protocol, so that assistants can sing (/gradio_api/mcp)",
    )


@dataclass(frozen=True, kw_only=True)
class RepositoryOptions(SpaceOptions):
    """Options of the sub-commands that write the files of a Space repository."""

    hardware: str | None = option(
        None, "hardware of a new Space, such as zero-a10g (default: free CPU)"
    )
    requirement: str | None = option(
        None,
        "pip line that installs songgen-hf there, such as a git address (default: this very "
        "package is uploaded with the Space)",
    )

    def shared(self) -> dict[str, Any]:
        """The arguments that ``space_files`` and ``push_space`` share."""
        names = ("models", "adapters", "requirement", "hardware")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class PushOptions(RepositoryOptions):
    """Options of ``songgen-hf space push``."""

    repository: str = option(help="owner/name of the Space", positional=True)
    private: bool = option(False, "make a new Space private")
    dry_run: bool = option(False, "list the files and send nothing")
    message: str = option("Publish the songgen Space", "message of the commit")


@dataclass(frozen=True, kw_only=True)
class FilesOptions(RepositoryOptions):
    """Options of ``songgen-hf space files``."""

    folder: Path = option(help="folder to write", positional=True)
    whole: bool = option(False, "also write the package, as push uploads it")


OPTIONS = {
    "run": ("start the Space on this machine", RunOptions),
    "push": ("publish the Space on the Hub", PushOptions),
    "files": ("write the files of the Space repository", FilesOptions),
}


def run(options: RunOptions | PushOptions | FilesOptions) -> CommandResult | None:
    """Start the Space, publish it or write its files."""
    if isinstance(options, RunOptions):
        start(options)
        return None
    return push(options) if isinstance(options, PushOptions) else write(options)


def start(options: RunOptions) -> None:
    """Serve the page until it is interrupted.

    Raises:
        ValueError: for a number below 1, or a model that cannot be loaded.
    """
    import torch

    require("gradio", "space")
    if options.mcp:
        require("mcp", "mcp")
    from ..space.app import build_demo
    from ..space.limits import Limits
    from ..space.loading import default_settings, load_pipelines
    from ..space.memory import use_few_arenas

    for name in ("concurrency", "threads"):
        if getattr(options, name) < 1:
            raise ValueError(f"--{name} must be at least 1: got {getattr(options, name)}")
    adapt = None if options.adapt is None else _adaptations(options)
    use_few_arenas()
    torch.set_num_threads(options.threads)
    limits = Limits(concurrency=options.concurrency, hub_adapters=options.hub_adapters)
    if options.max_seconds is not None:
        limits = replace(limits, seconds=options.max_seconds)
    demo = build_demo(
        load_pipelines(options.models, device=options.device, dtype=options.dtype),
        limits=limits,
        adapters=options.adapters,
        defaults=default_settings(options.models),
        adapt=adapt,
        compile=options.compile,
    )
    # A service manager ends the process with SIGTERM: delete the files, as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        demo.launch(
            server_name=options.host,
            server_port=options.port,
            share=options.share,
            inbrowser=options.open,
            mcp_server=options.mcp or None,  # None for what GRADIO_MCP_SERVER says
        )
    finally:
        demo.close()


def _adaptations(options: RunOptions) -> Any:
    """The adaptations of a Space that only this machine can open.

    Raises:
        ValueError: if others can open it.
    """
    require("peft", "train")
    require("datasets", "prepare")
    from ..space.adaptations import Adaptations

    if options.host not in LOCAL_HOSTS or options.share:
        given = "--share" if options.share else f"--host {options.host}"
        raise ValueError(
            f"--adapt reads any folder of this machine, so nobody else may open the page: got "
            f"{given}, expected --host {LOCAL_HOSTS[0]} and no --share"
        )
    assert options.adapt is not None
    return Adaptations(options.adapt)


def push(options: PushOptions) -> CommandResult:
    """Publish the Space, or list its files."""
    from ..space.hub_repository import push_space, space_files

    if options.dry_run:
        contents = sorted(space_files(**options.shared(), whole=True).items())
        sizes = {name: len(content) for name, content in contents}
        lines = [f"{size:>10,}  {name}" for name, size in sizes.items()]
        return CommandResult({"files": sizes}, "\n".join(lines))
    url = push_space(
        options.repository, **options.shared(), private=options.private, message=options.message
    )
    return CommandResult({"space": str(url)}, str(url))


def write(options: FilesOptions) -> CommandResult:
    """Write the files of the repository."""
    from ..space.hub_repository import space_files

    contents = space_files(**options.shared(), whole=options.whole)
    write_files({options.folder / name: content for name, content in contents.items()})
    written = [str(options.folder / name) for name in sorted(contents)]
    return CommandResult({"files": written}, "\n".join(written))

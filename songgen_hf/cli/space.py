"""Run the Gradio Space here, or publish it on the Hub."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from ..files import write_files
from .loading import DTYPES
from .output import CommandResult, add_output_arguments

HELP = "run or publish the Gradio Space"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf space run | push | files``."""
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)

    run_parser = actions.add_parser(
        "run", help="start it here", description="Start the Space here."
    )
    add_output_arguments(run_parser, nested=True)
    _add_models(run_parser)
    run_parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps")
    run_parser.add_argument("--dtype", default="auto", choices=DTYPES, help="precision")
    run_parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets others in")
    run_parser.add_argument("--port", type=int, help="default: 7860, or the next free one")
    run_parser.add_argument("--share", action="store_true", help="a public link for a few days")
    run_parser.add_argument("--open", action="store_true", help="open it in the browser")
    run_parser.add_argument(
        "--concurrency", type=int, default=1, help="songs sung at the same time (default: 1)"
    )
    run_parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads a song; more slow small models down"
    )
    run_parser.add_argument("--max-seconds", type=float, help="longest song")
    run_parser.add_argument(
        "--no-hub-adapters", action="store_true", help="visitors cannot name adapters of the Hub"
    )

    push = actions.add_parser(
        "push", help="publish it on the Hub", description="Publish the Space on the Hub."
    )
    add_output_arguments(push, nested=True)
    push.add_argument("repository", help="owner/name of the Space")
    _add_repository(push)
    push.add_argument("--private", action="store_true", help="a new Space that only you see")
    push.add_argument(
        "--dry-run", action="store_true", help="list the files; nothing is sent, nobody is asked"
    )
    push.add_argument("--message", default="Publish the songgen Space", help="of the commit")

    files = actions.add_parser(
        "files", help="write its files", description="Write the files of a Space repository."
    )
    files.add_argument("folder", type=Path, help="where to")
    files.add_argument("--whole", action="store_true", help="with the package, as push sends it")
    add_output_arguments(files, nested=True)
    _add_repository(files)


def run(arguments: argparse.Namespace) -> CommandResult | None:
    """Start or publish."""
    if arguments.action != "run":
        return _publish(arguments)
    _run(arguments)
    return None


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        help="checkpoint, twice for one of each mode (default: the package's own)",
    )
    parser.add_argument(
        "--adapter", action="append", default=[], help="LoRA adapter to offer, any number of times"
    )


def _add_repository(parser: argparse.ArgumentParser) -> None:
    _add_models(parser)
    parser.add_argument("--hardware", help="of a new Space, such as zero-a10g (default: free CPU)")
    parser.add_argument(
        "--requirement",
        help="pip line that installs songgen-hf there, such as a git address (default: this very "
        "package is uploaded with the Space)",
    )


def _run(arguments: argparse.Namespace) -> None:
    import torch

    from ..space.app import build_demo
    from ..space.limits import Limits
    from ..space.loading import default_settings, load_pipelines
    from ..space.memory import use_few_arenas

    for name in ("concurrency", "threads"):
        if getattr(arguments, name) < 1:
            raise ValueError(f"--{name} must be at least 1: got {getattr(arguments, name)}")
    use_few_arenas()
    torch.set_num_threads(arguments.threads)
    options: dict[str, Any] = {"concurrency": arguments.concurrency}
    if arguments.max_seconds is not None:
        options["seconds"] = arguments.max_seconds
    demo = build_demo(
        load_pipelines(arguments.model, device=arguments.device, dtype=arguments.dtype),
        limits=Limits(**options, hub_adapters=not arguments.no_hub_adapters),
        adapters=arguments.adapter,
        defaults=default_settings(arguments.model),
    )
    # Asked to end by a service manager, it deletes its files as after Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        demo.launch(
            server_name=arguments.host,
            server_port=arguments.port,
            share=arguments.share,
            inbrowser=arguments.open,
        )
    finally:
        demo.close()


def _publish(arguments: argparse.Namespace) -> CommandResult:
    from ..space.hub_repository import push_space, space_files

    options = {
        "models": arguments.model,
        "adapters": arguments.adapter,
        "requirement": arguments.requirement,
        "hardware": arguments.hardware,
    }
    if arguments.action == "files":
        files = space_files(**options, whole=arguments.whole)
        write_files({arguments.folder / name: content for name, content in files.items()})
        written = [str(arguments.folder / name) for name in sorted(files)]
        return CommandResult({"files": written}, "\n".join(written))
    if arguments.dry_run:
        sizes = {
            name: len(text) for name, text in sorted(space_files(**options, whole=True).items())
        }
        lines = [f"{size:>10,}  {name}" for name, size in sizes.items()]
        return CommandResult({"files": sizes}, "\n".join(lines))
    url = push_space(
        arguments.repository, **options, private=arguments.private, message=arguments.message
    )
    return CommandResult({"space": str(url)}, str(url))


__all__ = ["add_arguments", "run"]

"""Run an experiment: train its variants with equal budgets, score and compare them.

An experiment is a YAML file of the package (--list names them) or your own. Each variant is trained
with each seed on the same songs; held-out songs give scores with intervals, and every claim of the
paper is compared with them. Run the same command again after an interruption.
"""

from dataclasses import dataclass
from pathlib import Path

from ..evaluation.experiments.options import ExperimentOptions
from .flags import option
from .output import CommandResult


@dataclass(frozen=True, kw_only=True)
class ExperimentFlags(ExperimentOptions):
    """Flags of ``songgen-hf experiment``."""

    list: bool = option(False, "list the experiments and their variants")
    page: Path | None = option(None, "page that gets the results, such as docs/experiments.md")
    quiet: bool = option(False, "print no progress lines")


OPTIONS = ExperimentFlags


def run(flags: ExperimentFlags) -> CommandResult:
    """List the experiments, or run one."""
    from ..optional import require

    for package in ("yaml", "accelerate"):
        require(package, "train")
    from ..evaluation.experiments.definition import experiment_names, read_experiment

    if flags.list or flags.name is None:
        found = [read_experiment(name) for name in experiment_names()]
        lines = [
            f"{each.name}: {each.title} ({', '.join(each.variants)}); mirrors {each.mirrors}"
            for each in found
        ]
        names = {each.name: list(each.variants) for each in found}
        return CommandResult({"experiments": names}, "\n".join(lines))
    from ..evaluation.experiments.results import report_markdown
    from ..evaluation.experiments.runner import run_experiment
    from .train import quiet_warnings

    quiet_warnings()
    log = (lambda line: None) if flags.quiet else (lambda line: print(line, flush=True))
    report = run_experiment(flags, log=log)
    return CommandResult(report, report_markdown(report))

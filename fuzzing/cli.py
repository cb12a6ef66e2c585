"""The command line: try random networks or broken inputs, and report the failures.

Exit codes are those of incgen: 1 means that something failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from incgen.base.ending import exit_code
from incgen.cli.main import run
from incgen.cli.options import FAULTS, HELP, OK, several_targets
from incgen.cli.terminal import frameworks_silent, print_text, progress_line

if TYPE_CHECKING:
    from fuzzing.broken.trial import Subject


@click.command(context_settings=HELP)
@click.option("--count", type=click.IntRange(1), metavar="N", default=100, show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="The same number gives the same inputs, for any number of processes.",
)
@click.option(
    "--processes", "-j", type=click.IntRange(1), metavar="N", default=1, show_default=True
)
@several_targets("A target of random networks, or onnx. Default: all targets.")
@click.option("--deploy", is_flag=True, help="Verify the deployed forms of networks too.")
@click.option("--save", metavar="DIR", help="Save failing inputs there, reduced.")
@click.option(
    "--broken",
    type=click.Choice(["specs", "weights"]),
    help="Break specs or weights files instead, and check that each ends in a report.",
)
@click.option("--coverage", is_flag=True, help="Print the coverage of the language.")
def command(
    count: int,
    seed: int,
    processes: int,
    targets: Sequence[str],
    deploy: bool,
    save: str | None,
    broken: str | None,
    coverage: bool,
) -> int:
    """Try random networks: verify the models of each, up to running statistics.

    One target alone has no other to compare its gradients with, and ONNX alone is only evaluated.
    Failing specs are reduced. The exit code is 1 if anything fails.
    """
    of_networks = {"--target": targets, "--coverage": coverage, "--deploy": deploy}
    for option, given in of_networks.items():
        if given and broken:
            raise click.UsageError(f"{option} is for random networks, not for --broken")
    folder = Path(save) if save is not None else None
    with _installed(), frameworks_silent(), progress_line() as progress:
        if broken is not None:
            from fuzzing.broken import runner

            subject = _broken(broken, seed)
            tried = runner.run(
                subject, count, processes, lambda run: progress(run.progress(count)), keep=folder
            )
            failed, text, interrupted = tried.failed, tried.text(), tried.interrupted
        else:
            from fuzzing.search import search
            from incgen.targets import TARGETS

            report = search(
                count, seed, processes, folder, None, progress, targets or (*TARGETS,), deploy
            )
            failed, text, interrupted = not report.passed, report.text(), report.interrupted
            if coverage:
                text += f"\n{report.tally.coverage.table()}"
    print_text(f"{text}\n")
    if interrupted is not None:
        return exit_code(interrupted)
    return FAULTS if failed else OK


def _broken(what: str, seed: int) -> Subject:
    """Return the broken specs, or weights files, of a seed."""
    from fuzzing.broken.corpus import corpus
    from fuzzing.broken.specs import Specs
    from fuzzing.broken.weights import Weights, bases

    return Specs(corpus(), seed) if what == "specs" else Weights(bases(), seed)


@contextmanager
def _installed() -> Iterator[None]:
    """Say how to install what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(f"this needs {error.name}: make setup") from None


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    run(command, arguments, "python -m fuzzing")

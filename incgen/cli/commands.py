"""The commands. What they do is elsewhere; here are arguments, words and exit codes.

Exit codes: 0 is success, 1 says that a spec has faults, that weights do not fit it or that
`--check` found a difference, 2 that the command cannot be carried out as it was given; 130 is an
interrupt, and 128 and its number any other signal. Products go to standard output, in UTF-8 on
every system, and everything said about them to standard error.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from incgen.base.diagnostics import Code, Diagnostic, Reporter, Severity, SpecError
from incgen.base.ending import as_exceptions, exit_code
from incgen.cli.terminal import (
    close_output,
    frameworks_silent,
    harmless,
    print_text,
    progress_line,
    say,
)

if TYPE_CHECKING:
    from incgen.graph.nodes import Graph
    from incgen.language.expressions import Value

OK, FAULTS, USAGE = 0, 1, 2
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


# ---------------------------------------------------------------- options


def _settings(
    context: click.Context, option: click.Parameter, given: Sequence[str]
) -> dict[str, Value]:
    """Read `--set name=value`."""
    from incgen.language.expressions import Literal, Name
    from incgen.syntax.parser import parse_value

    found: dict[str, Value] = {}
    for text in given:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise click.BadParameter(f"`{text}` is not of the form name=value")
        try:
            value = parse_value(written)
        except SpecError as error:
            message = error.diagnostics[0].message
            raise click.BadParameter(f"`{text}`: {message}") from None
        match value:
            case Literal(constant) | Name(constant):
                found[name] = constant
            case _:
                raise click.BadParameter(
                    f"`{text}`: a value is a number, `true`, `false` or a word of the language"
                )
    return found


_one_spec = click.argument("spec", metavar="SPEC")
_specs = click.argument("specs", metavar="SPEC...", nargs=-1, required=True)
_set = click.option(
    "--set",
    "parameters",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_settings,
    help="Give a parameter of the network, or a `let`, another value. Repeatable.",
)


# ---------------------------------------------------------------- commands


def _print_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        import incgen

        click.echo(f"incgen {incgen.__version__}")
        context.exit()


@click.group(context_settings=HELP)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
def commands() -> None:
    """Compile network specs to readable PyTorch and Keras source.

    A SPEC is a file, the name of one that comes with incgen, or - for standard input.
    """


@commands.command("build")
@_specs
@click.option(
    "--target",
    "-t",
    "targets",
    metavar="TARGET",
    multiple=True,
    default=("torch",),
    help="torch (the default) or keras (also tf, tensorflow). Repeatable.",
)
@click.option(
    "--output",
    "-o",
    metavar="PATH",
    help="A file, a folder (with a slash at its end), or - for standard output. "
    "Otherwise generated/NETWORK_TARGET.py.",
)
@_set
@click.option("--check", is_flag=True, help="Write nothing; exit 1 with a diff if files differ.")
@click.option("--force", is_flag=True, help="Also write over files that are not incgen's own.")
def build_command(
    specs: Sequence[str],
    targets: Sequence[str],
    output: str | None,
    parameters: dict[str, Value],
    check: bool,
    force: bool,
) -> int:
    """Write the source of networks for one target or several.

    All files are written, or none. Of several specs, those without a network are passed over.
    """
    from incgen import api
    from incgen.base.files import OutputError
    from incgen.output import compared, left_over, places, sealed, write_all
    from incgen.syntax.loader import STDIN
    from incgen.targets import TARGETS

    found = api.find_targets(targets)
    if output == "-" and (check or len(found) > 1 or len(specs) > 1):
        what = f"{len(specs)} specs need files" if len(specs) > 1 else "--check needs files"
        what = f"{len(found)} targets need files" if len(found) > 1 else what
        raise click.UsageError(f"{what}: give another output than `-`")
    graphs = _all_compiled(specs, parameters)
    if graphs is None:
        return FAULTS
    texts: dict[Path, str] = {}
    for graph in graphs:
        sources = api.emit_all(graph, found)
        if output == "-":
            print_text(sealed(sources[found[0].name], graph.digest()))
            return OK
        network = graph.program.network.name
        for name, path in places(network, tuple(sources), output).items():
            if path in texts:
                help_ = "give a folder as the output, and networks of different names"
                raise OutputError(f"two specs would be written to `{path.as_posix()}`: {help_}")
            texts[path] = sealed(sources[name], graph.digest())
    programs = [graph.program for graph in graphs if graph.program.file != STDIN]
    made = [(program.file, program.network.name) for program in programs]
    stale = left_over(made, texts, TARGETS)
    if check:
        files = [compared(path, text) for path, text in texts.items()]
        for file in files:
            if file.changed:
                say(f"{file.path} {file.difference()}")
        print_text("".join(file.diff() for file in files))
    else:
        files = []
        for file in write_all(texts, force=force):
            say(f"{'wrote' if file.changed else 'unchanged'} {file.path}")
    for path, what in stale.items():
        say(f"{path} {what}")
    return FAULTS if check and any(file.changed for file in files) else OK


@commands.command("check")
@_specs
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "concise", "json"]),
    default="text",
    help="Reports with excerpts, one line for each, or JSON on standard output.",
)
@_set
def check_command(specs: Sequence[str], form: str, parameters: dict[str, Value]) -> int:
    """Report all faults of specs; exit 1 if there are any, warnings aside."""
    from incgen import api
    from incgen.base.diagnostics import render_json

    found: list[Diagnostic] = []
    for spec in specs:
        try:
            path, text = _source(spec)
            new = api.check(path, parameters, text=text)
        except SpecError as error:  # standard input is no text
            new = list(error.diagnostics)
        found += [d for d in new if d not in found]  # a shared file is reported once
    if form == "json":
        print_text(f"{render_json(found)}\n")
    elif form == "concise":
        say("\n".join(map(_headline, found)))
    else:
        _report(found)
        say(_counted(found, len(specs)))
    return _exit_code(found)


@commands.command("show")
@_one_spec
@click.option("--json", "as_json", is_flag=True, help="Everything, with exact numbers.")
@click.option("--depth", type=click.IntRange(min=1), help="Show only so many levels of labels.")
@click.option("--all", "everything", is_flag=True, help="Show the layers inside units too.")
@click.option(
    "--numerics", "conventions", is_flag=True, help="Show conventions, and who says them."
)
@_set
def show_command(
    spec: str,
    as_json: bool,
    depth: int | None,
    everything: bool,
    conventions: bool,
    parameters: dict[str, Value],
) -> int:
    """Print a network as a table: layers, shapes, parameters, multiply-adds."""
    from incgen.graph import numerics, show

    if conventions and (depth or everything):
        raise click.UsageError("--numerics shows no layers: leave out --depth and --all")
    graph = _compiled(spec, parameters)
    if conventions:
        print_text(numerics.as_json(graph) if as_json else numerics.table(graph))
    elif as_json:
        print_text(show.as_json(graph, depth=depth))
    else:
        print_text(show.table(graph, depth=depth, everything=everything))
    return OK


@commands.command("format")
@_specs
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a spec would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def format_command(specs: Sequence[str], check: bool, diff: bool) -> int:
    """Lay out specs in place; standard input goes to standard output."""
    from incgen.base.files import OutputError

    code = OK
    for spec in specs:
        try:
            changed = _format(spec, check=check, diff=diff)
        except SpecError as error:
            _report(error.diagnostics)
            code = max(code, _exit_code(error.diagnostics))
        except OutputError as error:
            code = max(code, _failed(str(error)))
        else:
            code = max(code, FAULTS if changed and check else OK)
    return code


@commands.group("weights")
def weights_commands() -> None:
    """Make, read and convert files of weights."""


_output_file = click.option("--output", "-o", metavar="FILE", required=True)
_force = click.option(
    "--force", is_flag=True, help="Also write over a file that this command has not written."
)


def _rules(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Layers of theirs by ours."""
    found = {}
    for value in values:
        ours, equals, theirs = value.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"`{value}` is not OURS=THEIRS, as in `logits=new_fc`")
        found[ours] = theirs
    return found


_part = click.option(
    "--part", metavar="NAME", help="Which of several sets of weights in the file, such as `ema`."
)
_seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Of what is drawn: the same number gives the same bytes, on every machine.",
)


@weights_commands.command("init")
@_one_spec
@_output_file
@_seed
@_set
@_force
def weights_init_command(
    spec: str, output: str, seed: int, parameters: dict[str, Value], force: bool
) -> int:
    """Write the weights that a spec's training begins with."""
    try:
        from incgen.weights import first
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from None
    graph = _compiled(spec, parameters)
    size = first.write(graph, output, seed, force=force)
    say(f"wrote {Path(output)} ({len(graph.tensors())} tensors, {size:,} bytes)")
    return OK


@weights_commands.command("import")
@click.argument("checkpoint", metavar="CHECKPOINT")
@_one_spec
@_output_file
@click.option(
    "--layout", metavar="NAME", help="Where the checkpoint keeps each layer; else what fits."
)
@_part
@click.option(
    "--fresh",
    metavar="LABEL",
    multiple=True,
    help="A layer that is drawn anew, not taken; also a wildcard, and more than once.",
)
@_seed
@click.option(
    "--rule",
    "rules",
    metavar="OURS=THEIRS",
    multiple=True,
    callback=_rules,
    help="A layer that the file calls otherwise than the layout; more than once.",
)
@click.option(
    "--ignore",
    metavar="PATTERN",
    multiple=True,
    help="Tensors of the file that are no part of the network; more than once.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "bfloat16", "float32", "float64"]),
    default="float32",
    show_default=True,
    help="The type of the numbers that are written.",
)
@_set
@_force
def weights_import_command(
    checkpoint: str,
    spec: str,
    output: str,
    layout: str | None,
    part: str | None,
    fresh: tuple[str, ...],
    seed: int,
    rules: dict[str, str],
    ignore: tuple[str, ...],
    dtype: str,
    parameters: dict[str, Value],
    force: bool,
) -> int:
    """Write published weights as one safetensors file that all targets load.

    A CHECKPOINT is a file of PyTorch, safetensors, Keras, TensorFlow, NumPy or Caffe. Unless all of
    it fits, everything that differs is listed, nothing is written, and the exit code is 1.
    """
    from incgen.weights.importing import import_weights

    path, text = _source(spec)
    manifest = import_weights(
        checkpoint,
        path,
        output,
        parameters,
        layout=layout,
        part=part,
        fresh=fresh,
        seed=seed,
        rules=rules,
        ignore=ignore,
        dtype=dtype,
        force=force,
        text=text,
    )
    found, place = manifest["layout"], manifest["checkpoint"]["part"]
    of = "" if place == "." else f", part {place}"
    count = len(manifest["tensors"])
    say(f"wrote {Path(output)} ({count} tensors, layout {found['name']}{of})")
    if manifest["fresh"]:
        say(f"note: drawn anew: {', '.join(manifest['fresh']['layers'])}")
    if beside := manifest["beside"]:
        more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
        say(f"note: not of this network: {', '.join(beside[:3])}{more}")
    other = {name: value for name, value in found["set"].items() if parameters.get(name) != value}
    if other:
        words = " ".join(f"--set {name}={str(value).lower()}" for name, value in other.items())
        say(f"note: in the published network it is `{words}`")
    return OK


@weights_commands.command("show")
@click.argument("file", metavar="FILE")
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
def weights_show_command(file: str, as_json: bool) -> int:
    """Print what a file of weights holds and where it comes from."""
    from incgen.weights import manifest
    from incgen.weights.readers import open_checkpoint

    with open_checkpoint(Path(file)) as checkpoint:
        print_text(manifest.as_json(checkpoint) if as_json else manifest.text(checkpoint))
    return OK


@weights_commands.command("layout")
@click.argument("checkpoint", metavar="CHECKPOINT")
@_one_spec
@_output_file
@_set
@click.option("--force", is_flag=True, help="Also write over a file that is there.")
def weights_layout_command(
    checkpoint: str, spec: str, output: str, parameters: dict[str, Value], force: bool
) -> int:
    """Draft a layout file for a checkpoint that `import` does not recognise.

    Layers are found by the shapes and the order of their tensors. What neither settles is marked as
    doubtful. An import finds the file as layouts/NETWORK/NAME.toml beside the SPEC.
    """
    from incgen.base.diagnostics import counted
    from incgen.weights.drafting import draft_layout

    path, text = _source(spec)
    made = draft_layout(checkpoint, path, output, parameters, force=force, text=text)
    doubtful = f"{counted(made.doubtful, 'rule')} doubtful" if made.doubtful else "nothing doubtful"
    say(f"wrote {Path(output)} ({counted(made.layers, 'layer')}, {doubtful})")
    for layers, where in ((made.missing, "here"), (made.left, "of theirs")):
        if layers:
            verb = "has" if len(layers) == 1 else "have"
            say(
                f"note: {counted(len(layers), 'layer')} {where} {verb} no counterpart; see the file"
            )
    return OK


@weights_commands.command("export")
@click.argument("file", metavar="FILE")
@_one_spec
@_output_file
@click.option(
    "--format",
    "form",
    type=click.Choice(["torch", "keras", "npz"]),
    required=True,
    help="A state dict (.pth), Keras weights (.weights.h5) or a model (.keras), arrays (.npz).",
)
@_part
@_set
@click.option("--force", is_flag=True, help="Also write over a file that is there.")
def weights_export_command(
    file: str,
    spec: str,
    output: str,
    form: str,
    part: str | None,
    parameters: dict[str, Value],
    force: bool,
) -> int:
    """Write weights as a framework's own file."""
    from incgen.weights.exporting import export_weights

    path, text = _source(spec)
    export_weights(file, path, output, parameters, format=form, part=part, force=force, text=text)
    say(f"wrote {Path(output)}")
    return OK


def _rungs(context: click.Context, option: click.Parameter, given: Sequence[str]) -> list[int]:
    """Read `--rung 3` and `--rung 0-4`."""
    from incgen.verify.report import RUNGS

    found: list[int] = []
    for text in given:
        first, dash, last = (part.strip() for part in text.partition("-"))
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise click.BadParameter(f"`{text}` is not a number or a range such as 0-4")
        low, high = int(first), int(last if dash else first)
        if low > high:
            raise click.BadParameter(f"`{text}` goes down: write {high}-{low}")
        most = min(high, len(RUNGS))  # one that is none is told below; no more are listed
        found += [low, *range(low + 1, most + 1)]
    return found


@commands.command("verify")
@_one_spec
@click.option(
    "--target",
    "-t",
    "targets",
    metavar="TARGET",
    multiple=True,
    default=("torch", "keras"),
    help="What to compare; otherwise torch and keras. Repeatable.",
)
@click.option(
    "--rung",
    "rungs",
    metavar="N",
    multiple=True,
    callback=_rungs,
    help="A rung of the ladder, or a range such as 0-4; otherwise all. Repeatable.",
)
@click.option("--float64", "dtypes", flag_value="float64", multiple=True, help="In this type only.")
@click.option("--float32", "dtypes", flag_value="float32", multiple=True, help="Likewise.")
@click.option("--weights", metavar="FILE", help="Weights of the spec; otherwise random ones.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Of the weights, the inputs and what dropout leaves out.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    metavar="N",
    default=4,
    show_default=True,
    help="How many examples there are in an input.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Show so many levels of labels.",
)
@click.option("--dump", metavar="DIR", help="Save what is around the first divergence there.")
@click.option("--json", "as_json", is_flag=True, help="Every comparison, for programs.")
@_set
def verify_command(
    spec: str,
    targets: Sequence[str],
    rungs: list[int],
    dtypes: Sequence[str],
    weights: str | None,
    seed: int,
    batch: int,
    depth: int,
    dump: str | None,
    as_json: bool,
    parameters: dict[str, Value],
) -> int:
    """Prove that the generated models are the same network.

    The models run with the same weights and climb a ladder: structure (0), evaluation (1), training
    forward (2), gradients (3), running statistics (4), a trajectory of descent (5), saved and
    compiled forms (6). The exit code is 1 if anything diverges or is not compared.
    """
    with _for_proof():
        from incgen import verify
        from incgen.verify.text import as_json as in_json
        from incgen.verify.text import text

    graph = _compiled(spec, parameters, warn=True)
    with frameworks_silent(), progress_line() as progress:
        report = verify.verify(
            graph,
            targets=targets,
            rungs=rungs or range(len(verify.RUNGS)),
            dtypes=dtypes or verify.DTYPES,
            weights=weights,
            seed=seed,
            batch=batch,
            dump=dump,
            progress=progress,
        )
    print_text(in_json(report) if as_json else harmless(text(report, graph, depth=depth)))
    return OK if report.passed else FAULTS


@contextmanager
def _for_proof() -> Iterator[None]:
    """Import what needs the extra `verify`."""
    try:
        yield
    except ModuleNotFoundError as error:
        message = f"this needs {error.name}: pip install 'incgen[verify]'"
        raise click.ClickException(message) from None


# ---------------------------------------------------------------- input


def _compiled(
    spec: str, parameters: dict[str, Value], *, warn: bool = False, alone: bool = True
) -> Graph:
    """The graph of a spec; its warnings are said."""
    from incgen import api

    path, text = _source(spec)
    report = Reporter()
    try:
        graph = api.compile_spec(path, parameters, text=text, report=report)
    except api.RequestError:
        if not alone:  # a file without a network has none of the parameters of the others
            api.compile_spec(path, text=text)
        raise
    if warn:
        _report(report.diagnostics)
    return graph


def _all_compiled(specs: Sequence[str], parameters: dict[str, Value]) -> list[Graph] | None:
    """The graphs of the specs that have a network; None if there are faults, which are said."""
    graphs: list[Graph] = []
    faults: list[Diagnostic] = []
    for spec in specs:
        try:
            graphs.append(_compiled(spec, parameters, warn=True, alone=len(specs) == 1))
        except SpecError as error:
            lone = error.diagnostics[0]
            if len(specs) == 1 or _exit_code(error.diagnostics) == USAGE:
                raise
            if lone.code is Code.NO_NETWORK and lone.span is None:
                say(f"{spec} defines no network")
            else:
                faults += [d for d in error.diagnostics if d not in faults]
    _report(faults)
    return None if faults else graphs


def _source(spec: str) -> tuple[str, str | None]:
    """The name of a spec, and its text if it comes from standard input."""
    if spec != "-":
        return spec, None
    from incgen.syntax.loader import STDIN, decoded

    return STDIN, decoded(_standard_input(), STDIN)


def _standard_input() -> bytes:
    from incgen.syntax.loader import MAX_BYTES

    if sys.stdin is None:
        raise click.ClickException("standard input is closed")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def _format(spec: str, *, check: bool, diff: bool) -> bool:
    """Lay out one spec; whether it changed, or would have."""
    from incgen.base.files import rewrite
    from incgen.output import unified_diff
    from incgen.syntax.format import format_text
    from incgen.syntax.loader import decoded

    path, name, data = _bytes(spec)
    text = decoded(data, name)
    result = format_text(text, name)
    if diff:
        print_text(unified_diff(text, result, name, name))
    mark = "\ufeff" if data.startswith(b"\xef\xbb\xbf") else ""
    if spec == "-" and not (check or diff):
        print_text(mark + result)
    elif result != text and not (check or diff):
        newline = "\r\n" if b"\r\n" in data else "\n"  # as in the rest of the checkout
        rewrite(path, (mark + result).replace("\n", newline).encode("utf-8"))
        say(f"formatted {name}")
    elif result != text and check:
        say(f"would format {name}")
    return result != text


def _bytes(spec: str) -> tuple[Path, str, bytes]:
    """The file of a spec, its name in reports, and what is in it."""
    from incgen.syntax.loader import STDIN, find, read

    if spec == "-":
        return Path(spec), STDIN, _standard_input()
    path, name = find(Path(spec))
    return path, name, read(path, name)


# ---------------------------------------------------------------- output


_HEADLINE = re.compile(r"^(.*?: )(error|warning)(\[[a-z0-9-]+\]): (.*)$")
_MARKS = re.compile(r"^( *\| *)(\^.*)$")
_COLOURS = {"error": "red", "warning": "yellow"}


def _report(diagnostics: Sequence[Diagnostic]) -> None:
    """Say reports with their excerpts."""
    from incgen.base.diagnostics import render

    if not diagnostics:
        return
    text = harmless(render(diagnostics))
    if _in_colour():
        text = "\n".join(map(_coloured, text.split("\n")))
    click.echo(f"{text}\n", err=True, color=True)


def _in_colour() -> bool:
    """Whether standard error is a terminal whose user wants colours (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and sys.stderr is not None and sys.stderr.isatty()


def _coloured(line: str) -> str:
    if line[:1].isdigit() and " | " in line:
        return line  # of the spec
    if headline := _HEADLINE.match(line):
        place, severity, code, message = headline.groups()
        kind = click.style(severity + code, fg=_COLOURS[severity], bold=True)
        return f"{click.style(place, bold=True)}{kind}: {click.style(message, bold=True)}"
    if marks := _MARKS.match(line):
        return marks[1] + click.style(marks[2], fg="red", bold=True)
    word, colon, rest = line.partition(": ")
    if word in ("note", "help"):
        return click.style(word + colon, fg="cyan", bold=True) + rest
    return line


def _headline(diagnostic: Diagnostic) -> str:
    return diagnostic.headline


def _counted(found: Sequence[Diagnostic], specs: int) -> str:
    """The last line of a check."""
    errors = sum(d.severity is Severity.ERROR for d in found)
    warnings = len(found) - errors
    parts = [
        f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n
    ]
    return f"{' and '.join(parts) or 'no faults'} in {specs} spec{'s' * (specs != 1)}"


def _exit_code(diagnostics: Iterable[Diagnostic]) -> int:
    """A spec that cannot even be read was not named rightly: that is no fault of a spec."""
    errors = [d for d in diagnostics if d.severity is Severity.ERROR]
    if any(d.code is Code.UNREADABLE and d.span is None for d in errors):
        return USAGE
    return FAULTS if errors else OK


# ---------------------------------------------------------------- running


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command of incgen and exit with its code."""
    run(commands, arguments, "incgen")


def run(command: click.Command, arguments: Sequence[str] | None, program: str) -> NoReturn:
    """Run a command and exit with its code; whatever fails on a user's side is one line.

    Args:
        command: a command or a group of them.
        arguments: otherwise those of the process.
        program: what was typed in front of them.
    """
    # A command is short and nearly all that it makes lives until its end, so looking for
    # garbage often would only cost time: a tenth of a build.
    gc.set_threshold(100_000, 50, 50)
    with as_exceptions():
        sys.exit(_exit_code_of(command, arguments, program))


def _exit_code_of(command: click.Command, arguments: Sequence[str] | None, program: str) -> int:
    try:
        code: Any = command.main(arguments, prog_name=program, standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return int(code or OK)
    except SpecError as error:
        _report(error.diagnostics)
        return _exit_code(error.diagnostics)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt) as error:
        say(f"{program}: interrupted")
        return exit_code(error)
    except BrokenPipeError:
        close_output()
        return FAULTS
    except OSError as error:
        close_output()
        what = f"`{error.filename}`" if error.filename else "the output"
        return _failed(f"{what} cannot be read or written: {error.strerror or error}")
    except Exception as error:
        from incgen.api import RequestError  # what failed has imported them already
        from incgen.base.files import OutputError
        from incgen.targets.shared.formatting import FormatterError
        from incgen.weights.errors import MismatchError, WeightsError

        if isinstance(error, MismatchError):
            _failed(str(error))
            return FAULTS
        if isinstance(error, (FormatterError, OutputError, RequestError, WeightsError)):
            return _failed(str(error))
        raise  # a fault of incgen


def _failed(message: str) -> int:
    say(f"Error: {message}")
    return USAGE

"""The `weights` commands."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from incgen.base.diagnostics import counted
from incgen.base.suffixes import Kind, kind_of
from incgen.cli.inputs import compiled, source_of
from incgen.cli.options import HELP, OK, examples, for_deployment, one_form, one_spec, set_values
from incgen.cli.pages import Pages
from incgen.cli.terminal import print_text, say, waiting

if TYPE_CHECKING:
    from incgen.language.arithmetic import Value


@click.group(
    "weights",
    cls=Pages,
    short_help="Make, convert weights.",
    context_settings=HELP,
    epilog=examples(
        "incgen weights init net.inc -o net.safetensors", "incgen weights show net.safetensors"
    ),
)
def weights() -> None:
    """Create, inspect and convert weights files."""


def _safetensors(context: click.Context, option: click.Parameter, given: str) -> str:
    """Refuse the name of a weights file that says another format."""
    end, kind = Path(given).suffix.lower(), kind_of(Path(given))
    if end != ".safetensors" and kind is not None:
        how = f"incgen writes .safetensors, and `{end}` is something else"
        other = "; `incgen weights export` writes those of frameworks"
        more = other if kind is Kind.WEIGHTS else ""
        raise click.BadParameter(f"`{given}`: {how}{more}")
    return given


def _in_order(checkpoint: str, spec: str) -> None:
    """Refuse a spec in the place of a checkpoint."""
    if kind_of(Path(checkpoint)) is Kind.SPEC and kind_of(Path(spec)) is not Kind.SPEC:
        raise click.UsageError(f"the spec comes last: write `{spec} {checkpoint}`")


_output = partial(
    click.option, "--output", "-o", metavar="FILE", required=True, help="The file to write."
)
_output_file, _output_weights = _output(), _output(callback=_safetensors)
_force = click.option("--force", is_flag=True, help="Overwrite a file that incgen did not write.")
_force_over_any = click.option("--force", is_flag=True, help="Overwrite an existing file.")


def _rules(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read `--rule ours=theirs`."""
    rules = {}
    for value in values:
        ours, equals, theirs = value.partition("=")
        if not (ours and equals and theirs):
            raise click.BadParameter(f"`{value}` is not OURS=THEIRS, as in `logits=new_fc`")
        rules[ours] = theirs
    return rules


_part = click.option(
    "--part", metavar="NAME", help="Which of the file's sets of weights, such as `ema`."
)
_seed = click.option(
    "--seed",
    type=click.IntRange(0, 2**64 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="The seed of random weights.",
)


@weights.command(
    "init",
    epilog=examples(
        "incgen weights init net.inc -o net.safetensors",
        "incgen weights init net.inc -o net.safetensors --seed 1",
    ),
)
@one_spec
@_output_weights
@_seed
@set_values
@_force
def init(spec: str, output: str, seed: int, parameters: dict[str, Value], force: bool) -> int:
    """Write the initial weights of a spec."""
    try:
        from incgen.weights import first
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from None
    graph = compiled(spec, parameters)
    with waiting(f"writing {output}"):
        size = first.write(graph, output, seed, force=force)
    say(f"wrote {Path(output)} ({len(graph.tensors())} tensors, {size:,} bytes)")
    return OK


@weights.command(
    "import",
    short_help="Convert published weights for all targets.",
    epilog=examples(
        "incgen weights import bn.pth bn_inception -o bn.safetensors",
        "incgen weights import v3.pth net.inc -o net.safetensors --fresh logits",
    ),
)
@click.argument("checkpoint", metavar="CHECKPOINT")
@one_spec
@_output_weights
@click.option("--layout", metavar="NAME", help="How the file is laid out. Default: as it fits.")
@_part
@click.option(
    "--fresh",
    metavar="LABEL",
    multiple=True,
    help="Initialise these layers (or a.*). Repeatable.",
)
@_seed
@click.option(
    "--rule",
    "rules",
    metavar="OURS=THEIRS",
    multiple=True,
    callback=_rules,
    help="A layer that the file names otherwise. Repeatable.",
)
@click.option(
    "--ignore",
    metavar="PATTERN",
    multiple=True,
    help="Tensors that are not of the network. Repeatable.",
)
@click.option(
    "--dtype",
    metavar="TYPE",
    type=click.Choice(["float16", "bfloat16", "float32", "float64"]),
    default="float32",
    help="float16, bfloat16, float32 (the default), float64.",
)
@set_values
@_force
def import_(
    checkpoint: str, spec: str, output: str, parameters: dict[str, Value], **options: Any
) -> int:
    """Convert published weights to one safetensors file that all targets load.

    A CHECKPOINT is a PyTorch, safetensors, Keras, TensorFlow, Flax, NumPy or Caffe file. Unless all
    of it fits, every difference is listed, nothing is written, and the exit code is 1.
    """
    from incgen.weights.readers import started

    _in_order(checkpoint, spec)
    path, text = source_of(spec)
    with waiting(f"importing {checkpoint}"), started(Path(checkpoint)):
        from incgen.weights.choosing import said
        from incgen.weights.importing import import_weights

        manifest = import_weights(checkpoint, path, output, parameters, text=text, **options)
    layout, place = manifest["layout"], manifest["checkpoint"]["part"]
    of = "" if place == "." else f", part {place}"
    count = len(manifest["tensors"])
    say(f"wrote {Path(output)} ({count} tensors, layout {layout['name']}{of})")
    if manifest["fresh"]:
        say(f"note: reinitialised: {', '.join(manifest['fresh']['layers'])}")
    if beside := manifest["beside"]:
        more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
        say(f"note: not of this network: {', '.join(beside[:3])}{more}")
    other = {name: value for name, value in layout["set"].items() if parameters.get(name) != value}
    if other:
        say(f"note: in the published network it is `{said(other)}`")
    return OK


@weights.command(
    "show",
    epilog=examples(
        "incgen weights show net.safetensors", "incgen weights show inception.pth --format json"
    ),
)
@click.argument("file", metavar="FILE")
@one_form("text (the default), or json with everything.", "text", "json")
def show(file: str, form: str) -> int:
    """Print what a weights file holds and where it comes from."""
    from incgen.weights import manifest
    from incgen.weights.readers import open_checkpoint

    with waiting(f"reading {file}"), open_checkpoint(Path(file)) as checkpoint:
        text = {"text": manifest.text, "json": manifest.as_json}[form](checkpoint)
    print_text(text)
    return OK


@weights.command(
    "layout",
    short_help="Draft a layout file for an unknown checkpoint.",
    epilog=examples(
        "incgen weights layout own.pth net.inc -o layouts/net/own.toml",
        "incgen weights layout own.h5 net.inc -o own.toml --set classes=10",
    ),
)
@click.argument("checkpoint", metavar="CHECKPOINT")
@one_spec
@_output_file
@set_values
@_force_over_any
def layout(
    checkpoint: str, spec: str, output: str, parameters: dict[str, Value], force: bool
) -> int:
    """Draft a layout file for a checkpoint that `import` does not recognise.

    Layers are matched by the shapes and the order of their tensors. What neither decides is marked
    as doubtful. An import finds the file as layouts/NETWORK/NAME.toml beside the SPEC.
    """
    from incgen.weights.drafting import draft_layout

    _in_order(checkpoint, spec)
    path, text = source_of(spec)
    with waiting(f"matching {checkpoint} with {spec}"):
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


@weights.command(
    "export",
    epilog=examples(
        "incgen weights export net.safetensors net.inc --format torch -o net.pth",
        "incgen weights export a.safetensors net.inc --format keras -o a.weights.h5",
    ),
)
@click.argument("file", metavar="FILE")
@one_spec
@_output_file
@click.option(
    "--format",
    "form",
    metavar="FORM",
    type=click.Choice(["torch", "keras", "flax", "npz", "safetensors"]),
    required=True,
    help="torch (.pth), keras (.weights.h5, or .keras with the model), flax (.msgpack), npz or "
    "safetensors.",
)
@_part
@set_values
@_force_over_any
@for_deployment
def export(
    file: str, spec: str, output: str, form: str, parameters: dict[str, Value], **options: Any
) -> int:
    """Export weights to a framework's own format.

    With --deploy, those of the form for inference.
    """
    from incgen.weights.exporting import export_weights

    _in_order(file, spec)
    path, text = source_of(spec)
    with waiting(f"exporting {file}"):
        export_weights(file, path, output, parameters, format=form, text=text, **options)
    say(f"wrote {Path(output)}")
    return OK

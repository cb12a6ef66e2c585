"""Hints at a command, an option or an argument that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePath

import click

from incgen.base.suffixes import Kind, kind_of

#: What is called otherwise elsewhere, in the words of a command line here.
COMMANDS: Mapping[str, str] = {
    "build": "codegen compile emit generate make translate",
    "build --recipe NAME": "fit train",
    "build --target onnx": "export onnx",
    "check": "lint validate",
    "diff": "compare",
    "draw": "graph plot plot_model render view visualise visualize",
    "format": "fmt",
    "new": "create init start",
    "quantize": "int8 quant quantise",
    "show": "cost describe flops info params print summarize summary",
    "verify": "prove test",
    "weights import": "convert load",
}
#: The same for the commands of `incgen weights`.
OF_WEIGHTS: Mapping[str, str] = {
    "weights export": "save",
    "weights import": "convert load",
    "weights init": "create make new",
    "weights show": "inspect list ls print",
    "verify --weights FILE": "check compare test verify",
}
#: Options that other commands have, by command and option.
_OPTIONS: Mapping[tuple[str, str], str] = {
    ("draw", "--format"): "the end of the name says it: `-o net.png`",
    ("quantize", "--weights"): "an ONNX file has its weights: `incgen build --target onnx` puts "
    "them in",
    ("check", "--target"): "all targets are checked",
}


def command(name: str, known: Collection[str], synonyms: Mapping[str, str]) -> str:
    """Return how an unknown command is called here, as the end of a sentence; or ""."""
    from incgen.base.help import near

    here = next((here for here, words in synonyms.items() if name.lower() in words.split()), None)
    meant = f"here it is `incgen {here}`" if here else near(name, known)
    return f": {meant}" if meant else ""


def option(context: click.Context, flag: str) -> str:
    """Return what to give in place of an unknown option, as the end of a sentence; or ""."""
    from incgen.targets import ONNX, TARGETS

    ours = {name for param in context.command.params for name in param.opts}
    bare = flag.lstrip("-")
    if "--target" in ours and bare in (*TARGETS, *(a for t in TARGETS.values() for a in t.aliases)):
        return f": write `--target {bare}`"
    if "--target" in ours and bare == ONNX:
        return f": write `--target {ONNX}`"
    if (context.info_name or "", flag) in _OPTIONS:
        return f": {_OPTIONS[context.info_name or '', flag]}"
    name = bare.replace("-", "_")
    if "--set" in ours and re.fullmatch(r"[A-Za-z_]\w*", name) and flag.startswith("--"):
        return f": a parameter of the network is set by `--set {name}=VALUE`"
    return ""


def extra(context: click.Context, arguments: Sequence[str]) -> str:
    """Return what to do with arguments that a command does not take, as the end of a sentence."""
    ours = {name for param in context.command.params for name in param.opts}
    first = arguments[0]
    kind = kind_of(PurePath(first))
    if kind is Kind.WEIGHTS and "--weights" in ours:
        return f": write `--weights {first}`"
    if kind is not None and kind is not Kind.SPEC and "--output" in ours:
        return f": write `-o {first}` for the file to write"
    if "=" in first and "--set" in ours:
        return f": write `--set {first}`"
    return ""

"""Fit a recipe to its network: sizes of images, heads, logits; and warn of known traps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from incgen.base.diagnostics import Code, Note, Reporter, listed
from incgen.base.help import Help, add, put, write
from incgen.base.source import Span
from incgen.graph.nodes import Graph, Node
from incgen.recipes import recipe as rp
from incgen.recipes.resolve import Resolved
from incgen.syntax.edits import first_line

#: The fewest examples whose statistics are of use to batch normalisation. Wu & He,
#: arXiv:1803.08494, figure 1: the error rises steeply below 8.
_SMALL_BATCH = 8
#: Ops whose output is not a logit.
_ENDS = ("softmax", "sigmoid", "l2_normalize")
_COLOURED = ("saturation", "hue")
#: How many times wider than its border an image is: 32 and 4 pixels in arXiv:1512.03385.
_PADDED = 8


def fitted(resolved: Resolved, graph: Graph, report: Reporter) -> rp.Recipe:
    """Return a recipe with what its network decides; report what does not fit, and traps."""
    fit = _Fit(resolved, graph, report)
    fit.network()
    recipe = replace(
        resolved.recipe,
        loss=fit.loss(),
        train=fit.images("train", resolved.recipe.train),
        evaluate=fit.images("evaluate", resolved.recipe.evaluate),
    )
    fit.warn_of_traps()
    return recipe


class _Fit:
    """One recipe beside its network."""

    def __init__(self, resolved: Resolved, graph: Graph, report: Reporter) -> None:
        self.recipe, self.graph, self.report = resolved.recipe, graph, report
        self.places: Mapping[str, Span] = resolved.places
        self.name = resolved.item.name.span

    def refuse(self, key: str, message: str, help: str | None = None, *notes: Note) -> None:
        """Report what does not fit, at the line of a setting."""
        span = self.places.get(key, self.name)
        self.report.error(Code.UNFIT_RECIPE, span, message, help=help, notes=notes)

    def warn(self, key: str, message: str, help: str | None = None) -> None:
        """Warn of a trap, at the line of a setting."""
        self.report.warning(Code.TRAP, self.places.get(key, self.name), message, help=help)

    def stated(self, key: str, line: str, why: str) -> Help:
        """Return the help to write a setting in another way, or to add it."""
        edits = put(line) if key in self.places else (first_line(self.name, line),)
        return Help(f"write `{line}`{why}", *edits)

    def written(self, key: str, pattern: str) -> Span:
        """Return the place of a part of a setting."""
        place = self.places[key]
        found = re.search(pattern, place.text)
        start, end = found.span() if found else (0, len(place.text))
        return Span(place.source, place.start + start, place.start + end)

    def network(self) -> None:
        """Refuse a network whose outputs are not logits, or whose input is not an image."""
        graph, (main, *_) = self.graph, self.graph.outputs
        classes = graph.nodes[graph.outputs[main]].shape.channels
        for name, index in graph.outputs.items():
            last = graph.nodes[index]
            note, own = Note("it ends here", last.span), last.shape.channels
            if last.shape.is_map:
                message = f"`{name}` is a map, and the loss takes a vector"
                help_ = "end it with `global_avg_pool` and `dense classes`"
                self.refuse("loss", message, help_, note)
            elif last.op in _ENDS:
                message = f"the loss takes logits, but `{name}` ends in `{last.op}`"
                self.refuse("loss", message, "end it one step earlier", note)
            elif own != classes:
                message = f"`{name}` has {own} classes, and `{main}` has {classes}"
                self.refuse("loss", message, "give every head the classes of the network", note)
        self._pixels()

    def _pixels(self) -> None:
        """Refuse an input that is not an image, or that does not say what its values are."""
        pixels, channels = self.graph.program.network.pixels, self.graph.input.channels
        assert pixels is not None
        note = Note("the input is here", pixels.span)
        if channels not in (1, 3):
            message = f"images have 1 or 3 channels, and the input has {channels}"
            self.refuse("train", message, "train it by a program of your own", note)
        elif not pixels.described:
            message = "the network does not say what its pixels are, so images cannot be scaled"
            edits = add("range=[0, 1]", behind=pixels.span)
            help_ = Help("write `range=[0, 1]` on its `input` line", *edits)
            self.refuse("train", message, help_, note)

    def loss(self) -> rp.Loss:
        """Return the loss with a weight for heads; it must be stated if there are any."""
        loss, heads = self.recipe.loss, list(self.graph.outputs)[1:]
        if heads and loss.heads is None:
            message = f"the network has {listed(heads)}, whose loss needs a weight"
            stated = self.places["loss"].text if "loss" in self.places else "loss cross_entropy"
            why = ", GoogLeNet's weight (arXiv:1409.4842)"
            self.refuse("loss", message, self.stated("loss", f"{stated} heads=0.3", why))
        if not heads and loss.heads is not None:
            self.warn("loss", "`heads` weighs the loss of auxiliary heads, and there are none")
        return replace(loss, heads=loss.heads or 0.0)

    def images(self, key: str, transforms: tuple[rp.Transform, ...]) -> tuple[rp.Transform, ...]:
        """Return transforms with their sizes, which must end in the size of the input."""
        side, done, sized = self.graph.input, list[rp.Transform](), False
        for transform in transforms:
            args: dict[str, Any] = dict(transform.args)
            if "size" in args and transform.name != "resize":
                if side.height != side.width:
                    message = f"`{transform.name}` makes a square, and the input is not one"
                    help_ = "give the data in that size, without transforms that change it"
                    self.refuse(key, message, help_)
                args["size"] = args["size"] or side.height
                sized = True
                if args["size"] != side.height:
                    message = f"`{transform.name}` makes {args['size']} pixels, but the input"
                    message += f" has {side.height}"
                    over = self.written(key, rf"{transform.name}\s+\d+")
                    help_ = Help("leave the size out", *put(transform.name, over=over))
                    self.refuse(key, message, help_)
            self._colours(key, transform, args)
            if transform.name == "random_crop":
                self._border(key, args)
            done.append(rp.Transform(transform.name, args))
        resize = next((t for t in transforms if t.name == "resize"), None)
        if resize and not sized:
            message = "`resize` keeps the shape of an image; a crop must follow"
            over = self.written(key, r"resize\s+\d+")
            crop = f"resize {resize.args['size']} -> center_crop"
            self.refuse(key, message, write(crop, over=over))
        self._order(key, done)
        self._room(key, done)
        return tuple(done)

    def _colours(self, key: str, transform: rp.Transform, args: Mapping[str, Any]) -> None:
        """Refuse what needs colours if the images have none."""
        needs = [name for name in _COLOURED if transform.name == "color" and args[name]]
        if needs and self.graph.input.channels != 3:
            channels = self.graph.input.channels
            message = f"`color` takes {listed(needs)} of 3 channels, and the input has {channels}"
            self.refuse(key, message)

    def _border(self, key: str, args: Mapping[str, Any]) -> None:
        """Refuse a border that has no width, and one that may be all that a crop shows."""
        size, pad, border = args["size"], args["pad"], args["border"]
        stated = f"pad={max(1, size // _PADDED)}"
        if pad is None and border != "zero":
            over = self.written(key, rf"border\s*=\s*{border}")
            message = f"`border={border}` says what `pad` adds, and there is none"
            self.refuse(key, message, Help(f"add `{stated}`", *add(stated, behind=over)))
        elif pad is not None and pad >= size:
            over = self.written(key, r"pad\s*=\s*(\([^)]*\)|[^\s}]+)")
            message = f"`pad={pad}` is so wide that {size} pixels may hold nothing of an image"
            self.refuse(key, message, write(stated, over=over))

    def _room(self, key: str, transforms: list[rp.Transform]) -> None:
        """Refuse a crop that is larger than what `resize` makes, with its border."""
        args: dict[str, dict[str, Any]] = {t.name: dict(t.args) for t in transforms}
        side = args["resize"]["size"] if "resize" in args else None
        for name in ("random_crop", "center_crop", "ten_crop"):
            pad = args.get(name, {}).get("pad") or 0
            if side and name in args and side + 2 * pad < args[name]["size"]:
                size, border = args[name]["size"], f" with `pad={pad}`" if pad else ""
                message = f"`{name}` takes {size} pixels, and `resize {side}`{border} makes"
                message += f" {side + 2 * pad}"
                over = self.written(key, r"resize\s+\S+")
                self.refuse(key, message, write(f"resize {size - 2 * pad}", over=over))

    def _order(self, key: str, transforms: list[rp.Transform]) -> None:
        """Refuse what comes in another order than it can be done in."""
        names = [transform.name for transform in transforms]
        crops = [name for name in names if name.endswith("crop")]
        if len(crops) > 1:
            self.refuse(key, f"{listed(crops)} would each make the whole image", "keep one")
        if "resize" in names and crops and names.index("resize") > names.index(crops[0]):
            self.refuse(key, "`resize` comes before the crop")
        if "resize" in names and "multi_crop" in names:
            size = self.graph.input.height or 0
            *sides, last = (str(round(size * scale / 7)) for scale in (8, 9, 10, 11))
            message = f"`multi_crop` has scales of its own: {', '.join(sides)} and {last} pixels"
            over = self.written(key, r"resize\s+(\([^)]*\)|\S+)\s*(->)?\s*")
            self.refuse(key, message, Help("leave out `resize`", *put("", over=over)))

    # ------------------------------------------------------------ traps

    def warn_of_traps(self) -> None:
        """Warn of settings that are known to train badly together."""
        recipe, ops = self.recipe, {node.op for node in self.graph.nodes}
        if "bn" in ops and recipe.batch < _SMALL_BATCH:
            message = f"statistics of {recipe.batch} examples are of little use"
            help_ = f"batch normalisation wants {_SMALL_BATCH} or more (arXiv:1803.08494)"
            self.warn("batch", message, help_)
        if dropout := self._dropout_before_norm():
            message = f"`{dropout.path}` drops values in front of batch normalisation, whose"
            message += " variance then differs between training and evaluation"
            help_ = "leave dropout out of networks with batch normalisation (arXiv:1801.05134)"
            self.report.warning(Code.TRAP, dropout.span, message, help=help_)
        if isinstance(recipe.optimizer, rp.Adam):
            self._warn_of_coupled_decay(recipe.optimizer)
        self._warn_of_long_warmup()
        self._warn_of_idle_epoch()
        average, length = recipe.average, recipe.length
        if average is not None and average.decay < 1 and not average.ramp:
            memory = 1 / (1 - average.decay)
            if length.unit == "steps" and length.count < memory:
                message = f"the average remembers {memory:g} steps, more than the training has"
                message += ", so that its first weights stay in it"
                self.warn("average", message, write(f"average {average.decay:g} ramp=true"))

    def _warn_of_long_warmup(self) -> None:
        """Warn of a warm-up that does not end before the training."""
        warmup, length = self.recipe.rate.warmup, self.recipe.length
        if (
            warmup is None
            or warmup.length.unit != length.unit
            or warmup.length.count < length.count
        ):
            return
        message = f"the warm-up takes {warmup.length.count:g} {length.unit} of the"
        message += f" {length.count:g} that the training has, so the rate never reaches"
        message += f" {self.recipe.rate.base:g}"
        steps = length.unit == "steps"
        shorter = math.ceil(length.count / 10) if steps else length.count / 10
        start = f" start={warmup.start:g}" if warmup.start else ""
        rise = [f"warmup {shorter:g} {length.unit}{start}"] if shorter < length.count else []
        parts = re.split(r"\s*->\s*", re.sub(r"\s*#.*", "", self.places["rate"].text))
        schedule = [part for part in parts[1:] if not part.startswith("warmup")]
        self.warn("rate", message, write(" -> ".join([parts[0], *rise, *schedule])))

    def _warn_of_idle_epoch(self) -> None:
        """Warn of a warm-up from 0 whose rate changes between epochs only."""
        warmup, per = self.recipe.rate.warmup, self.recipe.rate.per
        if warmup is not None and not warmup.start and per == "epoch":
            message = "the warm-up begins with a rate of 0, which `per=epoch` keeps for an epoch"
            over = self.written("rate", r"warmup.*?(?=\s*(->|[#;}\n]|$))")
            self.warn("rate", message, write(f"warmup {warmup.length} start=0.1", over=over))

    def _warn_of_coupled_decay(self, adam: rp.Adam) -> None:
        """Warn of decay in a loss whose gradients Adam rescales."""
        own = any(node.call and node.args.get("l2") for node in self.graph.nodes)
        if self.recipe.l2 or (own and self.recipe.l2 is None):
            key = "l2" if self.recipe.l2 else "optimizer"
            message = "Adam divides the gradient of `l2` by its own size, so it hardly decays"
            why = ""
            if adam.decay is None:
                stated = self.places["optimizer"].text.replace("adam", "adamw", 1)
                why = f", and `{stated} decay=0.05` (arXiv:1711.05101)"
            self.warn(key, message, self.stated("l2", "l2 0", why))

    def _dropout_before_norm(self) -> Node | None:
        """Return a dropout whose output reaches a batch normalisation."""
        source: dict[int, Node] = {}
        for index, node in enumerate(self.graph.nodes):
            dropout = next((source[i] for i in node.inputs if i in source), None)
            if node.op == "bn" and dropout is not None:
                return dropout
            if node.op == "dropout" and node.args.get("rate"):
                dropout = dropout or node
            if dropout is not None:
                source[index] = dropout
        return None

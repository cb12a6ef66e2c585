"""A network as one object: its graph, its code, its models, and how notebooks show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType, ModuleType
from typing import Any

from incgen import api
from incgen.base.diagnostics import Diagnostic, Reporter
from incgen.compiling import Parameters, RequestError, SpecPath, compile_spec
from incgen.graph.nodes import Graph
from incgen.graph.shapes import Shape
from incgen.graph.words import short
from incgen.inference import Deploy, formed
from incgen.notebooks import display
from incgen.notebooks.display import Drawing, Page, Source, Table


class Network:
    """A network of a spec, compiled: everything that can be made of it hangs on this object.

    A notebook shows it as a drawing with a table of its layers, and `print` as a table.

        net = incgen.Network("bn_inception")
        net                          # in a notebook: the drawing
        net.shapes["inception_3a"]   # 256 x 28 x 28
        model = net.torch(classes=10)
        net.draw(opened=["inception_3a"], heat="parameters")

    Attributes:
        graph: Every layer, expanded, with its shape and cost.
        warnings: What is doubtful in the spec, though no error.
    """

    def __init__(
        self,
        spec: SpecPath,
        parameters: Parameters | None = None,
        *,
        text: str | None = None,
        deploy: Deploy = False,
        weights: SpecPath | None = None,
    ) -> None:
        """Compile a spec.

        Args:
            spec: The file of the spec, or the name of a shipped one.
            parameters: Values for parameters and constants, which override the spec's.
            text: The spec itself, if it does not come from the file.
            deploy: The form for inference, by all passes or by those of these names, instead of
                the training form.
            weights: The weights file that the models load.

        Raises:
            SpecError: The spec has faults.
            RequestError: There is no such parameter, value or pass.
        """
        report = Reporter()
        self.graph: Graph = formed(compile_spec(spec, parameters, text=text, report=report), deploy)
        self.warnings: tuple[Diagnostic, ...] = tuple(report.diagnostics)
        self._weights = weights
        self._modules: dict[str, ModuleType] = {}

    @property
    def name(self) -> str:
        """Return the name of the network."""
        return self.graph.program.network.name

    @property
    def input(self) -> Shape:
        """Return the shape of the input, without the batch and channels first."""
        return self.graph.input

    @property
    def outputs(self) -> dict[str, Shape]:
        """Return the shapes of the outputs by their names: the network's own, then its heads."""
        return {name: self.graph.nodes[node].shape for name, node in self.graph.outputs.items()}

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Return the shape after every layer, unit and block, by its key."""
        shapes: dict[str, Shape] = {}
        for node in self.graph.nodes:
            shapes[node.path] = node.shape
            for use in node.uses():
                shapes[use.path] = node.shape
            *above, _ = node.path.split(".")
            for count in range(1, len(above) + 1):
                shapes[".".join(above[:count])] = node.shape
        return MappingProxyType(shapes)

    @property
    def trained(self) -> int:
        """Count the numbers that are trained."""
        return self.graph.trained

    @property
    def multiply_adds(self) -> int:
        """Return the cost for one example of the spec's size."""
        return self.graph.multiply_adds

    def source(self, target: str = "torch") -> Source:
        """Return the source text for a target; a notebook shows it in colours.

        Raises:
            SpecError: The target cannot express the network.
            RequestError: There is no such target.
        """
        (chosen,) = api.find_targets([target])
        return Source(chosen.emit(self.graph))

    def module(self, target: str = "torch") -> ModuleType:
        """Return the generated code as a module, as `incgen.load` does; it is generated once.

        Raises:
            SpecError: The target cannot express the network.
            RequestError: There is no such target.
            ImportError: The framework is not installed.
        """
        (chosen,) = api.find_targets([target])
        if chosen.name not in self._modules:
            self._modules[chosen.name] = api.imported(self.graph, chosen)
        return self._modules[chosen.name]

    def torch(self, **arguments: Any) -> Any:
        """Return a model of PyTorch; arguments are the parameters of the network."""
        model = self._entry("torch")(**arguments)
        if self._weights is not None:
            from incgen.weights.into_torch import load_into

            load_into(model, self.module("torch"), self._weights)
        return model

    def keras(self, **arguments: Any) -> Any:
        """Return a model of Keras; arguments are those of the generated function."""
        return self._loaded("keras", self._entry("keras")(**arguments))

    def flax(self, *, rngs: Any = None, **arguments: Any) -> Any:
        """Return a module of Flax NNX; arguments are the parameters of the network.

        Args:
            rngs: The streams of random numbers; those of seed 0 if omitted.
            arguments: Values of parameters.
        """
        if rngs is None:
            rngs = self.module("flax").nnx.Rngs(0)
        return self._loaded("flax", self._entry("flax")(rngs=rngs, **arguments))

    def _entry(self, target: str) -> Any:
        """Return the class or function of the network in its generated code."""
        (chosen,) = api.find_targets([target])
        return getattr(self.module(target), chosen.entry(self.name))

    def _loaded(self, target: str, model: Any) -> Any:
        """Load the weights file, if there is one, as generated code does."""
        if self._weights is not None:
            self.module(target).load_safetensors(model, self._weights)
        return model

    def draw(
        self,
        *,
        depth: int = 1,
        opened: Sequence[str] = (),
        heat: str | None = None,
        theme: str = "light",
        direction: str = "down",
        definitions: bool = True,
    ) -> Drawing:
        """Draw the network; the arguments are those of `incgen.drawing`.

        Raises:
            DrawError: There is no such option or part.
        """
        from incgen.draw.drawing import drawn
        from incgen.draw.view import View

        view = View(depth, tuple(opened), heat, theme, direction, definitions)
        return Drawing(drawn(self.graph, view, "svg").decode("utf-8"), self.name)

    def explore(self) -> Page:
        """Return a page to look around in: blocks open on a click."""
        from incgen.draw.drawing import drawn
        from incgen.draw.view import View

        return Page(drawn(self.graph, View(), "html").decode("utf-8"), self.name)

    def table(
        self,
        depth: int | None = 1,
        *,
        columns: str | Sequence[str] | None = None,
        sort: str | None = None,
        targets: Sequence[str] = (),
        everything: bool = False,
    ) -> Table:
        """Return the table of `incgen show`: what each layer is, and where the cost is.

        Args:
            depth: How many levels of labels; all if None.
            columns: The names of the columns; as a text, `+` adds to the usual ones, and `all`
                stands for all.
            sort: The column to sort by, from the largest.
            targets: Frameworks that say what they call each layer.
            everything: Whether the layers inside units are shown too.

        Raises:
            RequestError: There is no such column or target.
        """
        from incgen.calling import calls_of
        from incgen.notebooks.tables import table
        from incgen.show.columns import ColumnError
        from incgen.show.sheet import View, sheet
        from incgen.show.text import table as as_text

        named = columns if columns is None or isinstance(columns, str) else ",".join(columns)
        view = View(depth, everything, named, sort)
        try:
            shown = sheet(self.graph, view, calls_of(self.graph, targets))
        except ColumnError as error:
            raise RequestError(str(error)) from None
        return Table(as_text(shown).rstrip("\n"), table(shown))

    def __repr__(self) -> str:
        """Return the network in one line: its shapes and costs."""
        outputs = ", ".join(f"{name} {shape}" for name, shape in self.outputs.items())
        costs = f"{short(self.trained)} parameters, {short(self.multiply_adds)} multiply-adds"
        return f"<Network {self.name}: {self.input} -> {outputs}; {costs}>"

    def __str__(self) -> str:
        """Return the table of `incgen show --depth 1`."""
        return self.table().text

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Show the drawing with a table of the layers; only the drawing where SVG is asked for.

        HTML holds the drawing as well, so that both would be saved in a notebook.
        """
        bundle = {"text/plain": repr(self)}
        if include and "image/svg+xml" in include:
            bundle["image/svg+xml"] = self.draw().svg
        if not include or "text/html" in include:
            bundle["text/html"] = self._repr_html_()
        return {kind: data for kind, data in bundle.items() if kind not in (exclude or ())}

    def _repr_html_(self) -> str:
        """Return the drawing, and the table of layers behind a click."""
        drawing = display.image(self.draw().svg, self.name)
        layers = self.table().html
        return f"{drawing}\n<details>\n<summary>Layers</summary>\n{layers}\n</details>"

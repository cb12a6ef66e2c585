"""Resolve the recipes of a file: what they inherit, state and leave to defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

from incgen.base.diagnostics import Code, Note, Refused, Reporter, clipped, listed
from incgen.base.help import Help, add, near, write
from incgen.base.source import Span
from incgen.language import expressions as ex
from incgen.language.arithmetic import Value
from incgen.recipes import recipe as rp
from incgen.recipes.forms import Form, Setting
from incgen.recipes.reading import FormReader
from incgen.recipes.remedies import as_attribute, behind_rate
from incgen.recipes.table import SETTINGS, TRANSFORMS
from incgen.resolve.values import Values
from incgen.syntax import tree as st
from incgen.syntax.edits import first_line, new_line
from incgen.syntax.loader import LoadedFile
from incgen.syntax.shipped import plain_name

#: The deepest chain of recipes that are made `from` each other.
_MAX_DEPTH = 20
#: What must be stated, in words and as a line to type.
_REQUIRED = {
    "length": ("how long it trains", "epochs 24", "steps 50000"),
    "batch": ("its batch", "batch 32"),
    "optimizer": ("its optimiser", "optimizer sgd momentum=0.9"),
    "rate": ("its learning rate", "rate 0.1 -> cosine"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A resolved recipe, and where it comes from."""

    recipe: rp.Recipe
    file: LoadedFile  #: The file of its network
    item: st.Recipe
    #: The line of each setting, here or in a recipe that it is made from, by attribute
    places: Mapping[str, Span]


@dataclass(frozen=True, slots=True)
class _Said:
    """The settings of a recipe and of those that it is made from."""

    network: str
    file: LoadedFile
    settings: Mapping[str, Value]
    values: Mapping[str, Any]  #: Values of settings by attribute
    places: Mapping[str, Span]


_Images: TypeAlias = tuple[rp.Transform, ...]


@dataclass
class RecipeResolver:
    """Resolves the recipes of a file, each once."""

    loaded: LoadedFile  #: The file
    report: Reporter  #: Collects errors
    #: Values for constants of the file, in place of what it says
    settings: Mapping[str, Value] = field(default_factory=dict)
    _values: dict[int, Values] = field(default_factory=dict)
    _said: dict[int, _Said | None] = field(default_factory=dict)

    def all(self) -> list[Resolved]:
        """Return the recipes without a fault; report the faults of the others."""
        seen: dict[str, Span] = {}
        recipes = []
        for item in self.loaded.spec.of(st.Recipe):
            name = item.name
            if name.text in seen:
                message = f"the recipe `{name.text}` is defined twice"
                notes = (Note("it is first defined here", seen[name.text]),)
                self.report.error(Code.DUPLICATE, name.span, message, notes=notes)
                continue
            seen[name.text] = name.span
            recipe = self.one(item)
            recipes += [recipe] if recipe else []
        return recipes

    def one(self, item: st.Recipe) -> Resolved | None:
        """Return a recipe of the file; None after a report."""
        said = self._what_it_says(self.loaded, item, ())
        if said is None:
            return None
        lacks = [words for key, words in _REQUIRED.items() if key not in said.values]
        for what, *lines in lacks:
            name = item.name
            message = f"the recipe `{name.text}` does not say {what}"
            edits = (first_line(name.span, line) for line in lines)
            help_ = Help(f"add {listed(lines, 'or')}", *edits)
            self.report.error(Code.MISSING_SETTING, name.span, message, help=help_)
        if lacks:
            return None
        values = {**_DEFAULTS, **said.values}
        size, synchronized = values.pop("batch")
        recipe = rp.Recipe(
            name=item.name.text,
            doc=item.doc,
            file=plain_name(self.loaded.source.name),
            network=said.network,
            settings=said.settings,
            batch=size,
            synchronized=synchronized,
            **values,
        )
        return Resolved(recipe, said.file, item, said.places)

    # ------------------------------------------------------------ one recipe and its parents

    def _what_it_says(
        self, loaded: LoadedFile, item: st.Recipe, below: tuple[st.Recipe, ...]
    ) -> _Said | None:
        if id(item) not in self._said:
            try:
                self._said[id(item)] = self._read(loaded, item, below)
            except Refused:
                self._said[id(item)] = None
        return self._said[id(item)]

    def _read(self, loaded: LoadedFile, item: st.Recipe, below: tuple[st.Recipe, ...]) -> _Said:
        errors = self.report.errors
        parent = self._parent(loaded, item, below)
        values = dict(parent.values) if parent else {}
        places = dict(parent.places) if parent else {}
        network, file, settings = self._network(loaded, item, parent)
        own: dict[str, Span] = {}
        for setting in item.settings:
            try:
                key, value, name = self._setting(loaded, setting, _rate_in(item, places))
            except Refused:
                continue
            if key in own:
                message = f"`{name.text}` is given twice"
                if SETTINGS.get(name.text) and own[key].text.split()[0] != name.text:
                    message = "the length is given twice, in epochs and in steps"
                notes = (Note("it is first given here", own[key]),)
                self.report.error(Code.DUPLICATE, name.span, message, notes=notes)
                continue
            own[key], values[key] = setting.span, value
        if self.report.errors != errors:
            raise Refused
        return _Said(network, file, settings, values, {**places, **own})

    def _parent(
        self, loaded: LoadedFile, item: st.Recipe, below: tuple[st.Recipe, ...]
    ) -> _Said | None:
        """Return what the recipe behind `from` says; None without one."""
        if item.parent is None:
            return None
        name, chain = item.parent.text, (*below, item)
        file, parent = self._named(loaded, item.parent)
        if any(parent is other for other in chain):
            names = [other.name.text for other in chain]
            message = f"the recipe `{name}` is made from itself"
            if len(names) > 1:
                message += f": {' -> '.join([*names, name])}"
            self.report.refuse(Code.RECURSION, item.parent.span, message)
        if len(chain) > _MAX_DEPTH:
            message = f"recipes are made from each other more than {_MAX_DEPTH} deep"
            self.report.refuse(Code.NESTING_TOO_DEEP, item.parent.span, message)
        said = self._what_it_says(file, parent, chain)
        if said is None:
            raise Refused
        return said

    def _named(self, loaded: LoadedFile, name: st.Identifier) -> tuple[LoadedFile, st.Recipe]:
        """Return the recipe of a name in a file, or in one that it uses."""
        for recipe in loaded.spec.of(st.Recipe):
            if recipe.name.text == name.text:
                return loaded, recipe
        used = _used(loaded, name.text)
        for recipe in used.spec.of(st.Recipe) if used else ():
            if recipe.name.text == name.text:
                assert used is not None
                return used, recipe
        known = [recipe.name.text for recipe in loaded.spec.of(st.Recipe)]
        message = f"no recipe named `{clipped(name.text)}`"
        help_ = near(name.text, known) or "name one of this file, or `use` it from another"
        self.report.refuse(Code.UNKNOWN_RECIPE, name.span, message, help=help_)

    def _network(
        self, loaded: LoadedFile, item: st.Recipe, parent: _Said | None
    ) -> tuple[str, LoadedFile, Mapping[str, Value]]:
        """Return the network that a recipe trains, its file, and values for its parameters."""
        trains = item.trains
        if trains is None:
            if parent is None:
                message = f"the recipe `{item.name.text}` does not say which network it trains"
                own = _networks(loaded)
                network = own[0] if own else "NETWORK"
                help_ = f"write `recipe {item.name.text} for {network} {{`"
                help_ = Help(help_, *add(*(f"for {name}" for name in own[:1])))
                self.report.refuse(Code.MISSING_SETTING, item.name.span, message, help=help_)
            return parent.network, parent.file, parent.settings
        name = trains.network.text
        file = loaded if name in _networks(loaded) else _used(loaded, name)
        if file is None or name not in _networks(file):
            known = _networks(loaded)
            message = f"no network named `{clipped(name)}`"
            use = f'`use {name} from "{name}.inc"` names one of another file'
            help_ = near(name, known) or use
            self.report.refuse(Code.UNKNOWN_NAME, trains.network.span, message, help=help_)
        settings = dict(parent.settings) if parent and parent.network == name else {}
        return name, file, {**settings, **self._given(loaded, trains.attributes)}

    def _given(self, loaded: LoadedFile, attributes: tuple[st.Attribute, ...]) -> dict[str, Value]:
        """Read values for parameters and constants of a network, as `--set` takes them."""
        values = self._constants(loaded)
        given: dict[str, Value] = {}
        for attribute in attributes:
            written, name = attribute.value, attribute.name
            if isinstance(written, ex.Name) and written.text not in values.constants:
                given[name.text] = written.text
                continue
            fixed = values.fixed(written) if isinstance(written, ex.Expression) else None
            value = ex.literal(fixed) if fixed is not None else None
            if value is None:
                message = f"`{name.text}` must be a number, `true`, `false` or a word"
                self.report.refuse(Code.WRONG_TYPE, written.span, message)
            given[name.text] = value
        return given

    # ------------------------------------------------------------ settings

    def _setting(
        self, loaded: LoadedFile, written: st.Setting | st.Images, rate: tuple[str, Span | None]
    ) -> tuple[str, Any, st.Identifier]:
        """Read one setting, beside this rate; return the attribute that it sets, and its value."""
        reader = FormReader(self._constants(loaded), self.report)
        if isinstance(written, st.Images):
            if written.name.text not in TRANSFORMS:
                self._refuse_setting(written.name, "")
            return written.name.text, self._images(reader, written), written.name
        call, *parts = written.calls
        setting = SETTINGS.get(call.name.text)
        part = SETTINGS["rate"].parts.get(call.name.text)
        if part is not None and (setting is None or _leads(part, call)):
            message = f"`{part.name}` is a part of the rate, not a setting"
            help_ = behind_rate(part, call, rate, written.span, reader.values.constants)
            self.report.refuse(Code.UNKNOWN_SETTING, call.name.span, message, help=help_)
        if setting is None:
            self._refuse_misplaced(call, written.span)
            first = call.positional[0].span if call.positional else None
            self._refuse_setting(call.name, first.text if first else "")
        value = reader.chosen(setting.name, setting.forms, call)
        if setting.name == "rate":
            value = self._rate(reader, setting, value, parts)
        elif parts:
            message = f"nothing follows `{setting.name}` behind `->`"
            help_ = Help("give each setting a line of its own", new_line(parts[0].span))
            self.report.refuse(Code.MISPLACED, parts[0].span, message, help=help_)
        return setting.key, value, call.name

    def _rate(
        self, reader: FormReader, setting: Setting, first: Any, parts: list[st.Call]
    ) -> rp.Rate:
        """Read a warm-up and a schedule, in this order, both optional."""
        stages: dict[str, Any] = {}
        for call in parts:
            form = self._form(setting.parts, call, "schedule")
            kind = "warmup" if form.name == "warmup" else "schedule"
            if "schedule" in stages or kind in stages:
                message = "a rate has one warm-up and then one schedule"
                help_ = Help("keep one")
                if kind == "warmup" and kind not in stages:
                    behind = next(c for c in parts if c.name.text != "warmup")
                    both = behind.span.until(call.span)
                    stated = f"{call.span.text} -> {behind.span.text}"
                    help_ = write(stated, over=both, why=" behind the rate")
                self.report.refuse(Code.MISPLACED, call.span, message, help=help_)
            stages[kind] = reader.read(form, call, call.positional)
        base, per = first
        return rp.Rate(base, stages.get("warmup"), stages.get("schedule"), per)

    def _images(self, reader: FormReader, written: st.Images) -> _Images:
        forms = TRANSFORMS[written.name.text]
        transforms: list[rp.Transform] = []
        for call in (call for line in written.lines for call in line.calls):
            if call.name.text not in forms:
                self._refuse_elsewhere(written.name.text, call)
            form = self._form(forms, call, f"transform of `{written.name.text}`")
            if any(transform.name == form.name for transform in transforms):
                message = f"`{form.name}` is given twice"
                self.report.refuse(Code.DUPLICATE, call.span, message)
            made = reader.read(form, call, call.positional)
            assert isinstance(made, rp.Transform)
            transforms.append(made)
        return tuple(transforms)

    def _refuse_elsewhere(self, here: str, call: st.Call) -> None:
        """Refuse a transform that only stands elsewhere: `crop` in `evaluate`."""
        name = call.name.text
        other = next((key for key, forms in TRANSFORMS.items() if name in forms), None)
        if other is not None:
            help_ = Help(f"move it to `{other} {{ ... }}`")
            if other == "train" and name.endswith("crop"):  # at random
                size = [arg.span.text for arg in call.positional if arg.span]
                help_ = write(" ".join(["center_crop", *size]), over=call.span)
            message = f"`{name}` is a transform of `{other}`, not of `{here}`"
            self.report.refuse(Code.UNKNOWN_SETTING, call.name.span, message, help=help_)

    def _form(self, forms: Mapping[str, Form], call: st.Call, what: str) -> Form:
        form = forms.get(call.name.text)
        if form is None:
            name = clipped(call.name.text)
            from incgen.language import elsewhere  # only a faulty recipe needs it

            here = elsewhere.transform(name)
            help_: str | None = write(here) if here in forms and here else near(name, forms)
            help_ = help_ or as_attribute(forms.values(), call)
            help_ = help_ or f"there are {listed(list(forms))}"
            message = f"no {what} is named `{name}`"
            self.report.refuse(Code.UNKNOWN_SETTING, call.name.span, message, help=help_)
        return form

    def _refuse_misplaced(self, call: st.Call, place: Span) -> None:
        """Refuse an optimiser in the place of a setting, and transforms without their braces."""
        name, rest = call.name.text, place.text[len(call.name.text) :].strip()
        if name in TRANSFORMS and rest:
            message = f"the transforms of `{name}` go in braces"
            help_ = write(f"{name} {{ {rest} }}", over=place)
        elif name.lower() in SETTINGS["optimizer"].forms:
            message = f"`{name}` is an optimiser, not a setting"
            line = " ".join(filter(None, ["optimizer", name.lower(), rest]))
            help_ = write(line, over=place)
        else:
            return
        self.report.refuse(Code.UNKNOWN_SETTING, call.name.span, message, help=help_)

    def _refuse_setting(self, name: st.Identifier, value: str) -> NoReturn:
        from incgen.language import elsewhere  # only a faulty recipe needs it

        known, here = [*SETTINGS, *TRANSFORMS], elsewhere.setting(name.text, value)
        help_ = f"here it is `{here}`" if here else near(name.text, known)
        help_ = help_ or f"there are {listed(known)}"
        message = f"a recipe has no setting `{clipped(name.text)}`"
        self.report.refuse(Code.UNKNOWN_SETTING, name.span, message, help=help_)

    def _constants(self, loaded: LoadedFile) -> Values:
        """Return the constants of a file."""
        if id(loaded) not in self._values:
            settings = self.settings if loaded is self.loaded else {}
            values = Values(loaded.spec.items, self.report, settings)
            for item in loaded.spec.of(st.Constant):
                values.places[item.name.text] = item.name.span
                values.define(item)
            self._values[id(loaded)] = values
        return self._values[id(loaded)]


_DEFAULTS: dict[str, Any] = {
    "shuffle": rp.Shuffle("full", None),
    "loss": rp.Loss(0.0, None),
    "l2": None,
    "clip": None,
    "average": None,
    "train": (),
    "evaluate": (),
}


def _leads(form: Form, call: st.Call) -> bool:
    """Return whether a call has a word in front of a value of a form, such as `at`."""
    words = {arg.text for arg in call.positional if isinstance(arg, ex.Name)}
    return not words.isdisjoint(field.lead for field in form.positional if field.lead)


def _rate_in(item: st.Recipe, inherited: Mapping[str, Span]) -> tuple[str, Span | None]:
    """Return the rate of a recipe, or of those that it is made from; and its place in it."""
    calls = [setting.calls for setting in item.settings if isinstance(setting, st.Setting)]
    own = [parts for parts in calls if parts[0].name.text == "rate"]
    if own:
        line = " -> ".join(call.span.text for call in own[0])
        return line, own[0][0].span.until(own[0][-1].span)
    return (inherited["rate"].text if "rate" in inherited else "rate 0.1"), None


def _used(loaded: LoadedFile, name: str) -> LoadedFile | None:
    """Return the file that a file uses a name from."""
    for item in loaded.spec.of(st.Use):
        if any(word.text == name for word in item.names):
            return loaded.uses.get(item.path.value)
    return None


def _networks(loaded: LoadedFile) -> list[str]:
    """Return the names of the networks that a file defines."""
    return [item.name.text for item in loaded.spec.of(st.Network)]

"""Read and parse spec files and the files that they use.

A `use` reads a file relative to its own, inside the folder of the first spec, or a shipped one, and
nothing else: a spec from elsewhere cannot reach the rest of the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from incgen.base.diagnostics import Code, Diagnostic, Note, Reporter, SpecError, clipped, listed
from incgen.base.files import reason
from incgen.base.help import Help, edits_of, near, put, write
from incgen.base.source import SourceFile, Span
from incgen.base.suffixes import Kind, kind_of
from incgen.syntax import shipped
from incgen.syntax import tree as st
from incgen.syntax.parser import MAX_TEXT, parse, parse_around_faults

#: The deepest chain of files that use each other.
MAX_USE_DEPTH = 20
#: The name of standard input in reports.
STDIN = "<stdin>"
#: The most bytes of one file.
MAX_BYTES = 4 * MAX_TEXT


@dataclass(frozen=True)
class LoadedFile:
    """One parsed file."""

    source: SourceFile
    spec: st.Spec
    uses: dict[str, LoadedFile]  #: The file that each `use` of it names, by the text of its path

    def digest(self) -> str:
        """Return a digest of the texts of the file and of those it uses; names do not count."""
        import hashlib

        digest = hashlib.sha256()
        for file in self.files():
            digest.update(file.encoded() + b"\0")
        return digest.hexdigest()

    def files(self) -> Iterator[LoadedFile]:
        """Yield the file and all that it uses, each once."""
        waiting, seen = [self], set[int]()
        while waiting:
            file = waiting.pop()
            if id(file) not in seen:
                seen.add(id(file))
                yield file
                waiting += file.uses.values()

    def encoded(self) -> bytes:
        """Return the text as UTF-8; text from a program may hold lone surrogates."""
        return self.source.text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True)
class _Place:
    """The location of a file."""

    folder: Path  #: The folder that the file is in
    shown: str  #: The prefix of its name in reports
    root: Path  #: The folder that `use` must not leave


def load(path: Path, *, text: str | None = None, name: str | None = None) -> LoadedFile:
    """Read and parse a spec, or a text in its place, and the files it uses, or raise `SpecError`.

    The path is that of a file, or the name of a shipped one; reports call it by the name, if there
    is one.
    """
    if text is None:
        path, address = find(path)
        name = name or address
        text = decoded(read_spec(path, name), name)
    name = name or path.as_posix()
    shown = _folder(name)
    loader = _Loader()
    place = _Place(path.parent, shown, path.parent.resolve())
    unit = loader.parse(SourceFile(name, text), place, (path.resolve(),))
    loader.report.stop_on_errors()
    return unit


def load_around_faults(
    path: Path, text: str, texts: Mapping[Path, str], report: Reporter
) -> LoadedFile | None:
    """Read what can be read of a text and of the files that it uses, and report what cannot.

    Args:
        path: The file that the text is meant for; those that it uses are found beside it.
        text: The text itself.
        texts: Texts in place of what other files hold, by their resolved paths.
        report: Collects the faults; lines without one are in the tree.
    """
    name = path.as_posix()
    loader = _Loader(report, texts, around_faults=True)
    place = _Place(path.parent, _folder(name), path.parent.resolve())
    try:
        return loader.parse(SourceFile(name, text), place, (path.resolve(),))
    except SpecError as error:
        report.extend(error.diagnostics)
        return None


def find(path: Path) -> tuple[Path, str]:
    """Return the path of a spec, as it was given if nothing is found, and its name in reports."""
    name = path.as_posix()
    try:
        address = None if path.is_file() else shipped.address(name)
    except (OSError, ValueError):  # an impossible name
        address = None
    return (path, name) if address is None else (shipped.file_of(address), address)


def _folder(name: str) -> str:
    """Return the part of a file's name before its last component."""
    cut = name.rfind("/") + 1
    return name[:cut] if cut or not name.startswith(shipped.PREFIX) else shipped.PREFIX


class _Loader:
    """Follows `use` from file to file; each file is parsed once."""

    def __init__(
        self,
        report: Reporter | None = None,
        texts: Mapping[Path, str] | None = None,
        *,
        around_faults: bool = False,
    ) -> None:
        self.report = report or Reporter()
        self.texts = texts or {}
        self.tree = self.around_faults if around_faults else parse
        self.done: dict[Path, LoadedFile | None] = {}

    def around_faults(self, source: SourceFile) -> st.Spec:
        tree, faults = parse_around_faults(source)
        if tree is None:
            raise SpecError(faults)
        self.report.extend(faults)
        return tree

    def parse(self, source: SourceFile, place: _Place, above: tuple[Path, ...]) -> LoadedFile:
        unit = LoadedFile(source, self.tree(source), {})
        for item in unit.spec.items:
            if isinstance(item, st.Use):
                used = self.follow(item, place, above)
                if used is not None:
                    unit.uses[item.path.value] = used
        return unit

    def follow(self, item: st.Use, place: _Place, above: tuple[Path, ...]) -> LoadedFile | None:
        text, span = item.path.value, item.path.span
        if text.startswith(shipped.PREFIX):
            place = _Place(shipped.root(), shipped.PREFIX, shipped.root())
            target = self.shipped(text, span)
            text = text.removeprefix(shipped.PREFIX)
        else:
            target = self.locate(text, place, span)
        if target is None:
            return None
        if target in above:
            chain = " -> ".join(p.name for p in (*above[above.index(target) :], target))
            message = f"the files use each other: {chain}"
            if target == above[-1]:
                message = "the file uses itself"
            self.report.error(Code.BAD_USE, span, message)
            return None
        if len(above) > MAX_USE_DEPTH:
            message = f"files use one another more than {MAX_USE_DEPTH} deep"
            self.report.error(Code.NESTING_TOO_DEEP, span, message)
            return None
        if target not in self.done:
            name = f"{place.shown}{PurePosixPath(text).as_posix()}"
            self.done[target] = None
            try:
                text_ = self.texts.get(target)
                if text_ is None:
                    text_ = decoded(read(target, name, span), name, span)
                source = SourceFile(name, text_)
                inner = _Place((place.folder / text).parent, _folder(name), place.root)
                self.done[target] = self.parse(source, inner, (*above, target))
            except SpecError as error:
                self.report.extend(error.diagnostics)
        return self.done[target]

    def shipped(self, text: str, span: Span) -> Path | None:
        """Return the shipped file of this path."""
        if shipped.address(text) is not None:
            return shipped.file_of(text)
        message = f'incgen comes with no file called "{clipped(text, 60)}"'
        help_ = _in_quotes(near(text, shipped.paths()), shipped.PREFIX)
        self.report.error(Code.BAD_USE, span, message, help=help_)
        return None

    def locate(self, text: str, place: _Place, span: Span) -> Path | None:
        """Return the file that a path in a `use` names, if it may be used."""
        shown = f'"{clipped(text, 60)}"'
        if not text or "\\" in text or "\0" in text or Path(text).is_absolute():
            message = f"{shown} is not the relative path of a file"
            help_ = "give a path relative to this file, with forward slashes"
            if "\\" in text:
                help_ = Help(help_, *put(span.text.replace("\\", "/")))
            self.report.error(Code.BAD_USE, span, message, help=help_)
            return None
        try:
            target = (place.folder / text).resolve()
            inside = target.is_relative_to(place.root)
            usable = inside and target.is_file()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long
            self.report.error(Code.BAD_USE, span, f"{shown} cannot be read")
            return None
        if usable:
            return target
        ours = f"{shipped.PREFIX}{PurePosixPath(text).as_posix().removeprefix('../')}"
        known = shipped.address(ours) is not None
        why = " for the file that comes with incgen"
        instead: str | None = write(f'"{ours}"', why=why) if known else None
        if not inside:
            message = f"{shown} is outside the folder of the spec"
            instead = instead or "`use` reaches files in the folder of the spec and below it"
        else:
            message = f"{shown} is a folder" if target.is_dir() else f"there is no file {shown}"
            beside = (p.name for p in target.parent.glob("*.inc")) if target.parent.is_dir() else ()
            instead = instead or _in_quotes(near(target.name, beside), _folder(text))
        self.report.error(Code.BAD_USE, span, message, help=instead)
        return None


def _in_quotes(help: Help | None, folder: str) -> Help | None:
    """Return help that offers files of a folder, with edits that write their paths."""
    names = (edit.changes[0].text for edit in edits_of(help))
    return help and Help(help, *put(*(f'"{folder}{name}"' for name in names)))


def read_spec(path: Path, name: str) -> bytes:
    """Return the content of the file of a spec, as `read` does.

    Raises:
        SpecError: It cannot be read, or its name says that it is something else.
    """
    data, kind = read(path, name), kind_of(path)
    if kind is not None and kind is not Kind.SPEC:
        message = f"the file is {kind.value} by its name, and a spec ends in `.inc`"
        help_ = _one_that_is_there(path)
        raise SpecError([Diagnostic(Code.UNREADABLE, message, None, help=help_, file=name)])
    return data


def read(path: Path, name: str, span: Span | None = None) -> bytes:
    """Return the content of a file, cut off one byte beyond the limit.

    Raises:
        SpecError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        message = f"{_which(name, span)} cannot be read: {reason(error)}"
        help_ = None
        if span is None and isinstance(error, FileNotFoundError | IsADirectoryError):
            help_ = _one_that_is_there(path)
        fault = Diagnostic(Code.UNREADABLE, message, span, help=help_, file=name)
        raise SpecError([fault]) from None


def decoded(data: bytes, name: str, span: Span | None = None) -> str:
    """Return the text of a spec, with plain newlines.

    Raises:
        SpecError: It is too large or not UTF-8.
    """
    which = _which(name, span)
    if len(data) > MAX_BYTES:
        message = f"{which} is larger than {MAX_BYTES} bytes"
        raise SpecError([Diagnostic(Code.TOO_LARGE, message, span, file=name)])
    try:
        text = data.decode("utf-8")  # `utf-8-sig` counts without the mark
    except UnicodeDecodeError as error:
        raise SpecError([_not_utf8(data, error.start, name, span, which)]) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _which(name: str, span: Span | None) -> str:
    """Return how a report refers to a text."""
    if span is not None:
        return f'"{clipped(span.text.strip(chr(34)), 60)}"'
    return "standard input" if name == STDIN else "the file"


def _not_utf8(data: bytes, at: int, name: str, span: Span | None, which: str) -> Diagnostic:
    """Return the error for a file that is not UTF-8, located at the first bad byte."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        message = f"{which} is UTF-16 text, but a spec is UTF-8"
        return Diagnostic(Code.NOT_UTF8, message, span, help="save the file as UTF-8", file=name)
    before = data[:at].decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    rest = data[at : at + 200].decode("utf-8", "replace")
    place = Span(SourceFile(name, before + rest), len(before), len(before) + 1)
    message = f"{which} is not UTF-8 text: this is the byte 0x{data[at]:02x}"
    notes = (Note("it is used here", span),) if span is not None else ()
    return Diagnostic(Code.NOT_UTF8, message, place, notes=notes, help="save the file as UTF-8")


def _one_that_is_there(path: Path) -> str | None:
    """Return what to type for a missing spec: one beside it, or a shipped one with such a name."""
    name = PurePosixPath(path.as_posix().removeprefix(shipped.PREFIX)).stem
    made_from = name.rpartition("_")[0] if kind_of(path) is Kind.SOURCE else ""
    folders = (path.parent, path.parent / "specs", path.parent.parent)
    with suppress(OSError):  # a name too long
        if files := sorted(file.as_posix() for file in path.glob("*.inc")):
            return f"it holds {listed(files[:8])}: give one of them"
        for file in (folder / f"{n}.inc" for n in (name, made_from) for folder in folders if n):
            if file.is_file():
                return f"write `{file.as_posix()}`"
    if name in shipped.names():
        return f"`{name}` comes with incgen: give its name alone"
    with suppress(OSError):
        beside = {file.stem: file.as_posix() for file in path.parent.glob("*.inc")}
        if (offer := near(name, beside)) is not None:
            return f"did you mean {listed([beside[edit.changes[0].text] for edit in offer.edits])}?"
    return near(name, shipped.names())

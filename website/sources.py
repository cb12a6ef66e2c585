"""Pages that show files and folders of the repository that other pages link to."""

from __future__ import annotations

from pathlib import Path

from website.places import ROOT, SOURCE, from_page, place

_LANGUAGES = {
    ".inc": "inc",
    ".jinja": "jinja",
    ".json": "json",
    ".lark": "text",
    ".py": "python",
    ".toml": "toml",
}


def write(pages: Path, links: set[str]) -> None:
    """Write the pages of files and folders, and of what is in those folders."""
    open_ = {link for link in links if place(link).startswith(f"{SOURCE}/")}
    done: set[str] = set()
    while open_:
        path = open_.pop()
        done.add(path)
        page = pages / place(path)
        page.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            inside = _inside(path)
            open_ |= {each for each in inside if place(each).startswith(f"{SOURCE}/")} - done
            page.write_text(_listing(path, inside), "utf-8")
        else:
            page.write_text(_file(path), "utf-8")


def _inside(path: str) -> list[str]:
    """Return what a folder holds: folders first."""
    entries = [
        each
        for each in (ROOT / path).iterdir()
        if not each.name.startswith((".", "__"))
        and (each.is_dir() or each.suffix in {*_LANGUAGES, ".md"})
    ]
    entries.sort(key=lambda each: (each.is_file(), each.name))
    return [each.relative_to(ROOT).as_posix() for each in entries]


def _listing(path: str, inside: list[str]) -> str:
    lines = [f"# {path}", ""]
    for each in inside:
        name = Path(each).name + ("/" if (ROOT / each).is_dir() else "")
        lines.append(f"- [`{name}`]({from_page(place(path), place(each))})")
    return "\n".join([*lines, ""])


def _file(path: str) -> str:
    text = (ROOT / path).read_text("utf-8")
    fence = "`" * 3
    while fence in text:
        fence += "`"
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# {path}\n\n{fence}{language}\n{text.rstrip()}\n{fence}\n"

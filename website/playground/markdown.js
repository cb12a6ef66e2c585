// The little Markdown that incgen's messages have: paragraphs, lists, `code`, **bold**, fences.

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*/g;

function inline(parent, text) {
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    parent.append(text.slice(at, found.index));
    const element = document.createElement(found[1] !== undefined ? "code" : "strong");
    element.textContent = found[1] ?? found[2];
    parent.append(element);
    at = found.index + found[0].length;
  }
  parent.append(text.slice(at));
  return parent;
}

export function markdown(text) {
  const root = document.createElement("div");
  root.className = "said";
  const fences = text.split(/^```\w*\n([\s\S]*?)^```$/m);
  for (const [index, piece] of fences.entries()) {
    if (index % 2) {
      const code = document.createElement("pre");
      code.textContent = piece.trimEnd();
      root.append(code);
      continue;
    }
    for (const paragraph of piece.split(/\n\n+/).filter((each) => each.trim())) {
      const lines = paragraph.split("\n");
      if (lines.every((line) => line.startsWith("- "))) {
        const list = document.createElement("ul");
        list.append(...lines.map((line) => inline(document.createElement("li"), line.slice(2))));
        root.append(list);
      } else {
        root.append(inline(document.createElement("p"), paragraph));
      }
    }
  }
  return root;
}

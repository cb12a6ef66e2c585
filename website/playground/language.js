// Colours of a spec in the editor, by the patterns that incgen makes from its own tables.

import { StreamLanguage } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const TAGS = [
  ["comment.line.documentation", "docComment", tags.docComment],
  ["comment", "lineComment", tags.lineComment],
  ["string", "string", tags.string],
  ["constant.numeric", "number", tags.number],
  ["constant.language", "bool", tags.bool],
  ["keyword.operator", "operator", tags.operator],
  ["keyword", "keyword", tags.keyword],
  ["support.constant", "atom", tags.atom],
  ["support", "operation", tags.standard(tags.variableName)],
  ["entity.name.label", "label", tags.labelName],
  ["entity.name", "definition", tags.definition(tags.variableName)],
  ["variable.parameter", "attribute", tags.propertyName],
  ["variable", "variable", tags.variableName],
];

const nameOf = (scope) => (scope && TAGS.find(([start]) => scope.startsWith(start))?.[1]) || null;

function advance(stream, { end, name }) {
  stream.pos = end;
  return name;
}

// What each group of a pattern has found, and what is between them.
function partsOf(found, names) {
  const parts = [];
  let at = found.index;
  for (const [index, name] of names.entries()) {
    const [start, end] = found.indices[index + 1];
    if (start > at) parts.push({ end: start, name: null });
    if (end > start) parts.push({ end, name });
    at = end;
  }
  return parts;
}

export function inc(patterns) {
  const rules = patterns.map(({ regex, scopes }) => ({
    regex: new RegExp(regex, "ydm"),
    names: scopes.map(nameOf),
  }));
  return StreamLanguage.define({
    name: "inc",
    startState: () => ({ parts: [] }),
    copyState: (state) => ({ parts: [...state.parts] }),
    token(stream, state) {
      if (stream.sol()) state.parts = [];
      if (state.parts.length) return advance(stream, state.parts.shift());
      for (const { regex, names } of rules) {
        regex.lastIndex = stream.pos;
        const found = regex.exec(stream.string);
        if (!found || !found[0]) continue;
        if (names.length < 2) {
          stream.pos += found[0].length;
          return names[0] ?? null;
        }
        state.parts = partsOf(found, names);
        return advance(stream, state.parts.shift());
      }
      stream.next();
      return null;
    },
    languageData: { commentTokens: { line: "#" } },
    tokenTable: Object.fromEntries(TAGS.map(([, name, tag]) => [name, tag])),
  });
}

// Addresses of generated source, and the page of a drawing: what needs no editor, and is tested.

const SCHEME = "incgen-source";
const TARGETS = { torch: "Torch", keras: "Keras", flax: "Flax" };

// The address ends in the name of a Python file, so that the editor colours it as one.
function sourceUri(spec, target) {
  const name = spec.split("/").pop().replace(/\.inc$/, "");
  return `${SCHEME}:/${name}_${target}.py?${encodeURIComponent(JSON.stringify({ spec, target }))}`;
}

function shown(uri) {
  const query = uri.slice(uri.indexOf("?") + 1);
  return JSON.parse(query.startsWith("{") ? query : decodeURIComponent(query));
}

// No script runs in it and nothing is loaded.
function page(drawing) {
  const policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
  return [
    "<!DOCTYPE html>",
    `<html><head><meta http-equiv="Content-Security-Policy" content="${policy}">`,
    "<style>body { padding: 1em; } svg { max-width: 100%; height: auto; }</style></head>",
    `<body>${drawing}</body></html>`,
  ].join("\n");
}

module.exports = { SCHEME, TARGETS, page, shown, sourceUri };

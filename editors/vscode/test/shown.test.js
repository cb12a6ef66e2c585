const assert = require("node:assert");
const { test } = require("node:test");
const { page, shown, sourceUri } = require("../src/shown");

test("an address of generated source says what it shows", () => {
  const uri = sourceUri("file:///a%20b/net.inc", "keras");
  assert.ok(uri.startsWith("incgen-source:/net_keras.py?"));
  assert.deepStrictEqual(shown(uri), { spec: "file:///a%20b/net.inc", target: "keras" });
  assert.deepStrictEqual(shown(decodeURIComponent(uri)).target, "keras");
});

test("the page of a drawing runs no script", () => {
  assert.match(page("<svg></svg>"), /default-src 'none'/);
  assert.match(page("<svg></svg>"), /<body><svg><\/svg><\/body>/);
});

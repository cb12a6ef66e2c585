// A link that holds a spec: `#spec=` and its compressed text, or `#example=` and the name of one; with
// `&set=` the values of its parameters, and with `&recipe=` the recipe that is shown.

const FIRST = "first";

async function through(stream, bytes) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

export async function linkOf(text, given, recipe) {
  const bytes = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(text));
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  const link = new URLSearchParams();
  link.set("spec", base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", ""));
  if (given) link.set("set", given);
  if (recipe) link.set("recipe", recipe);
  return `#${link}`;
}

// What a link means: the name of an example, or "", the text, the values and the recipe; without an
// example or a spec, the first example.
export async function meaning(hash, examples) {
  const link = new URLSearchParams(hash.slice(1));
  const [name, text] = await textOf(link.get("example"), link.get("spec"), examples);
  return { name, text, given: link.get("set") ?? "", recipe: link.get("recipe") ?? "" };
}

async function textOf(example, spec, examples) {
  if (Object.hasOwn(examples, example)) return [example, examples[example]];
  if (spec) {
    try {
      const base64 = spec.replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
      return ["", new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes))];
    } catch {
      // a link that was cut off
    }
  }
  return [FIRST, examples[FIRST]];
}

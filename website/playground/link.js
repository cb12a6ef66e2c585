// A link that holds a spec: `#spec=` and its compressed text, or `#example=` and the name of one.

const FIRST = "first";

async function through(stream, bytes) {
  const piped = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(piped).arrayBuffer());
}

export async function linkOf(text) {
  const bytes = await through(new CompressionStream("deflate-raw"), new TextEncoder().encode(text));
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `#spec=${base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

// The name of an example, or "", and the text that a link means; the first example if it means none.
export async function textOf(hash, examples) {
  const [, kind, value] = /^#(spec|example)=(.*)$/.exec(hash) ?? [];
  if (kind === "example" && Object.hasOwn(examples, value)) return [value, examples[value]];
  if (kind === "spec") {
    try {
      const base64 = value.replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(base64), (each) => each.charCodeAt(0));
      return ["", new TextDecoder().decode(await through(new DecompressionStream("deflate-raw"), bytes))];
    } catch {
      // a link that was cut off
    }
  }
  return [FIRST, examples[FIRST]];
}

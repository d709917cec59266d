// What a page is set to: the world, the seed, one or two pairs of players. It fits into a link.

export const LAYERS = ["data", "samples", "surface", "arrows", "mesh", "negatives", "pairs", "attacked", "probes"];

export const fresh = () => ({ world: { name: "ring-8", options: { std: 0.1 } }, seed: 0, sides: [{ method: "non_saturating", changes: {} }], hidden: ["probes"] });

/** Points as text: hundredths, in 16 bits each. */
function packed(points) {
  const values = new Int16Array(points.flat().map((value) => Math.round(value * 100)));
  const text = btoa(String.fromCharCode(...new Uint8Array(values.buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function unpacked(text, dimensions) {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
  const values = new Int16Array(bytes.buffer, 0, Math.floor(bytes.length / 2));
  const points = [];
  for (let i = 0; i + dimensions <= values.length; i += dimensions) points.push([...values.slice(i, i + dimensions)].map((value) => value / 100));
  return points;
}

export function toFragment(state) {
  const words = new URLSearchParams();
  words.set("world", state.world.name);
  for (const [key, value] of Object.entries(state.world.options ?? {})) words.set(`world.${key}`, JSON.stringify(value));
  if (state.world.points?.length) {
    words.set("dimensions", state.world.points[0].length);
    words.set("points", packed(state.world.points));
    if (state.world.negatives?.length) words.set("negatives", packed(state.world.negatives));
  }
  words.set("seed", state.seed);
  state.sides.forEach((side, i) => {
    const before = i ? "b." : "";
    words.set(`${before}method`, side.method);
    for (const [key, value] of Object.entries(side.changes)) words.set(before + key, JSON.stringify(value));
  });
  if (state.hidden.join() !== "probes") words.set("hide", state.hidden.join(","));
  return `#${words}`;
}

/** The state of a link; null for one that carries none. What makes no sense is left to the server to refuse. */
export function fromFragment(text) {
  const words = new URLSearchParams(text.replace(/^#/, ""));
  if (!words.has("world")) return null;
  const state = { world: { name: words.get("world"), options: {} }, seed: Number.parseInt(words.get("seed") ?? "0", 10) || 0, sides: [], hidden: ["probes"] };
  const sides = [{ method: "non_saturating", changes: {} }, { method: null, changes: {} }];
  try {
    for (const [key, value] of words) {
      if (key.startsWith("world.")) state.world.options[key.slice(6)] = JSON.parse(value);
      else if (key === "points" || key === "negatives") state.world[key] = unpacked(value, words.get("dimensions") === "1" ? 1 : 2);
      else if (key === "hide") state.hidden = value.split(",").filter((name) => LAYERS.includes(name));
      else if (["world", "seed", "dimensions"].includes(key)) continue;
      else {
        const side = sides[key.startsWith("b.") ? 1 : 0];
        const name = key.replace(/^b\./, "");
        if (name === "method") side.method = value;
        else side.changes[name] = JSON.parse(value);
      }
    }
  } catch {
    return null;
  }
  state.sides = sides[1].method === null ? [sides[0]] : sides;
  return state;
}

/** Lay one changed setting over those of a side, and drop what it makes void. */
export function settle(changes, key, value, method) {
  const next = { ...changes };
  const term = /^objective\.([^.]+)$/.exec(key)?.[1];
  if (term) for (const each of Object.keys(next)) if (each === key || each.startsWith(`${key}.`)) delete next[each];
  if (key === "generator.ema") delete next["generator.ema.decay"];
  if (key === "generator.ema.decay") delete next["generator.ema"];
  if (term && value !== null && term in method.objective) return next;
  if (term && value === null && !(term in method.objective)) return next;
  next[key] = value;
  return next;
}

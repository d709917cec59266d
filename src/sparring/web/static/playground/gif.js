// Writes an animated GIF: one palette for the whole film, LZW by frame. Works in every browser, without a codec.

const BITS = 5; // of each colour, by which similar ones are counted together

/** The 256 most frequent colours of some pictures, and the nearest of them for each count. */
export function paletteOf(pictures) {
  const counts = new Map();
  for (const { data } of pictures) {
    for (let i = 0; i < data.length; i += 4) {
      const key = keyOf(data[i], data[i + 1], data[i + 2]);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([key]) => key);
  const colours = top.map((key) => [(key >> (2 * BITS)) & 31, (key >> BITS) & 31, key & 31].map((value) => Math.round((value * 255) / 31)));
  const nearest = new Int16Array(1 << (3 * BITS)).fill(-1);
  top.forEach((key, i) => (nearest[key] = i));
  return { colours, nearest };
}

const keyOf = (r, g, b) => ((r >> 3) << 10) | ((g >> 3) << 5) | (b >> 3);

function indexed({ data }, { colours, nearest }) {
  const found = new Uint8Array(data.length / 4);
  for (let i = 0; i < found.length; i++) {
    const [r, g, b] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    const key = keyOf(r, g, b);
    if (nearest[key] < 0) {
      let [best, least] = [0, Infinity];
      colours.forEach(([x, y, z], j) => {
        const away = (x - r) ** 2 + (y - g) ** 2 + (z - b) ** 2;
        if (away < least) [best, least] = [j, away];
      });
      nearest[key] = best;
    }
    found[i] = nearest[key];
  }
  return found;
}

/** LZW with codes of 9 to 12 bits, in blocks of up to 255 bytes. */
export function compressed(pixels) {
  const bytes = [];
  let [buffer, filled] = [0, 0];
  const put = (code, size) => {
    buffer |= code << filled;
    filled += size;
    while (filled >= 8) {
      bytes.push(buffer & 255);
      buffer >>= 8;
      filled -= 8;
    }
  };
  const [clear, end] = [256, 257];
  let [size, next, codes] = [9, 258, new Map()];
  put(clear, size);
  let current = pixels[0];
  for (let i = 1; i < pixels.length; i++) {
    const key = (current << 8) | pixels[i];
    const known = codes.get(key);
    if (known !== undefined) {
      current = known;
      continue;
    }
    put(current, size);
    if (next === 4096) {
      put(clear, size);
      [size, next, codes] = [9, 258, new Map()];
    } else {
      codes.set(key, next++);
      if (next > 1 << size && size < 12) size += 1;
    }
    current = pixels[i];
  }
  put(current, size);
  put(end, size);
  if (filled) bytes.push(buffer & 255);
  return bytes;
}

const word = (value) => [value & 255, value >> 8];

/** Pictures (ImageData of one size) as the bytes of a GIF. delay: hundredths of a second; pause: after the last. */
export async function gif(pictures, { delay = 6, pause = 150, progress = () => {} } = {}) {
  const [{ width, height }] = pictures;
  const palette = paletteOf(pictures.filter((_, i) => i % Math.ceil(pictures.length / 12) === 0 || i === pictures.length - 1));
  const table = Array.from({ length: 256 }, (_, i) => palette.colours[i] ?? [0, 0, 0]).flat();
  const parts = [new Uint8Array([...new TextEncoder().encode("GIF89a"), ...word(width), ...word(height), 0xf7, 0, 0, ...table,
    0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0])];
  for (let i = 0; i < pictures.length; i++) {
    const time = i === pictures.length - 1 ? pause : delay;
    const content = compressed(indexed(pictures[i], palette));
    parts.push(new Uint8Array([0x21, 0xf9, 4, 4, ...word(time), 0, 0, 0x2c, 0, 0, 0, 0, ...word(width), ...word(height), 0, 8]));
    for (let at = 0; at < content.length; at += 255) parts.push(new Uint8Array([Math.min(255, content.length - at), ...content.slice(at, at + 255)]));
    parts.push(new Uint8Array([0]));
    progress((i + 1) / pictures.length);
    await new Promise((go) => setTimeout(go));
  }
  parts.push(new Uint8Array([0x3b]));
  return new Blob(parts, { type: "image/gif" });
}

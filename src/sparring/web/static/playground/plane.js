// Draws one pair of players: on a plane a shaded surface with points, on a line densities above D's curve.
import { palette, rgb, sharp } from "../shared.js";
import { drawLine } from "./line.js";
import { arrow } from "./shapes.js";

const GRID = 48;
let colours = palette();
let shades = [];

/** Read the colours of the present theme. */
export function recolour() {
  colours = palette();
  const [fake, even, real] = [rgb(colours["shade-fake"]), rgb(colours["shade-even"]), rgb(colours["shade-real"])];
  shades = Array.from({ length: 256 }, (_, i) => {
    const t = (i - 127.5) / 127.5;
    const [from, to] = t < 0 ? [even, fake] : [even, real];
    return from.map((value, j) => value + (to[j] - value) * Math.abs(t));
  });
}

export const colour = (name) => colours[name];

const surface = document.createElement("canvas");
surface.width = surface.height = GRID;

/** Draw a frame's side. world: as the server described it; shown: a set of layers; lit: a set that alone is bright, or null. */
export function draw(canvas, world, side, shown, lit = null) {
  const { context: c, width, height } = sharp(canvas);
  c.clearRect(0, 0, width, height);
  if (!world || !side?.samples) return;
  const pen = { c, width, height, colours, shown, dim: (name) => (lit && !lit.has(name) ? 0.3 : 1) };
  if (world.dimensions === 1) drawLine(pen, world, side);
  else drawPlane(pen, world, side);
}

/** Where points of the world lie on the canvas: the view, square, in the middle. */
export function scaleOf(world, width, height) {
  const [[x0, x1], [y0, y1]] = world.view;
  const unit = Math.min(width / (x1 - x0), height / (y1 - y0));
  const [left, top] = [(width - unit * (x1 - x0)) / 2, (height - unit * (y1 - y0)) / 2];
  return { unit, x: (value) => left + (value - x0) * unit, y: (value) => top + (y1 - value) * unit };
}

function drawPlane(pen, world, side) {
  const { c, width, height, shown, dim } = pen;
  const to = scaleOf(world, width, height);
  if (shown.has("surface")) shade(pen, world, side, to);
  if (shown.has("negatives") && world.arrays.negatives) crosses(pen, world.arrays.negatives, to, colours.negative, 0.45 * dim("negatives"), 500);
  if (shown.has("data")) dots(pen, world.arrays.data, to, colours.data, 1.5, 0.5 * dim("data"), 900);
  if (shown.has("mesh") && side.mesh) mesh(pen, side.mesh, to);
  if (shown.has("samples")) dots(pen, side.samples, to, colours.fake, 1.9, 0.85 * dim("samples"), 700);
  if (shown.has("arrows") && side.at) arrows(pen, side, to);
  if (shown.has("probes") && side.probes) rings(pen, side.probes, to, colours.soft, 2.2, 0.9 * dim("probes"));
  if (shown.has("pairs") && side.pairs) links(pen, side.pairs, to, colours.fourth, "pairs");
  if (shown.has("attacked") && side.attacked) links(pen, side.attacked, to, colours.fifth, "attacked", 0.8);
  if (side.batch) for (const [name, points] of Object.entries(side.batch)) rings(pen, points, to, name === "real" ? colours.data : name === "fake" ? colours.fake : colours.negative, 4, 1);
}

/** D's answers as shades from orange over nothing to blue, and the boundary as a line. */
function shade(pen, world, side, to) {
  const { c, dim } = pen;
  const values = side.realness.data;
  const middle = (side.of_data + side.of_samples) / 2;
  let spread = 1e-9;
  for (const value of values) spread = Math.max(spread, Math.abs(value - middle));
  spread = Math.min(spread, 4 * Math.abs(side.of_data - side.of_samples) + 1e-3);
  const image = new ImageData(GRID, GRID);
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      const t = Math.max(-1, Math.min(1, (values[row * GRID + column] - middle) / spread));
      const [r, g, b] = shades[Math.round((Math.sign(t) * Math.sqrt(Math.abs(t)) + 1) * 127.5)];
      image.data.set([r, g, b, 255], ((GRID - 1 - row) * GRID + column) * 4);
    }
  }
  surface.getContext("2d").putImageData(image, 0, 0);
  const [[x0, x1], [y0, y1]] = world.view;
  const half = (to.unit * (x1 - x0)) / (GRID - 1) / 2; // a place is the middle of its cell
  c.globalAlpha = dim("surface");
  c.imageSmoothingEnabled = true;
  c.imageSmoothingQuality = "low"; // a third of the time of "high", which looks the same here
  c.drawImage(surface, to.x(x0) - half, to.y(y1) - half, to.unit * (x1 - x0) + 2 * half, to.unit * (y1 - y0) + 2 * half);
  c.strokeStyle = colours.soft;
  c.lineWidth = 1.1;
  c.setLineDash([4, 3]);
  c.stroke(contour(values, middle, world, to));
  c.setLineDash([]);
  c.globalAlpha = 1;
}

/** Where the answers cross a level: straight pieces, cell by cell. */
function contour(values, level, world, to) {
  const path = new Path2D();
  const [[x0, x1], [y0, y1]] = world.view;
  const at = (column, row) => [to.x(x0 + ((x1 - x0) * column) / (GRID - 1)), to.y(y0 + ((y1 - y0) * row) / (GRID - 1))];
  for (let row = 0; row < GRID - 1; row++) {
    for (let column = 0; column < GRID - 1; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const heights = corners.map(([i, j]) => values[j * GRID + i] - level);
      const crossings = [];
      for (let k = 0; k < 4; k++) {
        const [a, b] = [heights[k], heights[(k + 1) % 4]];
        if (a < 0 === b < 0) continue;
        const [[i0, j0], [i1, j1], t] = [corners[k], corners[(k + 1) % 4], a / (a - b)];
        crossings.push(at(i0 + (i1 - i0) * t, j0 + (j1 - j0) * t));
      }
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        path.moveTo(...crossings[k]);
        path.lineTo(...crossings[k + 1]);
      }
    }
  }
  return path;
}

/** Begin a path of circles around at most so many points. */
function circles(c, data, to, radius, most = Infinity) {
  const count = Math.min(data.length / 2, most);
  c.beginPath();
  for (let i = 0; i < count; i++) {
    const [x, y] = [to.x(data[2 * i]), to.y(data[2 * i + 1])];
    c.moveTo(x + radius, y);
    c.arc(x, y, radius, 0, 7);
  }
}

function dots({ c }, { data }, to, fill, radius, alpha, most) {
  c.fillStyle = fill;
  c.globalAlpha = alpha;
  circles(c, data, to, radius, most);
  c.fill();
  c.globalAlpha = 1;
}

function rings({ c }, { data }, to, stroke, radius, alpha) {
  c.strokeStyle = stroke;
  c.globalAlpha = alpha;
  c.lineWidth = 1.4;
  circles(c, data, to, radius);
  c.stroke();
  c.globalAlpha = 1;
}

function crosses({ c }, { data }, to, stroke, alpha, most) {
  c.strokeStyle = stroke;
  c.globalAlpha = alpha;
  c.lineWidth = 1.2;
  c.beginPath();
  for (let i = 0; i < Math.min(data.length / 2, most); i++) {
    const [x, y] = [to.x(data[2 * i]), to.y(data[2 * i + 1])];
    c.moveTo(x - 2.2, y - 2.2);
    c.lineTo(x + 2.2, y + 2.2);
    c.moveTo(x - 2.2, y + 2.2);
    c.lineTo(x + 2.2, y - 2.2);
  }
  c.stroke();
  c.globalAlpha = 1;
}

function mesh({ c, dim }, { data, shape }, to) {
  const side = shape[0];
  const at = (i, j) => [to.x(data[2 * (i * side + j)]), to.y(data[2 * (i * side + j) + 1])];
  c.strokeStyle = colours.third;
  c.globalAlpha = 0.55 * dim("mesh");
  c.lineWidth = 0.8;
  c.beginPath();
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      if (j) c.lineTo(...at(i, j));
      else c.moveTo(...at(i, j));
    }
    for (let j = 0; j < side; j++) {
      if (j) c.lineTo(...at(j, i));
      else c.moveTo(...at(j, i));
    }
  }
  c.stroke();
  c.globalAlpha = 1;
}

/** Gradients as arrows, the longest a fifteenth of the picture. */
function arrows({ c, width, dim }, side, to) {
  const [at, by] = [side.at.data, side.arrows.data];
  let longest = 1e-12;
  for (let i = 0; i < at.length; i += 2) longest = Math.max(longest, Math.hypot(by[i], by[i + 1]));
  const scale = width / 15 / longest;
  c.strokeStyle = colours.ink;
  c.globalAlpha = 0.75 * dim("arrows");
  c.lineWidth = 1.2;
  c.beginPath();
  for (let i = 0; i < at.length; i += 2) arrow(c, to.x(at[i]), to.y(at[i + 1]), by[i] * scale, -by[i + 1] * scale);
  c.stroke();
  c.globalAlpha = 1;
}

/** Pairs of points as lines with a ring at their first and a square at their second end; small ones have the square alone. */
function links({ c, dim }, { data }, to, stroke, name, size = 1.8) {
  c.strokeStyle = c.fillStyle = stroke;
  c.globalAlpha = dim(name);
  c.lineWidth = size < 1 ? 1.1 : 1.5;
  c.beginPath();
  for (let i = 0; i < data.length; i += 4) {
    const [x0, y0, x1, y1] = [to.x(data[i]), to.y(data[i + 1]), to.x(data[i + 2]), to.y(data[i + 3])];
    if (size > 1) {
      c.moveTo(x0 + 2.5, y0);
      c.arc(x0, y0, 2.5, 0, 7);
    }
    c.moveTo(x0, y0);
    c.lineTo(x1, y1);
    c.rect(x1 - size, y1 - size, 2 * size, 2 * size);
  }
  c.stroke();
  c.globalAlpha = 1;
}

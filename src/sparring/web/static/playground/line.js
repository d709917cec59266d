// A world on a line: how the data, the samples and the negatives are spread, and below it D's answers.
import { arrow } from "./shapes.js";

const BINS = 96;
const SHARE = 0.58; // of the height, for the densities

/** The share of points in each bin of the view, as a density. */
export function histogram(data, [low, high], bins = BINS) {
  const counts = new Float32Array(bins);
  const width = (high - low) / bins;
  for (const value of data) {
    const bin = Math.floor((value - low) / width);
    if (bin >= 0 && bin < bins) counts[bin] += 1;
  }
  return counts.map((count) => count / (data.length * width));
}

export function drawLine(pen, world, side) {
  const { c, width, height, colours, shown, dim } = pen;
  const [limits] = world.view;
  const x = (value) => ((value - limits[0]) / (limits[1] - limits[0])) * width;
  const floor = height * SHARE;
  const data = histogram(world.arrays.data.data, limits);
  const samples = histogram(side.samples.data, limits);
  const negatives = world.arrays.negatives ? histogram(world.arrays.negatives.data, limits) : null;
  const top = Math.max(1.35 * Math.max(...data), negatives ? 1.2 * Math.max(...negatives) : 0);
  const y = (value) => floor - 6 - (Math.min(value, top * 1.04) / top) * (floor - 24);
  if (shown.has("negatives") && negatives) fill(c, negatives, y, floor - 6, width, colours.negative, 0.3 * dim("negatives"), true);
  if (shown.has("data")) fill(c, data, y, floor - 6, width, colours.data, 0.36 * dim("data"));
  if (shown.has("samples")) outline(c, samples, y, width, colours.fake, dim("samples"));
  marks(pen, side, x, floor);
  rule(c, width, floor, colours.line);
  if (shown.has("surface")) curve(pen, world, side, x, floor);
}

function steps(c, values, y, width) {
  values.forEach((value, i) => {
    c.lineTo((i * width) / values.length, y(value));
    c.lineTo(((i + 1) * width) / values.length, y(value));
  });
}

function fill(c, values, y, floor, width, colour, alpha, hatched = false) {
  c.save();
  c.beginPath();
  c.moveTo(0, floor);
  steps(c, values, y, width);
  c.lineTo(width, floor);
  c.closePath();
  c.globalAlpha = alpha;
  c.fillStyle = colour;
  c.fill();
  if (hatched) {
    c.clip();
    c.globalAlpha = Math.min(1, alpha * 2);
    c.strokeStyle = colour;
    c.lineWidth = 1;
    c.beginPath();
    for (let i = -floor; i < width; i += 7) {
      c.moveTo(i, floor);
      c.lineTo(i + floor, 0);
    }
    c.stroke();
  }
  c.restore();
}

function outline(c, values, y, width, colour, alpha) {
  c.globalAlpha = alpha;
  c.strokeStyle = colour;
  c.lineWidth = 2;
  c.lineJoin = "round";
  c.beginPath();
  steps(c, values, y, width);
  c.stroke();
  c.globalAlpha = 1;
}

/** Arrows, pairs and attacked samples along the axis. */
function marks({ c, width, colours, shown, dim }, side, x, floor) {
  const put = (points, colour, name) => {
    c.strokeStyle = colour;
    c.globalAlpha = dim(name);
    c.lineWidth = 1.4;
    c.beginPath();
    for (let i = 0; i < points.length; i += 2) {
      const [a, b] = [x(points[i]), x(points[i + 1])];
      c.moveTo(a, floor - 6);
      c.quadraticCurveTo((a + b) / 2, floor - 14 - Math.min(60, Math.abs(a - b) / 2), b, floor - 6);
      c.rect(b - 1.5, floor - 7.5, 3, 3);
    }
    c.stroke();
    c.globalAlpha = 1;
  };
  if (shown.has("pairs") && side.pairs) put(side.pairs.data, colours.fourth, "pairs");
  if (shown.has("attacked") && side.attacked) put(side.attacked.data, colours.fifth, "attacked");
  if (shown.has("probes") && side.probes) ticks(c, side.probes.data, x, floor - 12, colours.soft, dim("probes"));
  if (side.batch) for (const [name, points] of Object.entries(side.batch)) ticks(c, points.data, x, floor - 22, name === "real" ? colours.data : name === "fake" ? colours.fake : colours.negative, 1, 14);
  if (!shown.has("arrows") || !side.at) return;
  const longest = Math.max(1e-12, ...side.arrows.data.map(Math.abs));
  c.strokeStyle = colours.ink;
  c.globalAlpha = 0.7 * dim("arrows");
  c.lineWidth = 1.2;
  c.beginPath();
  side.at.data.forEach((value, i) => arrow(c, x(value), floor + 7 + (i % 4) * 2.5, (side.arrows.data[i] / longest) * (width / 15), 0));
  c.stroke();
  c.globalAlpha = 1;
}

function ticks(c, points, x, top, colour, alpha, length = 6) {
  c.strokeStyle = colour;
  c.globalAlpha = alpha;
  c.lineWidth = 1.2;
  c.beginPath();
  for (const value of points) {
    c.moveTo(x(value), top);
    c.lineTo(x(value), top + length);
  }
  c.stroke();
  c.globalAlpha = 1;
}

function rule(c, width, y, colour) {
  c.strokeStyle = colour;
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(0, y);
  c.lineTo(width, y);
  c.stroke();
}

/** D's answers at the places, with the middle between data and samples as a dashed line. */
function curve({ c, width, height, colours, dim }, world, side, x, floor) {
  const values = side.realness.data;
  const middle = (side.of_data + side.of_samples) / 2;
  let spread = 1e-6;
  for (const value of values) spread = Math.max(spread, Math.abs(value - middle));
  const [centre, reach] = [(floor + 22 + height) / 2, (height - floor - 22) / 2 - 8];
  const y = (value) => centre - (Math.sign(value - middle) * Math.sqrt(Math.abs(value - middle) / spread)) * reach;
  const places = world.arrays.places.data;
  c.globalAlpha = dim("surface");
  for (const [sign, colour] of [[1, colours["shade-real"]], [-1, colours["shade-fake"]]]) {
    c.fillStyle = colour;
    c.beginPath();
    c.moveTo(x(places[0]), centre);
    values.forEach((value, i) => c.lineTo(x(places[i]), sign * (centre - y(value)) > 0 ? y(value) : centre));
    c.lineTo(x(places[places.length - 1]), centre);
    c.fill();
  }
  c.strokeStyle = colours.soft;
  c.setLineDash([4, 3]);
  rule(c, width, centre, colours.soft);
  c.setLineDash([]);
  c.strokeStyle = colours.ink;
  c.lineWidth = 1.8;
  c.lineJoin = "round";
  c.beginPath();
  values.forEach((value, i) => (i ? c.lineTo(x(places[i]), y(value)) : c.moveTo(x(places[i]), y(value))));
  c.stroke();
  c.fillStyle = colours.soft;
  c.font = "11px system-ui, sans-serif";
  c.fillText("D says real", 8, floor + 34);
  c.fillText("generated", 8, height - 10);
  c.textAlign = "right";
  c.fillText("root scale", width - 8, height - 10);
  c.textAlign = "left";
  c.globalAlpha = 1;
}

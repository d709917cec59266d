// Curves over time and the latest numbers, for one or two pairs of players.
import { element, palette, sharp, shown } from "../shared.js";

const MOST = 700; // points of a curve; with more of them every other one is dropped

const PAUSE = 180; // milliseconds between drawings while a run plays: curves move little, and pictures come first

/** A curve that grows, and shrinks when the run is rewound. */
class Series {
  constructor() {
    this.points = [];
  }

  add(step, value) {
    if (value === null || value === undefined || !Number.isFinite(value)) return;
    this.cut(step - 1);
    this.points.push([step, value]);
    if (this.points.length > MOST) this.points = this.points.filter((_, i) => i % 2 === 1);
  }

  cut(step) {
    while (this.points.length && this.points[this.points.length - 1][0] > step) this.points.pop();
  }

  get last() {
    return this.points.length ? this.points[this.points.length - 1][1] : null;
  }
}

const CURVES = [
  { name: "distance", title: "Distance to the data", lines: [["distance", ""]], low: 0 },
  { name: "losses", title: "Losses", lines: [["loss_d", "discriminator"], ["loss_g", "generator"]] },
  { name: "answers", title: "D's mean answer", lines: [["of_data", "to data"], ["of_samples", "to samples"]] },
  { name: "modes", title: "Modes covered", lines: [["modes", ""]], low: 0, modes: true },
  { name: "divergence", title: "Jensen-Shannon divergence", lines: [["divergence", ""]], low: 0, line: true },
];

const modesOf = (world) => world?.arrays.modes?.shape[0] ?? 0;

export class Charts {
  constructor(numbers, curves) {
    [this.numbers, this.curves] = [numbers, curves];
    this.begin(null, 1);
  }

  begin(world, count) {
    this.world = world;
    this.sides = Array.from({ length: count }, () => ({}));
    const modes = modesOf(world) > 1;
    const wanted = CURVES.filter((each) => !(each.modes && !modes) && !(each.line && world?.dimensions !== 1));
    this.panels = wanted.map((each) => ({ ...each, canvas: element("canvas", { role: "img", "aria-label": each.title }) }));
    this.curves.replaceChildren(...this.panels.map((panel) => element("div", { class: "curve card" }, element("h3", {}, panel.title, this.keyOf(panel)), panel.canvas)));
    this.draw();
  }

  keyOf(panel) {
    const names = panel.lines.map(([, name]) => name).filter(Boolean);
    const pairs = this.sides.length > 1 ? ["A", "B"] : [];
    return element("span", {}, [...names, ...pairs].map((name, i) => {
      const key = element("i", { class: `key${i === names.length + 1 ? " dashed" : ""}` });
      key.style.setProperty("--colour", i < names.length ? this.colourOf(panel, i) : "var(--soft)");
      return element("span", {}, key, " ", name);
    }));
  }

  colourOf(panel, line) {
    if (panel.name === "losses") return ["var(--ink)", "var(--fake)"][line];
    if (panel.name === "answers") return ["var(--data)", "var(--fake)"][line];
    return "var(--third)";
  }

  /** Add what a frame says of each side. */
  add(frame) {
    frame.sides.forEach((side, i) => {
      const values = { of_data: side.of_data, of_samples: side.of_samples, loss_d: side.totals?.discriminator, loss_g: side.totals?.generator, ...side.numbers };
      const known = this.sides[i];
      if (!known) return;
      for (const [name, value] of Object.entries(values)) (known[name] ??= new Series()).add(side.step, value);
      for (const series of Object.values(known)) series.cut(side.step);
    });
    const now = performance.now();
    if (frame.playing && now - (this.drawnAt ?? 0) < PAUSE) return;
    this.drawnAt = now;
    this.draw();
  }

  draw() {
    const colours = palette();
    for (const panel of this.panels) this.plot(panel, colours);
    this.tiles();
  }

  plot(panel, colours) {
    const { context: c, width, height } = sharp(panel.canvas);
    c.clearRect(0, 0, width, height);
    const lines = this.sides.flatMap((side, i) => panel.lines.map(([name], j) => ({ points: side[name]?.points ?? [], dashed: i === 1, index: j })));
    const all = lines.flatMap((line) => line.points);
    if (all.length < 2) return;
    let [low, high, last] = [Infinity, -Infinity, 1];
    for (const [step, value] of all) [low, high, last] = [Math.min(low, value), Math.max(high, value), Math.max(last, step)];
    if (panel.low !== undefined) low = panel.low;
    if (panel.modes) high = this.world.arrays.modes.shape[0];
    if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
    const [left, bottom] = [38, height - 4];
    const x = (step) => left + (step / last) * (width - left - 4);
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - 7);
    c.font = "10.5px system-ui, sans-serif";
    c.fillStyle = colours.soft;
    c.textAlign = "right";
    for (const value of [low, high]) {
      c.strokeStyle = colours.line;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(left, y(value));
      c.lineTo(width, y(value));
      c.stroke();
      c.fillText(shown(value), left - 5, y(value) + (value === low ? 0 : 7));
    }
    const paints = { losses: [colours.ink, colours.fake], answers: [colours.data, colours.fake] }[panel.name] ?? [colours.third];
    for (const { points, dashed, index } of lines) {
      c.strokeStyle = paints[index];
      c.setLineDash(dashed ? [5, 3] : []);
      c.lineWidth = 1.6;
      c.lineJoin = "round";
      c.beginPath();
      points.forEach(([step, value], i) => (i ? c.lineTo(x(step), y(value)) : c.moveTo(x(step), y(value))));
      c.stroke();
    }
    c.setLineDash([]);
    panel.canvas.setAttribute("aria-label", `${panel.title}, now ${lines.map((line) => shown(line.points[line.points.length - 1]?.[1])).join(", ")}`);
  }

  /** The latest numbers, of both sides where there are two. */
  tiles() {
    const modes = modesOf(this.world);
    const wanted = [["distance", "distance to the data", (value) => shown(value)]];
    if (modes > 1) wanted.push(["modes", `of ${modes} modes covered`, (value) => shown(value)], ["high_quality", "samples near a mode", (value) => `${Math.round(100 * value)}%`]);
    if (this.world?.dimensions === 1) wanted.push(["divergence", "Jensen-Shannon, nats", (value) => shown(value)]);
    wanted.push(["gap", "D: data minus samples", (value) => shown(value)]);
    const values = (name, side) => (name === "gap" ? (side.of_data?.last ?? NaN) - (side.of_samples?.last ?? NaN) : side[name]?.last);
    this.numbers.replaceChildren(...wanted.map(([name, title, write]) => {
      const both = this.sides.map((side, i) => {
        const value = values(name, side);
        return element("b", {}, this.sides.length > 1 ? element("i", {}, "AB"[i]) : null, value === null || value === undefined || Number.isNaN(value) ? "–" : write(value));
      });
      return element("div", { class: "tile card" }, ...both, element("span", {}, title));
    }));
  }

  /** One sentence on a side, for those who do not see the picture. */
  words(i) {
    const side = this.sides[i] ?? {};
    const modes = modesOf(this.world);
    const parts = [];
    if (modes > 1 && side.modes?.last !== null && side.modes) parts.push(`the samples cover ${side.modes.last} of ${modes} modes`);
    if (side.distance?.last !== null && side.distance) {
      const points = side.distance.points;
      const before = points[Math.max(0, points.length - 8)][1];
      const trend = side.distance.last < 0.9 * before ? ", falling" : side.distance.last > 1.1 * before ? ", rising" : "";
      parts.push(`their distance to the data is ${shown(side.distance.last)}${trend}`);
    }
    if (side.of_data && side.of_samples) parts.push(`the discriminator answers ${shown(side.of_data.last)} to data and ${shown(side.of_samples.last)} to samples`);
    return parts.length ? `${parts.join("; ")}.` : "";
  }
}

// A chart of curves over steps, as SVG: lines with letters at their ends, and the values under the pointer or the arrow keys.

import { element } from "/static/shared.js";
import { value } from "./words.js";

const SPACE = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const [LEFT, TOP, BOTTOM] = [46, 10, 24];
const LETTER = 14; // pixels between letters at the ends of lines

export function svg(tag, options = {}, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [key, each] of Object.entries(options)) if (each !== null && each !== undefined) made.setAttribute(key, each);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Numbers at which an axis has a line: about `count` round ones from low to high. */
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const rough = (high - low) / count;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((each) => each * unit >= 0.75 * rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(Math.abs(at) < step * 1e-9 ? 0 : at);
  return found;
}

function short(number) {
  const size = Math.abs(number);
  if (size >= 1e9 || (size < 1e-3 && size > 0)) return number.toExponential(0).replace("e+", "e").replace("-", "−");
  if (size >= 1e6) return `${number / 1e6}M`.replace("-", "−");
  if (size >= 1e4) return `${number / 1e3}k`.replace("-", "−");
  return Number(number.toPrecision(6)).toLocaleString("en").replace("-", "−");
}

/** A chart. update(series, options): series are { name, letter, colour, steps, values }; options: { log, low, high }. */
export function chart(name, remark = "") {
  const drawing = svg("svg", { class: "chart", "aria-hidden": "true" });
  const values = element("p", { class: "values small number" });
  const reader = element(
    "div",
    { class: "reader", role: "slider", tabindex: "0", "aria-label": `${name}, step`, "aria-valuemin": "0" },
    drawing,
  );
  const place = element(
    "figure",
    { class: "curve" },
    element(
      "figcaption",
      {},
      element("span", { class: "name", title: name }, name),
      remark ? element("span", { class: "soft small" }, remark) : null,
    ),
    reader,
    values,
  );
  let series = [];
  let options = {};
  let scale = null;
  let steps = [];
  let at = null; // an index of steps

  const measure = new ResizeObserver(() => draw());
  measure.observe(reader);

  function draw() {
    const width = reader.clientWidth;
    if (!width || !series.length) return;
    const right = series.length > 1 ? 26 : 10;
    scale = scales(series, options, width, right);
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.setAttribute("height", HEIGHT);
    drawing.replaceChildren(
      ...grid(scale, width, right),
      ...series.map((each) => line(each, scale)),
      ...(series.length > 1 ? letters(series, scale) : []),
    );
    point();
  }

  function point() {
    drawing.querySelector(".at")?.remove();
    if (at === null || !steps.length) {
      values.textContent = "";
      return;
    }
    const step = steps[at];
    const found = series.map((each) => [each, nearest(each, step)]).filter(([, index]) => index !== null);
    const marks = found.map(([each, index]) =>
      svg("circle", { class: each.colour, cx: scale.x(each.steps[index]), cy: scale.y(each.values[index]), r: 3.5 }),
    );
    drawing.append(
      svg("g", { class: "at" }, svg("line", { x1: scale.x(step), x2: scale.x(step), y1: TOP, y2: HEIGHT - BOTTOM }), ...marks),
    );
    const said = found.map(([each, index]) => `${each.letter ? `${each.letter} ` : ""}${value(each.values[index])}`).join("  ");
    values.textContent = `step ${step.toLocaleString("en")}: ${said}`;
    reader.setAttribute("aria-valuenow", String(at));
    reader.setAttribute("aria-valuetext", values.textContent);
  }

  function move(event) {
    if (!scale) return;
    const x = event.clientX - reader.getBoundingClientRect().left;
    const step = scale.step(x);
    at = steps.reduce((best, each, i) => (Math.abs(each - step) < Math.abs(steps[best] - step) ? i : best), 0);
    point();
  }

  const leave = () => {
    if (document.activeElement === reader) return;
    at = null;
    point();
  };
  reader.addEventListener("pointermove", move);
  reader.addEventListener("pointerdown", move);
  reader.addEventListener("pointerleave", leave);
  reader.addEventListener("blur", leave);
  reader.addEventListener("focus", () => {
    at ??= steps.length - 1;
    if (scale) point();
  });
  reader.addEventListener("keydown", (event) => {
    const leap = Math.max(1, Math.round(steps.length / 10));
    const to = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageDown: at - leap,
      PageUp: at + leap,
      Home: 0,
      End: steps.length - 1,
    }[event.key];
    if (to === undefined || !scale) return;
    event.preventDefault();
    at = Math.max(0, Math.min(steps.length - 1, to));
    point();
  });

  return {
    element: place,
    update(next, more = {}) {
      series = next.filter((each) => each.steps.length);
      options = more;
      const before = at === null ? null : steps[at];
      steps = [...new Set(series.flatMap((each) => each.steps))].sort((a, b) => a - b);
      if (before !== null)
        at = Math.max(
          0,
          steps.findLastIndex((step) => step <= before),
        );
      reader.setAttribute("aria-valuemax", String(Math.max(0, steps.length - 1)));
      if (at === null) {
        reader.setAttribute("aria-valuenow", String(Math.max(0, steps.length - 1)));
        reader.setAttribute(
          "aria-valuetext",
          series.map((each) => `${each.letter ? `${each.letter} ` : ""}${value(each.values.at(-1))}`).join(", "),
        );
      }
      draw();
    },
    close: () => measure.disconnect(),
  };
}

function scales(series, options, width, right) {
  const all = series.flatMap((each) => each.values);
  const log = options.log && all.every((each) => each > 0);
  const by = log ? Math.log10 : (each) => each;
  let [low, high] = all.reduce(([a, b], each) => [Math.min(a, by(each)), Math.max(b, by(each))], [Infinity, -Infinity]);
  if (low === high) [low, high] = [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
  const room = 0.05 * (high - low);
  [low, high] = [low - room, high + room];
  const steps = series.flatMap((each) => [each.steps[0], each.steps.at(-1)]);
  const [first, last] = [Math.min(...steps), Math.max(...steps)];
  const span = last - first || 1;
  return {
    x: (step) => LEFT + ((step - first) / span) * (width - LEFT - right),
    y: (each) => TOP + ((high - by(each)) / (high - low)) * (HEIGHT - TOP - BOTTOM),
    step: (x) => first + ((x - LEFT) / (width - LEFT - right)) * span,
    across: ticks(first, last, width < 360 ? 3 : 5),
    up: log ? decades(low, high) : ticks(low, high, 5),
  };
}

function decades(low, high) {
  const whole = [];
  for (let at = Math.ceil(low); at <= high; at++) whole.push(10 ** at);
  return whole.length >= 2 ? whole : ticks(10 ** low, 10 ** high, 4).filter((each) => each > 0);
}

function* grid(scale, width, right) {
  for (const each of scale.up) {
    const y = scale.y(each);
    yield svg("line", { class: "grid", x1: LEFT, x2: width - right, y1: y, y2: y });
    yield svg("text", { class: "tick", x: LEFT - 7, y: y + 4, "text-anchor": "end" }, short(each));
  }
  for (const each of scale.across)
    yield svg("text", { class: "tick", x: scale.x(each), y: HEIGHT - 6, "text-anchor": "middle" }, short(each));
}

function line(each, scale) {
  const path = each.steps.map((step, i) => `${i ? "L" : "M"}${scale.x(step).toFixed(1)} ${scale.y(each.values[i]).toFixed(1)}`).join("");
  if (each.steps.length === 1) return svg("circle", { class: each.colour, cx: scale.x(each.steps[0]), cy: scale.y(each.values[0]), r: 3 });
  return svg("path", { class: `line ${each.colour}`, d: path });
}

/** Letters at the ends of lines, apart from each other. */
function letters(series, scale) {
  const ends = series.map((each) => ({ each, x: scale.x(each.steps.at(-1)), y: scale.y(each.values.at(-1)) })).sort((a, b) => a.y - b.y);
  const columns = new Map(); // of letters that are above each other
  for (const end of ends) {
    const near = [...columns.keys()].find((x) => Math.abs(x - end.x) < 2 * LETTER) ?? end.x;
    columns.set(near, [...(columns.get(near) ?? []), end]);
  }
  for (const column of columns.values()) {
    column.forEach((end, i) => (end.y = Math.max(end.y, i ? column[i - 1].y + LETTER : TOP)));
    for (let i = column.length - 1; i >= 0; i--)
      column[i].y = Math.min(column[i].y, i < column.length - 1 ? column[i + 1].y - LETTER : HEIGHT - BOTTOM + 4);
  }
  return ends.map(({ each, x, y }) => svg("text", { class: `end ${each.colour}`, x: x + 6, y: y + 4 }, each.letter));
}

function nearest(each, step) {
  if (step < each.steps[0] || step > each.steps.at(-1)) return null;
  let [low, high] = [0, each.steps.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (each.steps[middle] <= step) low = middle;
    else high = middle;
  }
  return step - each.steps[low] <= each.steps[high] - step ? low : high;
}

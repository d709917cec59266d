// Every run of a study as a dot: a line for each row, a bar at its mean, crosses for runs that failed.

import { element } from "/static/shared.js";
import { svg, ticks } from "./chart.js";
import { counted, value } from "./words.js";

const ROW = 30;
const [TOP, BOTTOM, RIGHT] = [6, 26, 22];

export function dots(name, metric) {
  const drawing = svg("svg", { class: "dots", role: "img" });
  const place = element(
    "figure",
    { class: "dots" },
    element(
      "figcaption",
      {},
      element("span", { class: "name" }, name),
      element("span", { class: "soft small" }, `${metric.better} is better, a dot for each seed`),
    ),
    element("div", { class: "reader" }, drawing),
  );
  const rows = metric.rows;
  const summary = rows
    .map(
      (row) =>
        `${row.row}: ${row.mean === null ? "no number" : `mean ${value(row.mean)}`}, ${counted(row.seeds.length, "run")}${row.failed.length ? `, ${row.failed.length} failed` : ""}`,
    )
    .join("; ");
  drawing.setAttribute("aria-label", `${name}. ${summary}`);
  const measure = new ResizeObserver(() => draw());
  measure.observe(place);

  function draw() {
    const width = drawing.parentElement.clientWidth;
    const all = rows.flatMap((row) => row.seeds.map(([, each]) => each)).filter((each) => each !== null);
    if (!width) return;
    const left = Math.min(190, Math.max(90, width * 0.28));
    const height = TOP + ROW * rows.length + BOTTOM;
    let [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
    [low, high] = [low - room, high + room];
    const x = (each) => left + ((each - low) / (high - low)) * (width - left - RIGHT);
    const worse = metric.better === "lower" ? width - 10 : left + 2;
    const grid = ticks(low, high, width < 500 ? 3 : 6).flatMap((each) => [
      svg("line", { class: "grid", x1: x(each), x2: x(each), y1: TOP, y2: height - BOTTOM }),
      svg("text", { class: "tick", x: x(each), y: height - 8, "text-anchor": "middle" }, value(each)),
    ]);
    const lines = rows.map((row, i) => {
      const y = TOP + ROW * (i + 0.5);
      const seeds = row.seeds
        .filter(([, each]) => each !== null)
        .map(([seed, each]) => svg("circle", { cx: x(each), cy: y, r: 4.5 }, svg("title", {}, `${row.row}, seed ${seed}: ${value(each)}`)));
      const failed = row.failed.map(([seed, why], k) =>
        svg(
          "text",
          { class: "failed", x: worse + (metric.better === "lower" ? -11 * k : 11 * k), y: y + 5, "text-anchor": "middle" },
          "×",
          svg("title", {}, `${row.row}, seed ${seed} failed: ${why}`),
        ),
      );
      const mean = row.mean === null ? null : svg("line", { class: "mean", x1: x(row.mean), x2: x(row.mean), y1: y - 10, y2: y + 10 });
      return svg(
        "g",
        {},
        svg("line", { class: "base", x1: left, x2: width - RIGHT, y1: y, y2: y }),
        svg("text", { class: "row", x: left - 10, y: y + 4, "text-anchor": "end" }, cut(row.row, left), svg("title", {}, row.row)),
        mean,
        ...seeds,
        ...failed,
      );
    });
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("height", height);
    drawing.replaceChildren(...grid, ...lines);
  }

  return { element: place, close: () => measure.disconnect() };
}

/** A label in so many pixels. */
function cut(words, width) {
  const most = Math.floor((width - 14) / 6.6);
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

// The curves of one run or of several: a chart for each number, in groups, drawn when they come into view.

import { element, keep, kept } from "/static/shared.js";
import { chart } from "./chart.js";
import { colour, letter } from "./words.js";

const ORDER = ["Measurements", "Losses and scores", "Health", "Speed and size"];
const BETTER = { lower: "lower is better", higher: "higher is better" };

/** Curves of one run that are drawn into one chart: the chart's name, and what to call this one in it. */
function together(name) {
  const score = /^discriminator\/(.+)_score$/.exec(name);
  if (score) return ["The discriminator's scores", score[1]];
  const accuracy = /^vitals\/accuracy\/(.+)\/(train|held_out)$/.exec(name);
  if (accuracy) return [`Accuracy of D (${accuracy[1]})`, accuracy[2] === "train" ? "training images" : "held-out images"];
  const confidence = /^(.*)confidence on (.+)$/.exec(name);
  if (confidence) return [`${confidence[1]}confidence`, `on ${confidence[2]}`];
  return null;
}

export function curves(many) {
  const charts = new Map(); // by name
  const groups = new Map();
  let log = kept("board.log") === "yes";
  let latest = [];

  const box = element("input", { type: "checkbox", checked: log });
  box.addEventListener("change", () => {
    log = box.checked;
    keep("board.log", log ? "yes" : null);
    update(latest);
  });
  const body = element("div", { class: "body stack" });
  const place = element(
    "section",
    { class: "card curves", "aria-label": "Curves" },
    element(
      "header",
      {},
      element("h2", {}, "Curves"),
      element("span", { class: "soft small" }, "over the steps of training"),
      element("span", { class: "space" }),
      element("label", { class: "switch" }, box, "Logarithmic"),
    ),
    body,
  );

  /** What is in each chart: by group, by the chart's name. */
  function sorted(runs) {
    const found = new Map();
    runs.forEach(({ curves }, index) => {
      for (const each of curves ?? []) {
        const pair = many ? null : together(each.name);
        const name = pair?.[0] ?? each.label;
        const group = found.get(each.group) ?? found.set(each.group, new Map()).get(each.group);
        const one = group.get(name) ?? group.set(name, { better: each.better, series: [] }).get(name);
        const order = many ? index : one.series.length;
        one.series.push({
          name: pair?.[1] ?? name,
          letter: many ? letter(index) : pair ? letter(order) : "",
          colour: colour(order),
          steps: each.steps,
          values: each.values,
          left_out: each.left_out,
        });
      }
    });
    return found;
  }

  function update(runs) {
    latest = runs;
    const found = sorted(runs);
    const names = [...found.keys()].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
    place.hidden = names.length === 0;
    for (const name of names) {
      const group = groups.get(name) ?? add(name);
      for (const [title, { better, series }] of found.get(name)) {
        const key = `${name}/${title}`;
        if (!charts.has(key)) {
          charts.set(key, chart(title, BETTER[better] ?? ""));
          group.append(charts.get(key).element);
        }
        charts.get(key).update(series, { log });
        legend(charts.get(key).element, many || series.length < 2 ? [] : series);
        missing(charts.get(key).element, series);
      }
    }
  }

  function add(name) {
    const isOpen = name !== "Speed and size" && name !== "Health";
    const inside = element("div", { class: "charts" });
    const whole = element("details", { class: "group-of-charts", open: isOpen }, element("summary", {}, element("h3", {}, name)), inside);
    groups.set(name, inside);
    const after = ORDER.slice(ORDER.indexOf(name) + 1);
    const next = [...body.children].find((each) => after.includes(each.dataset.group));
    whole.dataset.group = name;
    body.insertBefore(whole, next ?? null);
    return inside;
  }

  return { element: place, update, close: () => charts.forEach((each) => each.close()) };
}

function legend(figure, series) {
  const text = series.map((each) => each.name).join();
  if (figure.dataset.legend === text) return;
  figure.dataset.legend = text;
  figure.querySelector(".legend")?.remove();
  if (series.length)
    figure.querySelector("figcaption").after(
      element(
        "ul",
        { class: "legend small" },
        series.map((each) => element("li", {}, element("span", { class: `badge ${each.colour}` }, each.letter), each.name)),
      ),
    );
}

function missing(figure, series) {
  const left = series.reduce((sum, each) => sum + (each.left_out ?? 0), 0);
  const words = left ? `${left} ${left === 1 ? "value that is" : "values that are"} not finite left out` : "";
  let note = figure.querySelector(".left-out");
  if (words && !note) figure.append((note = element("p", { class: "left-out small" })));
  if (note) note.textContent = words;
}

// Samples over time: one slider for all runs shown, each with its picture at that step or the last one before it.

import { announce, element, fillSlider } from "/static/shared.js";
import { pictureOf } from "./api.js";
import { badge } from "./marks.js";
import { title } from "./words.js";

const FRAME = 350; // milliseconds of a picture while it plays
const LETTER = 6.4; // pixels of a letter; names whose longest word does not fit are turned

export function samples(many) {
  const steps = []; // of all runs
  const figures = new Map(); // by run
  let runs = [];
  let follows = true; // stays at the newest picture
  let playing = null;

  const slider = element("input", { type: "range", min: "0", max: "0", value: "0", step: "1", "aria-label": "Step of the samples" });
  const said = element("output", { class: "number" });
  const play = element("button", { class: "button icon", type: "button", "aria-label": "Play the samples over time", title: "Play" }, "▶");
  const newest = element("button", { class: "button", type: "button", "aria-pressed": "true" }, "Newest");
  const sheets = element("div", { class: many ? "sheets many" : "sheets" });
  const controls = element("div", { class: "timeline" }, play, slider, said, newest);
  const place = element(
    "section",
    { class: "card samples", "aria-label": "Samples over time" },
    element("header", {}, element("h2", {}, "Samples over time")),
    element("div", { class: "body stack" }, controls, sheets),
  );

  slider.addEventListener("input", () => {
    stop();
    follows = Number(slider.value) === steps.length - 1;
    draw();
  });
  newest.addEventListener("click", () => {
    stop();
    follows = true;
    go(steps.length - 1);
  });
  play.addEventListener("click", () => (playing ? stop() : start()));

  function start() {
    if (steps.length < 2) return;
    follows = false;
    if (Number(slider.value) >= steps.length - 1) go(0);
    play.textContent = "❚❚";
    play.setAttribute("aria-label", "Stop playing");
    playing = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < steps.length) go(next);
      if (next >= steps.length - 1) {
        follows = true;
        stop();
        draw();
      }
    }, FRAME);
  }

  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play the samples over time");
  }

  function go(index) {
    slider.value = String(index);
    draw();
  }

  function draw() {
    const step = steps[Number(slider.value)] ?? 0;
    fillSlider(slider);
    said.textContent = `step ${step.toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", `step ${step}`);
    newest.setAttribute("aria-pressed", String(follows));
    for (const run of runs) figures.get(run.id)?.show(step);
  }

  function update(now) {
    runs = now;
    const found = [...new Set(runs.flatMap((run) => run.samples?.steps ?? []))].sort((a, b) => a - b);
    const kept = steps[Number(slider.value)];
    const grown = steps.length && found.length && found.at(-1) > steps.at(-1);
    steps.splice(0, steps.length, ...found);
    slider.max = String(Math.max(0, steps.length - 1));
    if (follows || kept === undefined) slider.value = slider.max;
    else
      slider.value = String(
        Math.max(
          0,
          steps.findLastIndex((step) => step <= kept),
        ),
      );
    runs.forEach((run, index) => {
      if (!figures.has(run.id)) figures.set(run.id, figure(many ? index : null, run));
      figures.get(run.id).update(run);
    });
    const shown = runs.map((run) => figures.get(run.id).element);
    if (shown.some((each, i) => sheets.children[i] !== each) || sheets.children.length !== shown.length) sheets.replaceChildren(...shown);
    place.hidden = steps.length === 0;
    controls.hidden = steps.length < 2;
    if (grown && follows) announce(`New samples: step ${steps.at(-1)}`);
    draw();
  }

  return { element: place, update, close: stop };
}

/** One run's picture, under its classes' names. */
function figure(index, run) {
  const names = element("div", { class: "names", "aria-hidden": "true" });
  const image = element("img", { class: "sheet", decoding: "async" });
  image.addEventListener("load", () => image.classList.toggle("large", image.naturalWidth > image.clientWidth)); // else its pixels are squares
  const strip = element("div", { class: "strip" }, names, image);
  const caption = element("figcaption", { class: "small soft" });
  const label = index === null ? null : element("p", { class: "whose" }, badge(index), " ", title(run));
  const made = element("figure", {}, label, strip, caption);
  let now = run;
  let columns = "";

  function turn() {
    const { columns = 1, width = 1, classes = [] } = now.columns ?? {};
    const longest = Math.max(0, ...classes.flatMap((name) => name.split(" ")).map((word) => word.length));
    names.classList.toggle("turned", LETTER * longest > (strip.clientWidth * width) / columns);
  }
  new ResizeObserver(turn).observe(strip);

  return {
    element: made,
    update(next) {
      now = next;
      const text = JSON.stringify(now.columns);
      if (text !== columns) {
        columns = text;
        names.replaceChildren(...(now.columns?.classes.length ? [...heads(now.columns)] : []));
        turn();
        names.style.gridTemplateColumns = now.columns
          ? `repeat(${Math.max(1, Math.floor(now.columns.columns / now.columns.width))}, 1fr)`
          : "";
      }
    },
    show(step) {
      const at = now.samples?.steps.findLast((each) => each <= step);
      made.classList.toggle("none", at === undefined);
      if (at === undefined) {
        image.removeAttribute("src");
        image.alt = "";
        caption.textContent = now.samples?.steps.length ? "no samples at this step yet" : "no samples";
        return;
      }
      const source = pictureOf(now.id, at, now.samples.versions[at]);
      if (image.getAttribute("src") !== source) image.src = source;
      image.alt = `Samples of ${title(now)} at step ${at}, from the same latents as at every step`;
      caption.textContent = at === step ? "" : `drawn at step ${at.toLocaleString("en")}`;
    },
  };
}

function* heads(columns) {
  const across = Math.max(1, Math.floor(columns.columns / columns.width));
  if (columns.classes.length > across) return; // several rows of classes: names above columns would mislead
  for (const name of columns.classes) yield element("span", { title: name }, name);
}

// The first page: what trains now, what ended last, and the studies.

import { element } from "/static/shared.js";
import { pictureOf } from "./api.js";
import { dot, parts } from "./marks.js";
import { ago, counted, duration, progress, share, STATES, title, value } from "./words.js";

const CARDS = 12;

export function home() {
  const place = element("div", { class: "home stack" });
  let before = "";

  return {
    element: place,
    update(known) {
      const training = known.runs.filter((run) => run.state === "training");
      const others = known.runs.filter((run) => run.state !== "training" && run.seen).sort((a, b) => b.seen - a.seen);
      const ended = others.slice(0, Math.max(4, CARDS - training.length));
      const text = JSON.stringify([training, ended, known.studies, known.complete]);
      if (text === before) return;
      before = text;
      const made = (run) => card(run, known.byId.get(run.study));
      const pieces = [];
      if (training.length) pieces.push(section("Training now", training.slice(0, 2 * CARDS).map(made)));
      if (known.studies.length) pieces.push(section("Studies", known.studies.slice(0, CARDS).map(studyCard), "studies"));
      if (ended.length) pieces.push(section(training.length ? "Ended last" : "Latest runs", ended.map(made)));
      if (!pieces.length) pieces.push(known.complete ? nothing() : element("p", { class: "soft" }, "Reading the runs …"));
      place.replaceChildren(...pieces);
    },
  };
}

const section = (name, cards, kind = "") =>
  element(
    "section",
    { class: "stack" },
    element("h2", {}, name),
    element(
      "ul",
      { class: `cards ${kind}` },
      cards.map((each) => element("li", {}, each)),
    ),
  );

const nothing = () =>
  element(
    "div",
    { class: "card" },
    element(
      "div",
      { class: "body stack" },
      element("h2", {}, "No runs here yet"),
      element("p", {}, "The board shows every run below the folders that it was given. A run appears here as soon as it starts."),
      element("pre", {}, "sparring train quickstart"),
    ),
  );

function card(run, study) {
  const picture = run.picture
    ? element("img", {
        class: "sheet",
        alt: `Samples at step ${run.picture.step}`,
        loading: "lazy",
        src: pictureOf(run.id, run.picture.step, run.picture.version),
      })
    : element("div", { class: "sheet none" }, run.trains === "classifier" ? "a classifier" : "no samples yet");
  const bar = element(
    "div",
    {
      class: "progress",
      role: "progressbar",
      "aria-label": "Steps",
      "aria-valuenow": String(Math.round(100 * share(run))),
      "aria-valuemin": "0",
      "aria-valuemax": "100",
    },
    element("span", { class: "filled" }),
  );
  bar.firstChild.style.setProperty("--share", `${100 * share(run)}%`);
  const left = run.seconds_left ? `about ${duration(run.seconds_left)} left` : run.seen ? ago(run.seen) : "";
  return element(
    "a",
    { class: "card run", href: `#runs/${run.id}` },
    picture,
    element(
      "div",
      { class: "body" },
      element("h3", {}, title(run)),
      study ? element("p", { class: "small soft from" }, study.name) : null,
      element(
        "p",
        { class: "said small soft" },
        dot(run.state),
        STATES[run.state],
        run.warned.length ? element("span", { class: "warned" }, counted(run.warned.length, "warning")) : null,
      ),
      run.state === "training" ? bar : null,
      element("p", { class: "small soft number" }, [progress(run), left].filter(Boolean).join(" · ")),
      run.message ? element("p", { class: "small message" }, run.message) : null,
      run.headline
        ? element(
            "p",
            { class: "headline number" },
            element("span", { class: "soft small" }, run.headline.metric),
            " ",
            element("b", {}, value(run.headline.value)),
          )
        : null,
    ),
  );
}

function studyCard(study) {
  if (study.state === "damaged")
    return element(
      "div",
      { class: "card" },
      element("div", { class: "body" }, element("h3", {}, study.name), element("p", { class: "small message" }, study.message)),
    );
  const left =
    study.is_running && study.seconds_left
      ? `about ${duration(study.seconds_left)} left`
      : study.left
        ? `${counted(study.left, "run")} left`
        : "";
  return element(
    "a",
    { class: "card study", href: `#study/${study.id}` },
    element(
      "div",
      { class: "body" },
      element("h3", {}, study.name, study.scale ? element("span", { class: "soft" }, ` ${study.scale}`) : null),
      element("p", { class: "said small soft" }, dot(study.state), STATES[study.state]),
      parts(study),
      element(
        "p",
        { class: "small soft number" },
        [`${study.done} of ${counted(study.runs, "run")} done`, study.failed ? `${study.failed} failed` : "", left]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
  );
}

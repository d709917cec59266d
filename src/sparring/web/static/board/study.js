// The page of a study: how far it is, what its claims come to, its tables, every seed, samples and pictures.

import { element } from "/static/shared.js";
import { ask, Refused } from "./api.js";
import { chart } from "./chart.js";
import { dots } from "./dots.js";
import { dot, parts, table } from "./marks.js";
import { gallery } from "./pictures.js";
import { slot } from "./runs.js";
import { colour, counted, duration, letter, MOST, progress, STATES } from "./words.js";

const VERDICTS = { agrees: "good", disagrees: "bad", "cannot tell": "open" };

export function studyPage(id) {
  const [heads, claims, tables, seeds, sheets, rest] = [slot(), slot(), slot(), slot(), slot(), slot()];
  const place = element(
    "div",
    { class: "page stack" },
    heads.element,
    claims.element,
    tables.element,
    seeds.element,
    sheets.element,
    rest.element,
  );
  let study = null;
  let problem = null;
  let charts = [];

  async function look() {
    try {
      study = (await ask(`/api/study/${id}`)).value;
      problem = null;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      problem = error.message;
    }
  }

  function update() {
    if (problem) return heads.show(problem, () => element("div", { class: "notice alarm" }, problem));
    if (!study) return heads.show("", () => element("p", { class: "soft" }, "Reading …"));
    const members = study.members.map((run) => [run.id, run.row, run.seed, run.state, run.step, run.message]);
    heads.show(
      JSON.stringify([
        study.state,
        study.done,
        study.failed,
        study.running,
        study.left,
        study.message,
        study.problem,
        study.seconds_left && duration(study.seconds_left),
        study.rows,
        study.errors,
        members,
      ]),
      () => head(study),
    );
    if (!study.tables) return;
    claims.show(JSON.stringify(study.verdicts), () => (study.verdicts?.length ? verdicts(study) : null));
    tables.show(JSON.stringify(study.tables), () => (study.tables.length ? numbers(study) : null));
    seeds.show(JSON.stringify([study.metrics, study.curves]), () => {
      charts.forEach((each) => each.close());
      charts = [];
      return study.metrics && Object.keys(study.metrics).length ? everySeed(study, charts) : null;
    });
    sheets.show(JSON.stringify(study.sheets), () => (study.sheets?.length ? samples(study) : null));
    rest.show(JSON.stringify([study.pictures, study.notes, study.made]), () => [
      study.pictures?.length
        ? gallery(
            "Figures",
            study.pictures.map(({ name, version, title }) => ({ title, source: pictureIn(id, name, version) })),
          )
        : null,
      study.made ? made(study) : null,
    ]);
  }

  return { element: place, look, update, close: () => charts.forEach((each) => each.close()) };
}

const pictureIn = (id, name, version) => `/api/study/${id}/picture/${encodeURIComponent(name)}?v=${version}`;
const card = (name, ...content) =>
  element(
    "section",
    { class: "card", "aria-label": name },
    element("header", {}, element("h2", {}, name)),
    element("div", { class: "body stack" }, content.flat()),
  );

function head(study) {
  const left = study.is_running && study.seconds_left ? `about ${duration(study.seconds_left)} left` : "";
  const counts = [
    `${study.done ?? 0} of ${counted(study.runs ?? 0, "run")} done`,
    study.failed ? `${study.failed} failed` : "",
    study.running ? `${study.running} running` : "",
    left,
  ];
  const errors = Object.entries(study.errors ?? {}).map(([run, why]) => element("li", {}, `${run}: ${why}`));
  const message = study.message ?? study.problem;
  return [
    element(
      "header",
      { class: "head" },
      element("h2", { class: "big" }, study.title || study.name),
      element("p", { class: "soft small" }, [study.name, study.scale, study.folder].filter(Boolean).join(" · ")),
      element("p", { class: "state" }, dot(study.state), element("b", {}, STATES[study.state] ?? study.state)),
      study.runs ? parts(study) : null,
      element("p", { class: "soft small number" }, counts.filter(Boolean).join(" · ")),
      (study.about ?? []).slice(0, -1).map((line) => element("p", { class: "small" }, line)),
      message ? element("div", { class: "notice alarm" }, message) : null,
      errors.length
        ? element("div", { class: "notice alarm" }, element("b", {}, "These runs could not be trained"), element("ul", {}, errors))
        : null,
    ),
    study.members.length ? runsOf(study) : null,
  ];
}

/** A table of rows by seeds: each run as a link. */
function runsOf(study) {
  const rows = new Map((study.rows ?? []).map((row) => [row.row, []]));
  for (const run of study.members) (rows.get(run.row) ?? rows.set(run.row, []).get(run.row)).push(run);
  const lines = [...rows]
    .filter(([, runs]) => runs.length)
    .map(([row, runs]) => {
      runs.sort((a, b) => (a.seed ?? 0) - (b.seed ?? 0));
      const all =
        runs.length > 1
          ? element(
              "a",
              {
                class: "small",
                href: `#runs/${runs
                  .slice(0, MOST)
                  .map((run) => run.id)
                  .join(",")}`,
                "aria-label": `Compare the runs of ${row}`,
              },
              "compare",
            )
          : null;
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, row),
        element("td", {}, element("div", { class: "seeds" }, runs.map(seed))),
        element("td", {}, all),
      );
    });
  const first = [...rows.values()]
    .map((runs) => runs.find((run) => run.state === "finished") ?? runs[0])
    .filter(Boolean)
    .slice(0, MOST);
  const across =
    first.length > 1
      ? element("a", { class: "button", href: `#runs/${first.map((run) => run.id).join(",")}` }, "Compare one run of each row")
      : null;
  return element(
    "section",
    { class: "card", "aria-label": "Runs" },
    element("header", {}, element("h2", {}, "Runs"), element("span", { class: "space" }), across),
    element(
      "div",
      { class: "body" },
      table(
        "Runs by row and seed",
        [
          element("th", { scope: "col" }, "row"),
          element("th", { scope: "col" }, "seeds"),
          element("th", { scope: "col" }, element("span", { class: "unseen" }, "compare")),
        ],
        lines,
        { class: "members" },
      ),
    ),
  );
}

function seed(run) {
  const words = `seed ${run.seed ?? "?"}, ${STATES[run.state]}${run.state === "training" ? `, ${progress(run)}` : ""}${run.message ? `: ${run.message}` : ""}`;
  return element(
    "a",
    { class: `seed is-${run.state}`, href: `#runs/${run.id}`, title: words, "aria-label": words },
    dot(run.state),
    String(run.seed ?? "?"),
  );
}

function verdicts(study) {
  const items = study.verdicts.map(({ verdict, says, why }) =>
    element(
      "li",
      { class: `verdict ${VERDICTS[verdict] ?? "open"}` },
      element("p", {}, element("b", {}, verdict), element("span", {}, says)),
      element("p", { class: "small soft" }, why),
    ),
  );
  return card(
    "What the paper's claims come to here",
    element("ul", { class: "verdicts" }, items),
    element("p", { class: "small soft" }, study.tested),
  );
}

function numbers(study) {
  const tables = study.tables.map((part) => {
    const headings = part.columns.map((name, i) => element("th", { scope: "col", class: i ? "number" : "" }, name));
    const rows = part.rows.map((row) =>
      element(
        "tr",
        {},
        row.map((cell, i) =>
          i ? element("td", { class: i === part.value ? "number best" : "number" }, cell) : element("th", { scope: "row" }, cell),
        ),
      ),
    );
    return element(
      "div",
      { class: "stack tight" },
      element("h3", {}, part.title),
      table(part.title, headings, rows),
      part.remark ? element("p", { class: "small soft" }, part.remark) : null,
    );
  });
  return card("Numbers", tables, element("p", { class: "small soft" }, study.remark));
}

function everySeed(study, charts) {
  const plots = Object.entries(study.metrics).map(([name, metric]) => {
    const plot = dots(name, metric);
    charts.push(plot);
    return plot.element;
  });
  const curves = Object.entries(study.curves ?? {})
    .filter(([, found]) => found.length)
    .map(([name, found]) => overTraining(name, found, study.metrics[name], charts));
  return card(
    "Every seed",
    element("div", { class: "plots" }, plots),
    curves.length ? element("h3", {}, "Over training, the mean of each row") : null,
    curves.length ? element("div", { class: "charts" }, curves) : null,
  );
}

/** The mean of each row's runs over training, as far as all of them go. */
function overTraining(name, found, metric, charts) {
  const rows = [...new Set(found.map((each) => each.row))].slice(0, MOST);
  const series = rows.map((row, index) => ({
    name: row,
    letter: letter(index),
    colour: colour(index),
    ...mean(found.filter((each) => each.row === row)),
  }));
  const made = chart(name, `${metric?.better ?? ""} is better`);
  charts.push(made);
  made.update(series);
  made.element.querySelector("figcaption").after(
    element(
      "ul",
      { class: "legend small" },
      series.map((each) => element("li", {}, element("span", { class: `badge ${each.colour}` }, each.letter), each.name)),
    ),
  );
  return made.element;
}

function mean(runs) {
  const at = new Map();
  for (const { steps, values } of runs) steps.forEach((step, i) => at.set(step, [...(at.get(step) ?? []), values[i]]));
  const whole = [...at].filter(([, values]) => values.length === runs.length).sort((a, b) => a[0] - b[0]);
  return { steps: whole.map(([step]) => step), values: whole.map(([, values]) => values.reduce((a, b) => a + b, 0) / values.length) };
}

function samples(study) {
  const seeds = [...new Set(study.sheets.map((each) => each.seed))].sort((a, b) => a - b);
  const figures = element("div", { class: "sheets many" });
  const choice = element(
    "select",
    { id: "study-seed" },
    seeds.map((seed) => element("option", { value: String(seed) }, `seed ${seed}`)),
  );
  const show = () =>
    figures.replaceChildren(
      ...study.sheets
        .filter((each) => String(each.seed) === choice.value)
        .map((each) =>
          element(
            "figure",
            {},
            element("p", { class: "whose" }, each.row),
            element("img", {
              class: "sheet",
              loading: "lazy",
              alt: `Samples of ${each.row}, seed ${each.seed}`,
              src: pictureIn(study.id, each.name, each.version),
            }),
          ),
        ),
    );
  choice.addEventListener("change", show);
  show();
  return element(
    "section",
    { class: "card", "aria-label": "Samples of every row" },
    element(
      "header",
      {},
      element("h2", {}, "Samples of every row"),
      element("span", { class: "space" }),
      element("label", { class: "unseen", for: "study-seed" }, "Seed"),
      choice,
    ),
    element("div", { class: "body" }, figures),
  );
}

function made(study) {
  return card(
    "How it was made",
    study.notes.length
      ? [
          element("h3", {}, "Notes"),
          element(
            "ul",
            { class: "small notes" },
            study.notes.map((note) => element("li", {}, `${note}.`)),
          ),
        ]
      : null,
    element(
      "ul",
      { class: "plain small" },
      study.made.map((line) => element("li", {}, line)),
    ),
  );
}

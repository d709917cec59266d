// The page of one run, or of several side by side.

import { copy, element } from "/static/shared.js";
import { ask, Refused } from "./api.js";
import { curves } from "./curves.js";
import { draw } from "./draw.js";
import { badge, bar, dot, table } from "./marks.js";
import { classifiers, numbers, shares, warnings } from "./numbers.js";
import { gallery } from "./pictures.js";
import { samples } from "./samples.js";
import { ago, bytes, counted, duration, EXPLAINED, flat, progress, share, STATES, title } from "./words.js";

const DIFFERENCES = 60; // settings that are listed

export function runsPage(ids) {
  const many = ids.length > 1;
  const pages = new Map(); // by id: what the server says
  const lines = new Map(); // by id: the run's line in the list when it was asked
  const [heads, alarms, sheets, lined, measured, drawing, more] = [slot(), slot(), samples(many), curves(many), slot(), slot(), slot()];
  const place = element(
    "div",
    { class: "page stack" },
    heads.element,
    alarms.element,
    many
      ? [sheets.element, lined.element, measured.element]
      : [
          element("div", { class: "pair" }, element("div", { class: "stack" }, sheets.element, drawing.element), measured.element),
          lined.element,
        ],
    more.element,
  );

  async function look(known) {
    for (const id of ids) {
      const line = JSON.stringify(known.byId.get(id) ?? null);
      const page = pages.get(id);
      if (page && line === lines.get(id) && page.complete && known.byId.get(id)?.state !== "training") continue;
      try {
        const { value } = await ask(`/api/run/${id}`);
        const { value: lined } = await ask(`/api/run/${id}/curves`);
        pages.set(id, { ...value, curves: lined.curves, complete: lined.complete });
        if (known.byId.get(id)?.state !== "unread") lines.set(id, line);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        pages.set(id, { id, state: "damaged", message: error.message, folder: known.byId.get(id)?.folder ?? id, complete: true });
      }
    }
  }

  function update(known) {
    const runs = ids.map((id) => ({ ...known.byId.get(id), ...pages.get(id) })).filter((run) => run.folder);
    if (!runs.length)
      return heads.show("", () =>
        element("p", { class: "soft" }, known.complete ? "There is no such run here: it may have been moved or removed." : "Reading …"),
      );
    heads.show(JSON.stringify(runs.map(headFacts)), () => (many ? legend(runs) : head(runs[0])));
    const ready = runs.filter((run) => pages.has(run.id));
    if (ready.length < runs.length) return;
    alarms.show(JSON.stringify(runs.map((run) => run.warnings)), () => warnings(runs));
    sheets.update(runs);
    lined.update(runs);
    const said = runs.map((run) => [run.numbers, run.classifiers, run.shares]);
    measured.show(JSON.stringify(said), () => [numbers(runs), many ? null : classifiers(runs[0]), many ? null : shares(runs[0])]);
    if (!many)
      drawing.show(JSON.stringify(runs[0].generator ? [runs[0].generator.classes, runs[0].generator.num_classes] : null), () =>
        runs[0].generator ? draw(runs[0]) : null,
      );
    more.show(JSON.stringify(runs.map((run) => [run.diagnosis, run.recipe])), () =>
      many ? differences(runs) : [microscope(runs[0]), facts(runs[0])],
    );
  }

  return { element: place, look, update, close: () => [sheets, lined].forEach((each) => each.close()) };
}

/** A place whose content is made anew only when what it shows has changed. */
export function slot() {
  const place = element("div", { class: "stack slot" });
  let before = null;
  return {
    element: place,
    show(key, make) {
      if (key === before) return;
      before = key;
      const opened = new Set(
        [...place.querySelectorAll("[aria-expanded='true'][aria-controls]")].map((each) => each.getAttribute("aria-controls")),
      );
      const made = make();
      place.replaceChildren(...[made].flat().filter(Boolean));
      place.hidden = !place.children.length;
      for (const id of opened) place.querySelector(`[aria-controls="${id}"]`)?.click();
    },
  };
}

const headFacts = (run) => [
  run.state,
  run.message,
  run.step,
  run.steps,
  run.rate,
  run.seconds_left,
  run.seen,
  run.about,
  run.resume,
  run.disk,
  run.row,
  run.headline,
];

function head(run) {
  const state = element(
    "p",
    { class: "state" },
    dot(run.state),
    element("b", {}, STATES[run.state]),
    element("span", { class: "soft" }, ` ${EXPLAINED[run.state] ?? ""}`),
  );
  const rate =
    run.state === "training" && run.rate ? `${run.rate.toPrecision(3)} steps/s` : run.seconds ? `trained for ${duration(run.seconds)}` : "";
  const left = run.seconds_left ? `about ${duration(run.seconds_left)} left` : "";
  const seen = run.seen ? `last written ${ago(run.seen)}` : "";
  return element(
    "header",
    { class: "head" },
    run.study ? element("p", { class: "small" }, element("a", { href: `#study/${run.study}` }, "← its study")) : null,
    element("h2", { class: "big" }, title(run)),
    element(
      "p",
      { class: "soft small" },
      [run.name !== title(run) ? run.name : "", run.about?.text, run.row ? run.folder : ""].filter(Boolean).join(" · "),
    ),
    state,
    run.steps && run.state !== "finished" ? bar(share(run)) : null,
    element(
      "p",
      { class: "soft small number" },
      [progress(run), rate, left, seen, run.disk ? bytes(run.disk) : ""].filter(Boolean).join(" · "),
    ),
    run.message
      ? element(
          "div",
          { class: "notice alarm" },
          element("p", {}, element("b", {}, run.state === "damaged" ? "It cannot be read: " : "It failed: "), run.message),
        )
      : null,
    run.resume && !["training", "finished"].includes(run.state)
      ? element("p", { class: "command small" }, "Continue it: ", element("code", {}, run.resume), " ", copier(run.resume))
      : null,
  );
}

function copier(words) {
  const button = element(
    "button",
    {
      class: "button quiet small",
      type: "button",
      onclick: async () => {
        button.textContent = (await copy(words)) ? "Copied" : "Select it and copy";
        setTimeout(() => (button.textContent = "Copy"), 2000);
      },
    },
    "Copy",
  );
  return button;
}

function legend(runs) {
  const ids = runs.map((run) => run.id);
  const items = runs.map((run, index) =>
    element(
      "li",
      {},
      badge(index),
      element(
        "span",
        { class: "what" },
        element("a", { href: `#runs/${run.id}` }, title(run)),
        element(
          "span",
          { class: "soft small number" },
          [run.study ? "" : run.name, STATES[run.state], progress(run)].filter(Boolean).join(" · "),
        ),
      ),
      element(
        "a",
        {
          class: "button quiet icon",
          href: `#runs/${ids.filter((id) => id !== run.id).join(",")}`,
          "aria-label": `Leave out ${title(run)}`,
          title: "Leave out",
        },
        "×",
      ),
    ),
  );
  return element(
    "header",
    { class: "head" },
    element("h2", { class: "big" }, `${counted(runs.length, "run")} side by side`),
    element("ul", { class: "chosen-runs" }, items),
  );
}

/** The settings in which the recipes differ. */
function differences(runs) {
  const recipes = runs.map((run) => flat(run.recipe));
  const keys = [...new Set(recipes.flatMap((each) => [...each.keys()]))].filter((key) => !/^(name|about|paper)(\.|$)/.test(key));
  const apart = keys.filter((key) => new Set(recipes.map((each) => each.get(key))).size > 1);
  const content = apart.length
    ? table(
        "Settings that differ",
        [element("th", { scope: "col" }, "setting"), ...runs.map((_, i) => element("th", { scope: "col" }, badge(i)))],
        apart.slice(0, DIFFERENCES).map((key) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, element("code", {}, key)),
            recipes.map((each) => element("td", {}, each.has(key) ? element("code", {}, each.get(key).slice(0, 80)) : "–")),
          ),
        ),
      )
    : element("p", { class: "soft" }, "Their recipes are the same.");
  const rest = apart.length > DIFFERENCES ? element("p", { class: "small soft" }, `and ${apart.length - DIFFERENCES} more`) : null;
  return element(
    "section",
    { class: "card", "aria-label": "Settings that differ" },
    element("header", {}, element("h2", {}, "Settings that differ")),
    element("div", { class: "body" }, content, rest),
  );
}

function microscope(run) {
  if (!run.diagnosis?.length) return null;
  const pictures = run.diagnosis.map(({ name, version, title }) => ({
    title,
    source: `/api/run/${run.id}/diagnosis/${encodeURIComponent(name)}?v=${version}`,
  }));
  return gallery("Under the microscope", pictures, "Pictures of the last `sparring diagnose` of this run.");
}

function facts(run) {
  if (!run.about) return null;
  const settings = [...flat(run.recipe)].map(([key, each]) => `${key}=${each}`).join("\n");
  return element(
    "section",
    { class: "card", "aria-label": "How it was made" },
    element("header", {}, element("h2", {}, "How it was made")),
    element(
      "div",
      { class: "body stack" },
      run.about.paper ? element("p", { class: "small" }, run.about.paper) : null,
      element(
        "dl",
        { class: "facts" },
        run.about.rows.flatMap(([key, each]) => [element("dt", {}, key), element("dd", {}, each)]),
      ),
      element("details", {}, element("summary", {}, "Recipe"), element("pre", { class: "small", tabindex: "0" }, settings)),
    ),
  );
}

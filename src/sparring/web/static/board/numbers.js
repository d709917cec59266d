// Numbers with what they depend on, warnings in plain words, a classifier's results, and how samples spread over classes.

import { element } from "/static/shared.js";
import { badge, table } from "./marks.js";
import { sentence, value } from "./words.js";

const WORDS = {
  // of a classifier's numbers
  accuracy: "Accuracy",
  ece: "Calibration error (ECE)",
  threshold: "Threshold for unknown",
  false_alarm_rate: "False alarms allowed",
  false_alarms_on_validation: "False alarms on validation images",
  false_alarms_on_test: "False alarms on test images",
  n_test: "Test images",
  n_validation: "Validation images",
};
const worded = (name) => WORDS[name] ?? sentence(name.replace(/^coverage\./, "answers above "));

const TITLES = {
  collapse: "The samples collapse",
  saturated: "The discriminator is saturated",
  overfitting: "The discriminator overfits",
  stuck: "The generator is stuck",
  results: "Before you rely on the numbers",
};

/** Warnings of one run or several, the latest of each kind first. */
export function warnings(runs) {
  const many = runs.length > 1;
  const found = runs.flatMap((run, index) => newest(run.warnings ?? []).map((each) => [index, each]));
  if (!found.length) return null;
  return element(
    "section",
    { class: "stack warnings", "aria-label": "Warnings" },
    found.map(([index, { steps, kind, text }]) => {
      const [seen, cure] = text.split(". People try: ");
      const head = [
        many ? badge(index) : null,
        many ? " " : null,
        element("b", {}, TITLES[kind] ?? sentence(kind)),
        steps.length
          ? element("span", { class: "soft number" }, ` step ${steps.map((step) => step.toLocaleString("en")).join(", ")}`)
          : null,
      ];
      const words = seen.includes(": ") && TITLES[kind] ? sentence(seen.slice(seen.indexOf(": ") + 2)) : sentence(seen);
      return element(
        "div",
        { class: "notice alarm" },
        element("p", {}, head),
        element("p", {}, `${words}${cure ? "." : ""}`),
        cure ? element("p", {}, `People try ${cure}.`) : null,
      );
    }),
  );
}

/** The latest warning of each kind, with the steps at which that kind began. */
function newest(all) {
  const kinds = new Map();
  for (const { step, kind, text } of all) {
    const key = kind === "results" ? text : kind;
    const before = kinds.get(key)?.steps ?? [];
    kinds.set(key, { kind, text, steps: step === null ? [] : [...before, step].slice(-5) });
  }
  return [...kinds.values()].reverse();
}

/** The numbers of the last measurement, a column for each run, and behind a button what each depends on. */
export function numbers(runs) {
  const names = [...new Set(runs.flatMap((run) => (run.numbers ?? []).map((each) => each.metric)))];
  if (!names.length) return null;
  const many = runs.length > 1;
  const headings = [
    element("th", { scope: "col" }, "number"),
    ...runs.map((run, index) => element("th", { scope: "col", class: "number" }, many ? badge(index) : "last")),
    element("th", { scope: "col" }, element("span", { class: "unseen" }, "sources")),
  ];
  const rows = names.flatMap((name) => lines(name, runs, many));
  return element(
    "section",
    { class: "card numbers", "aria-label": "Numbers" },
    element("header", {}, element("h2", {}, "Numbers")),
    element("div", { class: "body" }, table("Numbers", headings, rows)),
  );
}

function lines(name, runs, many) {
  const found = runs.map((run) => run.numbers?.find((each) => each.metric === name));
  const first = found.find(Boolean);
  const best = bestOf(found, first.better);
  const cells = found.map((each, i) =>
    element("td", { class: `number ${many && i === best ? "best" : ""}` }, each ? shownNumber(each) : "–"),
  );
  const id = `sources-${name.replaceAll(/[^\w]/g, "-")}`;
  const inside = element(
    "tr",
    { class: "sources", id, hidden: true },
    element("td", { colspan: String(cells.length + 2) }, provenance(found, many)),
  );
  const button = element(
    "button",
    {
      class: "button quiet small",
      type: "button",
      "aria-expanded": "false",
      "aria-controls": id,
      onclick: () => {
        inside.hidden = !inside.hidden;
        button.setAttribute("aria-expanded", String(!inside.hidden));
      },
    },
    "Sources",
    element("span", { class: "unseen" }, ` of ${name}`),
  );
  const hasBest = !many && first.best && first.best.value !== first.value;
  const said = [
    first.better && `${first.better} is better`,
    hasBest && `best ${value(first.best.value)} at step ${first.best.step.toLocaleString("en")}`,
  ];
  const direction = element("span", { class: "soft small" }, ` ${said.filter(Boolean).join("; ")}`);
  return [element("tr", {}, element("th", { scope: "row" }, name, direction), cells, element("td", {}, button)), inside];
}

const shownNumber = (each) => [
  value(each.value),
  each.std ? element("span", { class: "soft" }, ` ± ${Number(each.std.toPrecision(2))}`) : null,
];

function bestOf(found, better) {
  const values = found.map((each) => each?.value ?? null);
  if (!better || values.filter((each) => each !== null).length < 2) return -1;
  const sign = better === "lower" ? 1 : -1;
  return values.reduce((best, each, i) => (each !== null && (best < 0 || sign * each < sign * values[best]) ? i : best), -1);
}

function provenance(found, many) {
  const keys = [...new Set(found.flatMap((each) => each?.sources.map(([key]) => key) ?? []))];
  const of = found.map((each) => new Map(each?.sources ?? []));
  const terms = keys.flatMap((key) => {
    const values = [...new Set(of.map((each) => each.get(key) ?? "–"))];
    const said = values.length === 1 ? values[0] : of.map((each, i) => [badge(i), ` ${each.get(key) ?? "–"} `]);
    return [element("dt", {}, key), element("dd", { class: values.length > 1 ? "differs" : "" }, said)];
  });
  const steps = found
    .map((each, i) => (each ? `${many ? `${String.fromCharCode(65 + i)} ` : ""}step ${each.step.toLocaleString("en")}` : null))
    .filter(Boolean);
  const notes = [...new Set(found.flatMap((each) => each?.notes ?? []))];
  return [
    element("dl", { class: "facts" }, element("dt", {}, "Measured at"), element("dd", {}, steps.join(", ")), terms),
    notes.map((note) => element("p", { class: "small" }, `${sentence(note)}.`)),
  ];
}

/** A classifier's verdict and numbers. */
export function classifiers(run) {
  if (!run.classifiers) return null;
  const { verdict, rows } = run.classifiers;
  const plain = [...new Set(rows.flatMap((row) => Object.keys(row.numbers).filter((key) => !key.startsWith("probes."))))];
  const probes = [
    ...new Set(
      rows.flatMap((row) =>
        Object.keys(row.numbers)
          .filter((key) => /^probes\..+\.auroc$/.test(key))
          .map((key) => key.slice(7, -6)),
      ),
    ),
  ];
  const compared = (names, read, label) =>
    table(
      sentence(label),
      [
        element("th", { scope: "col" }, label),
        ...rows.map((row) => element("th", { scope: "col", class: "number" }, row.name)),
      ],
      names.map((name) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, worded(name)),
          rows.map((row) =>
            element("td", { class: "number" }, row.numbers[read(name)] === undefined ? "–" : value(row.numbers[read(name)])),
          ),
        ),
      ),
    );
  const kinds = [
    ["auroc", "AUROC, higher is better"],
    ["fpr95", "FPR95, lower is better"],
    ["caught_as_unknown", "Answered with unknown"],
  ];
  return element(
    "section",
    { class: "card", "aria-label": "Results" },
    element("header", {}, element("h2", {}, "Results")),
    element(
      "div",
      { class: "body stack" },
      verdict ? element("p", {}, `${verdict}.`) : null,
      compared(plain, (name) => name, "on images of its classes"),
      probes.length
        ? kinds.flatMap(([key, words]) => [
            element("h3", {}, words),
            compared(probes, (name) => `probes.${name}.${key}`, "images of no class"),
          ])
        : null,
    ),
  );
}

/** How the samples spread over the classes. */
export function shares(run) {
  if (!run.shares) return null;
  const { names, shares, of, step } = run.shares;
  const most = Math.max(...shares, 1e-9);
  const rows = names.map((name, i) => {
    const filled = element("span", { class: "filled" });
    filled.style.setProperty("--share", `${(100 * (shares[i] ?? 0)) / most}%`);
    return element(
      "li",
      {},
      element("span", {}, name),
      element("span", { class: "progress", "aria-hidden": "true" }, filled),
      element("span", { class: "number soft" }, shares[i] === null ? "–" : `${(100 * shares[i]).toFixed(1)}%`),
    );
  });
  const more = of > names.length ? element("p", { class: "small soft" }, `The first ${names.length} of ${of} classes.`) : null;
  return element(
    "section",
    { class: "card", "aria-label": "Classes of the samples" },
    element("header", {}, element("h2", {}, "Classes of the samples"), element("span", { class: "soft small" }, `step ${step}`)),
    element("div", { class: "body" }, element("ul", { class: "shares small" }, rows), more),
  );
}

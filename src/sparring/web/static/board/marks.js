// Small marks that stand for something: a state's dot, a run's letter, a bar of parts.

import { element } from "/static/shared.js";
import { colour, letter } from "./words.js";

export const dot = (state) => element("span", { class: `dot is-${state}`, "aria-hidden": "true" });

/** The letter of a run that is shown beside others. */
export const badge = (index) => element("span", { class: `badge ${colour(index)}` }, letter(index));

/** A bar that is filled by a share from 0 to 1. */
export function bar(share, kind = "") {
  const filled = element("span", { class: "filled" });
  filled.style.setProperty("--share", `${100 * share}%`);
  return element("span", { class: `progress ${kind}`, "aria-hidden": "true" }, filled);
}

/** A bar of a study's runs: done, failed, running, left. */
export function parts(counts) {
  const found = [
    ["done", counts.done - counts.failed],
    ["failed", counts.failed],
    ["running", counts.running],
    ["left", counts.left],
  ];
  const made = element("div", { class: "parts", role: "img", "aria-label": found.map(([kind, n]) => `${n} ${kind}`).join(", ") });
  for (const [kind, n] of found.filter(([, n]) => n > 0)) {
    const piece = element("span", { class: kind });
    piece.style.flexGrow = String(n);
    made.append(piece);
  }
  return made;
}

const measure = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

/** A table of a row of headings and the rows below it. Where it does not fit it scrolls, also by the arrow keys. */
export function table(label, headings, rows, attributes = {}) {
  const head = element("thead", {}, element("tr", {}, headings));
  const whole = element("table", attributes, head, element("tbody", {}, rows));
  const made = element("div", { class: "scroll", role: "group", "aria-label": label }, whole);
  measure.observe(made);
  return made;
}

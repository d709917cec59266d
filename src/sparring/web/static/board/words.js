// How the page says things: states, times, sizes; and what tells several runs apart.

import { shown } from "/static/shared.js";

export const STATES = {
  training: "training",
  finished: "finished",
  interrupted: "interrupted",
  killed: "killed",
  failed: "failed",
  damaged: "unreadable",
  unread: "reading",
};

export const EXPLAINED = {
  training: "A process is training it now.",
  finished: "It reached its last step.",
  interrupted: "It was stopped before its last step and can be continued.",
  killed: "Its process ended without saying why, for example by a kill or a power cut.",
  failed: "Training failed.",
  damaged: "Its files cannot be read.",
  unread: "The board has not read it yet.",
};

/** Filters of the list: a name, and the states that it shows. */
export const FILTERS = [
  ["All", null],
  ["Training", ["training"]],
  ["Finished", ["finished"]],
  ["Stopped", ["interrupted", "killed"]],
  ["Failed", ["failed", "damaged"]],
];

export const MOST = 8; // runs side by side; each has a letter and a colour, from the seventh on also a dashed line
export const letter = (index) => String.fromCharCode(65 + index);
export const colour = (index) => `c${index % MOST}`;

export const counted = (n, one, more = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;
}

export function ago(seen) {
  const seconds = Math.max(0, Date.now() / 1000 - seen);
  return seconds < 10 ? "just now" : `${duration(seconds)} ago`;
}

export function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; size >= 1000 && at < units.length - 1; at++) size /= 1000;
  return `${at ? size.toPrecision(3) : size} ${units[at]}`;
}

/** "1,200 of 2,000 steps". */
export function progress(run) {
  if (run.step === undefined) return "";
  return run.step >= run.steps ? counted(run.steps, "step") : `${run.step.toLocaleString("en")} of ${counted(run.steps, "step")}`;
}

export const share = (run) => (run.steps ? Math.min(1, run.step / run.steps) : 0);

/** What to call a run: within a study by its row and seed, elsewhere by its folder. */
export function title(run) {
  return run.row ? `${run.row}, seed ${run.seed ?? run.folder.split("/").pop()}` : run.folder;
}

/** A number with four digits, or what it is instead. */
export function value(number) {
  if (number === null || number === undefined) return "not finite";
  if (Number.isInteger(number) || Math.abs(number) >= 1e5 || (number && Math.abs(number) < 1e-3)) return shown(number);
  return Number(number.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 }).replace("-", "−");
}

/** A recipe's settings by dotted key. */
export function flat(recipe, before = "", found = new Map()) {
  for (const [key, each] of Object.entries(recipe ?? {})) {
    if (each !== null && typeof each === "object" && !Array.isArray(each) && Object.keys(each).length)
      flat(each, `${before}${key}.`, found);
    else found.set(before + key, JSON.stringify(each));
  }
  return found;
}

export const sentence = (name) => {
  const words = name.replaceAll(/[-_]+/g, " ").trim();
  return words ? words[0].toUpperCase() + words.slice(1) : words;
};

// The board's page: what it shows follows from the address after #, and what it knows from asking the server again and again.

import { find, themeButton } from "/static/shared.js";
import { ask, Refused, watch } from "./api.js";
import { home } from "./home.js";
import { list } from "./list.js";
import { runsPage } from "./runs.js";
import { studyPage } from "./study.js";
import { counted, MOST } from "./words.js";

const EVERY = 2; // seconds between two looks
const known = { runs: [], studies: [], byId: new Map(), complete: false, whole: true };
const main = find("#main");
let page = null; // { key, element, update(known, isNew) }
let failures = 0;
let hasOpened = false;

const side = list(find(".side"), known, (ids) => {
  location.hash = ids.length ? `runs/${ids.join(",")}` : "";
});

/** The page that an address asks for: a kind and ids. */
function wanted() {
  const [kind, rest = ""] = location.hash.slice(1).split("/");
  const ids = [...new Set(rest.split(",").filter((id) => /^[0-9a-f]{12}$/.test(id)))].slice(0, MOST);
  if (kind === "runs" && ids.length) return { kind, ids };
  if (kind === "study" && ids.length) return { kind, ids: ids.slice(0, 1) };
  return { kind: "home", ids: [] };
}

function show() {
  if (location.hash === "#main") return;
  const { kind, ids } = wanted();
  const key = `${kind}/${ids.join(",")}`;
  document.body.dataset.page = kind;
  side.choose(kind === "runs" ? ids : [], kind === "study" ? ids[0] : null);
  if (page?.key === key) return;
  page?.close?.();
  const make = { runs: () => runsPage(ids), study: () => studyPage(ids[0]), home: () => home() }[kind];
  const hadPage = page !== null;
  page = { key, ...make() };
  main.replaceChildren(page.element);
  if (hadPage) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  page.update(known);
  refresh();
}

async function look() {
  try {
    const { value, isNew } = await ask("/api/board");
    if (isNew) {
      Object.assign(known, value, { byId: new Map([...value.runs, ...value.studies].map((each) => [each.id, each])) });
      side.update();
      sayCounts();
    }
    await page?.look?.(known);
    page?.update(known);
    openTheOnlyOne();
    sayTitle();
    say("");
    failures = 0;
    return known.complete ? EVERY : 0.05;
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof Refused)) throw error;
    failures += 1;
    say(error instanceof Refused ? error.message : "The server does not answer. Is `sparring board` still running? Trying again.");
    return Math.min(30, EVERY * 2 ** Math.min(failures, 4));
  }
}

/** A board of one run or one study opens with it. */
function openTheOnlyOne() {
  if (hasOpened || !known.complete) return;
  hasOpened = true;
  const alone = known.studies.length ? known.studies : known.runs;
  const others = known.studies.length ? known.runs.filter((run) => run.study !== alone[0].id) : [];
  if (location.hash.length > 1 || alone.length !== 1 || others.length) return;
  history.replaceState(null, "", `#${known.studies.length ? "study" : "runs"}/${alone[0].id}`);
  show();
}

function sayTitle() {
  const heading = page?.key.startsWith("home") ? "" : find("h2.big", main)?.textContent;
  document.title = `${known.training ? `(${known.training}) ` : ""}${heading ? `${heading} · ` : ""}sparring board`;
}

function sayCounts() {
  const of = (...states) => known.runs.filter((run) => states.includes(run.state)).length;
  const parts = [counted(known.runs.length, "run"), known.studies.length && counted(known.studies.length, "study", "studies")];
  const training = of("training");
  if (training) parts.push(`${training} training`);
  find("#counts").textContent = parts.filter(Boolean).join(" · ") + (known.whole ? "" : " · too many folders: some are not shown");
  known.training = training;
}

function say(words) {
  const place = find("#live");
  if (place.textContent !== words) place.textContent = words;
  place.classList.toggle("alarm", words !== "");
}

find("#theme").append(themeButton());
find("#skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", show);
const refresh = watch(look, EVERY);
show();

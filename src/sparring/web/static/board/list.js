// The list beside the page: studies with their runs, other runs, a search, filters by state, and boxes to compare runs.

import { announce, element, find } from "/static/shared.js";
import { pictureOf } from "./api.js";
import { bar, dot, parts } from "./marks.js";
import { counted, EXPLAINED, FILTERS, MOST, progress, share, STATES, title, value } from "./words.js";

const ORDER = { training: 0, unread: 1, failed: 2, killed: 2, interrupted: 2, damaged: 2, finished: 3 };

/** Fills the navigation. compare(ids) is called with the runs that shall be shown together. */
export function list(nav, known, compare) {
  const place = find("#list", nav);
  const state = { filter: 0, words: "", open: new Map(), chosen: [], study: null };
  const rows = new Map(); // by id: the element, and what it shows
  let ticked = [];

  const search = find("#search", nav);
  search.addEventListener("input", () => {
    state.words = search.value.trim().toLowerCase();
    draw();
    announce(counted(shown().length, "run"));
  });

  find("#filters", nav).append(
    ...FILTERS.map(([name], index) =>
      element(
        "button",
        { class: "button", type: "button", "data-filter": name, "aria-pressed": String(index === 0), onclick: () => filter(index) },
        name,
      ),
    ),
  );

  function filter(index) {
    state.filter = index;
    [...find("#filters", nav).children].forEach((each, i) => each.setAttribute("aria-pressed", String(i === index)));
    draw();
    announce(counted(shown().length, "run"));
  }

  function shown() {
    const states = FILTERS[state.filter][1];
    const words = state.words.split(/\s+/).filter(Boolean);
    return known.runs.filter((run) => {
      if (states && !states.includes(run.state)) return false;
      const study = known.byId.get(run.study);
      const said = `${run.name} ${run.folder} ${run.row ?? ""} ${study?.name ?? ""} ${STATES[run.state]} ${run.trains}`.toLowerCase();
      return words.every((word) => said.includes(word));
    });
  }

  function tick(id, isOn) {
    ticked = ticked.filter((each) => each !== id);
    if (isOn && ticked.length >= MOST) {
      announce(`At most ${MOST} runs are compared.`);
      rows.get(id)?.sync();
      return;
    }
    if (isOn) ticked.push(id);
    showChosen();
    rows.get(id)?.sync();
  }

  function showChosen() {
    const place = find("#chosen", nav);
    const same = ticked.join() === state.chosen.join();
    place.hidden = ticked.length < 2;
    if (place.hidden) return place.replaceChildren();
    const go = same
      ? element("p", { class: "small soft" }, `${counted(ticked.length, "run")} side by side`)
      : element(
          "button",
          { class: "button primary", type: "button", onclick: () => compare(ticked) },
          `Compare ${counted(ticked.length, "run")}`,
        );
    const clear = element(
      "button",
      {
        class: "button quiet",
        type: "button",
        onclick: () => {
          ticked = [];
          syncAll();
          showChosen();
        },
      },
      "Clear",
    );
    place.replaceChildren(go, clear);
  }

  const syncAll = () => rows.forEach((row) => row.sync());

  function draw() {
    const found = shown();
    const inStudies = grouped(found);
    const searching = state.words !== "" || state.filter !== 0;
    const pieces = known.studies
      .filter((study) => !searching || inStudies.has(study.id) || named(study, state.words))
      .map((study) => group(study, inStudies.get(study.id) ?? [], searching, known.studies.length === 1 && !inStudies.has(null)));
    const others = [...(inStudies.get(null) ?? [])].sort((a, b) => ORDER[a.state] - ORDER[b.state] || (b.seen ?? 0) - (a.seen ?? 0));
    if (others.length)
      pieces.push(
        element(
          "ul",
          { class: "runs", "aria-label": known.studies.length ? "Other runs" : "Runs" },
          others.map((run) => row(run)),
        ),
      );
    if (!pieces.length)
      pieces.push(
        element(
          "p",
          { class: "soft small empty" },
          known.runs.length ? "No run matches." : "No runs yet. They appear here when training starts.",
        ),
      );
    replace(place, pieces);
  }

  function group(study, runs, searching, isAlone) {
    const chosen = state.study === study.id || runs.some((run) => state.chosen.includes(run.id));
    const open = runs.length > 0 && (state.open.get(study.id) ?? (searching || chosen || isAlone));
    const toggle = element(
      "button",
      {
        class: "toggle",
        type: "button",
        "aria-expanded": String(open),
        "aria-label": `Runs of ${study.name}`,
        disabled: !runs.length,
        onclick: () => {
          state.open.set(study.id, !open);
          draw();
        },
      },
      "▸",
    );
    const link = element(
      "a",
      { href: `#study/${study.id}`, "aria-current": state.study === study.id ? "page" : null },
      element("b", {}, study.name),
      element(
        "span",
        { class: "soft small" },
        study.state === "damaged" ? "unreadable" : `${study.folder.split("/").pop()}, ${study.done} of ${counted(study.runs, "run")}`,
      ),
    );
    const head = element("div", { class: "studyrow" }, toggle, link, study.state === "training" ? dot("training") : null);
    return element(
      "section",
      { class: "study", "data-study": study.id },
      head,
      study.runs && study.state !== "finished" ? parts(study) : null,
      open
        ? element(
            "ul",
            { class: "runs", "aria-label": `Runs of ${study.name}` },
            runs.map((run) => row(run)),
          )
        : null,
    );
  }

  function row(run) {
    const before = rows.get(run.id);
    const text = JSON.stringify(run);
    if (before?.text === text) {
      before.sync();
      return before.element;
    }
    const made = runRow(
      run,
      tick,
      () => ticked.includes(run.id),
      () => state.chosen.includes(run.id),
    );
    rows.set(run.id, { ...made, text });
    return made.element;
  }

  return {
    update() {
      ticked = ticked.filter((id) => known.byId.has(id));
      draw();
    },
    choose(ids, study) {
      state.chosen = ids;
      state.study = study;
      if (ids.length) ticked = [...ids];
      draw();
      syncAll();
      showChosen();
    },
  };
}

function runRow(run, tick, isTicked, isShown) {
  const box = element("input", { type: "checkbox", "aria-label": `Compare ${title(run)}`, onchange: () => tick(run.id, box.checked) });
  const picture = run.picture
    ? element(
        "span",
        { class: "thumb" },
        element("img", { alt: "", loading: "lazy", decoding: "async", src: pictureOf(run.id, run.picture.step, run.picture.version) }),
      )
    : element("span", { class: "thumb none", "aria-hidden": "true" });
  const headline = run.headline ? `${run.headline.metric} ${value(run.headline.value)}` : "";
  const link = element(
    "a",
    { href: `#runs/${run.id}` },
    element("span", { class: "name" }, title(run)),
    element(
      "span",
      { class: "said soft" },
      dot(run.state),
      ` ${STATES[run.state]}`,
      run.warned.length ? element("span", { class: "warned" }, counted(run.warned.length, "warning")) : null,
    ),
    element("span", { class: "said soft number" }, [progress(run), headline].filter(Boolean).join(" · ")),
  );
  link.title = `${EXPLAINED[run.state]}${run.message ? ` ${run.message}` : ""}`;
  const made = element(
    "li",
    { "data-run": run.id, "data-state": run.state },
    box,
    picture,
    link,
    run.state === "training" ? bar(share(run), "thin") : null,
  );
  return {
    element: made,
    sync() {
      box.checked = isTicked();
      if (isShown()) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    },
  };
}

const named = (study, words) => words !== "" && `${study.name} ${study.folder}`.toLowerCase().includes(words);

function grouped(runs) {
  const found = new Map();
  for (const run of runs) found.set(run.study, [...(found.get(run.study) ?? []), run]);
  return found;
}

/** Replace children, but leave alone what is the same, so that focus stays where it is. */
function replace(place, pieces) {
  const focused = document.activeElement?.closest?.("[data-run], [data-study]");
  const key = focused && place.contains(focused) ? (focused.dataset.run ?? focused.dataset.study) : null;
  const kind = key && document.activeElement.tagName;
  const top = place.scrollTop;
  place.replaceChildren(...pieces);
  place.scrollTop = top;
  if (key && !place.contains(document.activeElement)) {
    const again = find(`[data-run="${key}"], [data-study="${key}"]`, place);
    again?.querySelector(kind.toLowerCase())?.focus({ preventScroll: true });
  }
}

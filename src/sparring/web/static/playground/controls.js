// The settings panel, built from the library's own list and kept in step with the recipe that the server trains by.
import { element, fillSlider, shown } from "../shared.js";

const NAMES = {
  std: "spread", stds: "spread", I_p: "steps per further pair", t: "first step", k: "pairs", eps: "size of the attack", per_batch: "negatives in a batch", every: "every n-th update",
  pgd_steps: "PGD steps", pgd_step_size: "PGD step size", warmup: "updates before it acts", start: "first update", a: "target for samples", b: "target for data", c: "target of the generator",
};
const named = (key) => NAMES[key] ?? key.replaceAll("_", " ");
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A term as the library calls it, and as its paper does where that is another word. */
function titled(term) {
  const name = term.name.replaceAll("_", " ");
  const paper = term.docs.split("\n")[0].split(": ")[0];
  const other = paper.length < 20 && !paper.includes(" and ") && paper.toLowerCase().replaceAll("-", " ") !== name;
  return [name, other ? element("span", { class: "soft small" }, ` ${paper}`) : null];
}
let count = 0;
const id = () => `field-${++count}`;

/** What a recipe holds under a dotted key. */
export const valueAt = (recipe, key) => key.split(".").reduce((value, part) => value?.[part], recipe);

export function fieldOf(field, value, set) {
  if (field.kind === "switch") return switchOf(named(field.name), Boolean(value), set);
  if (field.kind === "choice") return choiceOf(field, value, set);
  if (field.kind === "list") return textOf(field, value, set);
  return sliderOf(field, value, set);
}

export function switchOf(name, on, set, options = {}) {
  const input = element("input", { type: "checkbox", checked: on, role: "switch", onchange: () => set(input.checked), ...options });
  return element("label", { class: "switch", title: options.title ?? null }, input, element("span", {}, name));
}

function choiceOf(field, value, set) {
  const made = id();
  const select = element("select", { id: made, onchange: () => set(select.value) }, field.choices.map((each) => element("option", { value: each, selected: each === value }, each.replaceAll("_", " "))));
  return element("div", { class: "field" }, element("label", { for: made }, named(field.name)), select);
}

function textOf(field, value, set) {
  const made = id();
  const input = element("input", { type: "text", id: made, class: "wide", value: value === null || value === undefined ? "" : JSON.stringify(value) });
  input.addEventListener("change", () => {
    try {
      set(input.value.trim() ? JSON.parse(input.value) : null);
      input.removeAttribute("aria-invalid");
    } catch {
      input.setAttribute("aria-invalid", "true");
    }
  });
  return element("div", { class: "field" }, element("label", { for: made }, named(field.name)), input);
}

/** A slider, in decades where its numbers span several. With `off` the setting can be none. */
function sliderOf(field, value, set) {
  const made = id();
  const whole = field.kind === "whole";
  const low = field.log ? Math.max(field.low, whole ? 1 : 1e-9) : field.low;
  const down = (v) => (field.log ? Math.log10(Math.max(v, low)) : v);
  const up = (v) => {
    const raw = field.log ? 10 ** v : v;
    return whole ? Math.round(raw) : Number(raw.toPrecision(3));
  };
  const isOff = value === null || value === undefined;
  const at = typeof value === "number" ? value : isOff ? Math.sqrt(low * field.high) : low;
  const span = down(field.high) - down(low);
  const input = element("input", {
    type: "range", id: made, min: String(down(low)), max: String(down(field.high)), step: String(whole && !field.log ? 1 : span / 200), disabled: field.off && isOff,
  });
  input.value = String(down(at));
  const output = element("output", { for: made }, isOff ? "off" : shown(at));
  const show = (v) => {
    output.textContent = shown(v);
    input.setAttribute("aria-valuetext", shown(v));
    fillSlider(input);
  };
  let sent = at;
  input.addEventListener("input", () => show(up(Number(input.value))));
  input.addEventListener("change", () => {
    const next = up(Number(input.value));
    if (next !== sent) set((sent = next));
  });
  if (!isOff) show(at);
  else fillSlider(input);
  const name = field.off
    ? switchOf(named(field.name), !isOff, (on) => set(on ? up(Number(input.value)) : null))
    : element("label", { for: made }, named(field.name));
  if (field.off) input.setAttribute("aria-label", named(field.name));
  return element("div", { class: "field" }, name, output, input);
}

export class Controls {
  /** page: has `catalogue`, `state`, `recipes`, `chosen` (a side), and is told by `set`, `setWorld`, `setSeed`, `choose`. */
  constructor(panel, page) {
    [this.panel, this.page] = [panel, page];
    this.open = new Set();
  }

  /** Show the recipe of the chosen side. What has the focus keeps it. */
  sync() {
    const { page } = this;
    const recipe = page.recipes[page.chosen];
    if (!recipe) return;
    const path = pathOf(document.activeElement, this.panel);
    const scrolled = this.panel.scrollTop;
    this.panel.replaceChildren(...[this.tabs(), this.world(), this.loss(recipe), this.terms(recipe), ...["discriminator", "generator", "training"].map((group) => this.group(group, recipe))].filter(Boolean));
    this.panel.scrollTop = scrolled;
    if (path) this.panel.querySelectorAll("button, input, select, summary")[path - 1]?.focus({ preventScroll: true });
  }

  tabs() {
    const { page } = this;
    if (page.state.sides.length < 2) return null;
    const buttons = ["A", "B"].map((name, i) => element("button", { class: "button", type: "button", "aria-pressed": String(page.chosen === i), onclick: () => page.choose(i) }, `Players ${name}`));
    const differing = page.differences();
    return element("div", { class: "tabs" }, element("div", { class: "group", role: "group", "aria-label": "Whose settings" }, buttons),
      element("p", { class: "small soft" }, differing.length ? `They differ in ${differing.join(", ")}.` : "They are equal so far: change something in B."));
  }

  world() {
    const { page } = this;
    const entry = page.worldEntry();
    const seed = element("input", { type: "number", id: "seed", min: "0", max: "2147483647", step: "1", value: String(page.state.seed), onchange: () => page.setSeed(Number.parseInt(seed.value, 10) || 0) });
    const options = (entry?.options ?? []).map((field) => fieldOf(field, page.state.world.options?.[field.key] ?? field.default, (value) => page.setWorldOption(field.key, value)));
    return element("section", {}, element("h2", {}, "World"), element("p", { class: "small soft" }, page.world?.about ?? ""), ...options,
      element("div", { class: "field" }, element("label", { for: "seed" }, "seed"), seed),
      element("button", { class: "button", type: "button", id: "draw", onclick: () => page.openDrawing() }, "Draw a world"));
  }

  loss(recipe) {
    const { page } = this;
    const hosts = page.catalogue.terms.filter((term) => term.role === "host");
    const present = hosts.find((term) => term.name in recipe.objective);
    const made = id();
    const select = element("select", { id: made, class: "wide", onchange: () => page.set(`objective.${select.value}`, {}) },
      hosts.map((term) => element("option", { value: term.name, selected: term === present, disabled: Boolean(this.refusal(term)) }, term.name.replaceAll("_", " "))));
    return element("section", {}, element("h2", {}, "Loss"), element("div", { class: "field" }, element("label", { for: made, class: "unseen" }, "Adversarial loss"), select),
      present ? element("p", { class: "small soft" }, sentence(present.about)) : null,
      ...(present?.fields ?? []).map((field) => this.termField(present, field, recipe)), this.docs(present));
  }

  refusal(term) {
    return term.refused[this.page.world?.classes ? "labelled" : "plain"];
  }

  terms(recipe) {
    const { page } = this;
    const terms = page.catalogue.terms.filter((term) => term.role !== "host");
    return element("section", {}, element("h2", {}, "Terms"), ...terms.map((term) => {
      const on = term.name in recipe.objective;
      const why = on ? null : this.refusal(term);
      const toggle = switchOf(titled(term), on, (wanted) => page.set(`objective.${term.name}`, wanted ? {} : null), { disabled: Boolean(why), title: why ?? term.about });
      const fields = on ? element("div", { class: "fields" }, element("p", { class: "soft" }, sentence(term.about)), ...this.split(term, recipe)) : null;
      return element("div", { class: "term" }, element("div", { class: "row" }, toggle), fields);
    }));
  }

  /** The first fields of a term, and the others behind "more". */
  split(term, recipe) {
    const all = term.fields.map((field) => this.termField(term, field, recipe));
    const [first, rest] = [all.slice(0, 3), all.slice(3)];
    return [...first, rest.length ? this.more(`${term.name}-more`, "More settings", rest) : null, this.docs(term)];
  }

  termField(term, field, recipe) {
    return fieldOf(field, valueAt(recipe.objective, `${term.name}.${field.key}`), (value) => this.page.set(`objective.${term.name}.${field.key}`, value));
  }

  docs(term) {
    return term ? element("button", { class: "help", type: "button", onclick: () => this.page.showDocs(term) }, "What it computes") : null;
  }

  more(name, title, content) {
    const details = element("details", { open: this.open.has(name) }, element("summary", {}, title), element("div", { class: "stack" }, content));
    details.addEventListener("toggle", () => (details.open ? this.open.add(name) : this.open.delete(name)));
    return details;
  }

  group(group, recipe) {
    const { page } = this;
    const fields = page.catalogue.settings.filter((field) => field.group === group);
    const all = fields.map((field) => fieldOf(field, this.settingOf(recipe, field), (value) => this.changeSetting(recipe, field, value)));
    if (group === "training" && page.world?.classes) {
      const on = recipe.discriminator.conditioning !== "none";
      all.unshift(switchOf("both players are told the class", on, (wanted) => page.setAll({ "discriminator.conditioning": wanted ? "projection" : "none", "generator.network.conditioning": wanted ? "concat" : "none" })));
    }
    const [first, rest] = group === "training" ? [all, []] : [all.slice(0, 1), all.slice(1)];
    return element("section", {}, element("h2", {}, group), ...first, rest.length ? this.more(group, "Network and optimiser", rest) : null);
  }

  settingOf(recipe, field) {
    const value = valueAt(recipe, field.key.replace("network.", "network."));
    if (value === undefined && field.kind === "choice") return field.choices[0];
    return value;
  }

  changeSetting(recipe, field, value) {
    const beta = /^(.*\.betas)\.([01])$/.exec(field.key);
    if (beta) {
      const betas = [...valueAt(recipe, beta[1])];
      betas[Number(beta[2])] = value;
      this.page.set(beta[1], betas);
    } else if (field.key === "generator.ema.decay" && value === null) this.page.set("generator.ema", null);
    else this.page.set(field.key, value, field.fixed);
  }
}

/** Which control of the panel has the focus, from 1; 0 for none. */
function pathOf(active, panel) {
  return panel.contains(active) ? [...panel.querySelectorAll("button, input, select, summary")].indexOf(active) + 1 : 0;
}

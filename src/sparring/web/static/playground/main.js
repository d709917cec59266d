// The page: its state, the wire, and what every control does.
import { announce, element, find, onTheme, themeButton } from "../shared.js";
import { Charts } from "./charts.js";
import { Controls } from "./controls.js";
import { openDocs, openDrawing, openShare } from "./dialogs.js";
import { Film } from "./film.js";
import { Link } from "./link.js";
import { SlowMotion } from "./slow.js";
import { Stage } from "./stage.js";
import { fresh, fromFragment, settle, toFragment } from "./state.js";
import { openTour } from "./tour.js";

const BACK = 25; // steps that the left arrow key goes back

class Page {
  constructor(catalogue) {
    this.catalogue = catalogue;
    this.state = fromFragment(location.hash) ?? fresh();
    this.recipes = [];
    this.chosen = 0;
    this.playing = false;
    this.frame = null;
    this.counts = { frames: 0, steps: 0 }; // for measurements
    this.stage = new Stage(this);
    this.charts = new Charts(find("#numbers"), find("#curves"));
    this.controls = new Controls(find("#settings"), this);
    this.slow = new SlowMotion(this);
    this.film = new Film(this);
    this.link = new Link({
      world: (world) => this.onWorld(world), frame: (frame) => this.onFrame(frame), settings: (message) => this.onSettings(message),
      slow: (message) => this.slow.begin(message), note: (message) => announce(message.text), error: (message) => this.onError(message.text, message.of),
      full: (message) => this.onError(message.text), export: (message) => this.onExport?.(message), closed: () => this.onClosed(),
    });
    this.choices();
    this.buttons();
    this.start();
  }

  // --- from the server ---
  onWorld(world) {
    this.world = world;
    this.stage.begin(world, this.state.sides.length);
    this.charts.begin(world, this.state.sides.length);
    this.film.clear();
    this.frame = null;
  }

  onSettings(message) {
    this.recipes = message.sides;
    this.stage.captions(this.recipes);
    this.controls.sync();
  }

  onFrame(frame) {
    this.counts.frames += 1;
    this.counts.steps += frame.steps;
    this.frame = frame;
    if (frame.playing) this.heard = true; // frames from before "play" was pressed may still be on their way
    else if (this.playing && (this.heard || frame.sides.some((side) => side.alarm))) this.stopped();
    requestAnimationFrame(() => {
      if (!this.slow.active) this.stage.show(frame);
      else this.slow.latest = frame;
      this.charts.add(frame);
      this.film.keep(frame);
      this.transport(frame);
      this.link.say("seen", { frame: frame.frame });
    });
  }

  transport(frame) {
    const [side] = frame.sides;
    const time = find("#time");
    if (document.activeElement !== time || !time.matches(":active")) {
      Object.assign(time, { max: String(Math.max(side.latest, 1)), value: String(side.step) });
      time.style.setProperty("--share", `${(100 * side.step) / Math.max(side.latest, 1)}%`);
      time.setAttribute("aria-valuetext", `step ${side.step} of ${side.latest}`);
    }
    find("#at").textContent = `step ${side.step.toLocaleString("en")}`;
    const alarms = frame.sides.map((each, i) => each.alarm && `${frame.sides.length > 1 ? `${"AB"[i]}: ` : ""}${each.alarm}`).filter(Boolean);
    this.alarm(alarms.length ? `Training has diverged: ${alarms.join(" ")}` : "");
    this.rate(frame);
    const now = performance.now();
    if (!frame.playing || now - (this.describedAt ?? 0) > 2000) {
      this.describedAt = now;
      const words = frame.sides.map((each, i) => `Step ${each.step}: ${this.charts.words(i)}`);
      this.stage.describe(words);
      find("#summary").textContent = words.length > 1 ? words.map((text, i) => `${"AB"[i]}. ${text}`).join(" ") : words[0];
    }
  }

  rate(frame) {
    const now = performance.now();
    const recent = (this.recent ??= []);
    recent.push([now, frame.steps]);
    while (recent.length > 1 && now - recent[0][0] > 1500) recent.shift();
    const span = (now - recent[0][0]) / 1000;
    const steps = recent.slice(1).reduce((sum, [, each]) => sum + each, 0);
    find("#rate").textContent = frame.playing && span > 0.5 ? `${Math.round((recent.length - 1) / span)} pictures and ${Math.round(steps / span)} steps a second` : "";
  }

  /** Show an alarm, or words on what cannot be done; the empty text ends an alarm. */
  alarm(text, kind = "alarm") {
    const box = find("#alarm");
    if (!text && box.dataset.kind !== kind) return;
    if (box.textContent === text) return;
    Object.assign(box, { textContent: text, hidden: !text });
    box.dataset.kind = kind;
  }

  onError(text, of) {
    this.alarm(text, "error");
    clearTimeout(this.fading);
    if (of) this.fading = setTimeout(() => this.alarm("", "error"), 8000);
    if (of === "change" && this.undo) {
      this.state.sides = this.undo;
      this.remember();
    }
    this.controls.sync();
  }

  onClosed() {
    this.stopped();
    if (!find("#alarm").textContent) this.alarm("The server has ended this session: reload the page to begin another.", "end");
  }

  // --- to the server ---
  start() {
    this.stopped();
    this.slow.end();
    this.alarm("");
    this.alarm("", "error");
    this.chosen = Math.min(this.chosen, this.state.sides.length - 1);
    this.link.say("start", { world: this.state.world, sides: this.state.sides, seed: this.state.seed });
    this.remember();
    this.syncChoices();
  }

  play(on = !this.playing) {
    this.slow.end();
    [this.playing, this.heard] = [on, false];
    if (on) this.link.say("play", { pace: Number(find("#pace").value) || null });
    else this.link.say("pause");
    this.showPlaying();
  }

  stopped() {
    this.playing = false;
    this.showPlaying();
  }

  showPlaying() {
    find("#play").textContent = this.playing ? "Pause" : "Play";
  }

  step() {
    this.slow.end();
    this.stopped();
    this.link.say("step", { count: 1 });
  }

  rewind(step) {
    this.slow.end();
    this.stopped();
    this.link.say("rewind", { step: Math.max(0, Math.round(step)) });
  }

  /** Change a setting of the chosen players; one that is fixed while they train begins anew. */
  set(key, value, fixed = false) {
    this.setAll({ [key]: value }, fixed);
  }

  setAll(changes, fixed = false) {
    this.alarm("", "error");
    this.undo = structuredClone(this.state.sides);
    const side = this.state.sides[this.chosen];
    for (const [key, value] of Object.entries(changes)) side.changes = settle(side.changes, key, value, this.methodEntry(side.method));
    const host = Object.keys(changes).map((key) => /^objective\.([^.]+)$/.exec(key)?.[1]).find((name) => this.isHost(name));
    if (host) this.dropOtherHosts(side, host);
    if (fixed) this.start();
    else this.link.say("change", { side: this.chosen, changes });
    this.remember();
  }

  isHost(name) {
    return this.catalogue.terms.some((term) => term.name === name && term.role === "host");
  }

  dropOtherHosts(side, host) {
    for (const key of Object.keys(side.changes)) {
      const name = /^objective\.([^.]+)/.exec(key)?.[1];
      if (name && name !== host && this.isHost(name)) delete side.changes[key];
    }
  }

  setWorld(name) {
    if (name === "drawn") return this.openDrawing();
    this.state.world = { name, options: {} };
    for (const side of this.state.sides) if (this.methodEntry(side.method).labelled && !this.worldEntry().classes) Object.assign(side, { method: "non_saturating", changes: {} });
    this.start();
  }

  setWorldOption(key, value) {
    this.state.world.options = { ...this.state.world.options, [key]: value };
    if (value === null) delete this.state.world.options[key];
    this.start();
  }

  setSeed(seed) {
    this.state.seed = Math.min(Math.max(seed, 0), 2147483647);
    this.start();
  }

  setMethod(i, name) {
    this.state.sides[i] = { method: name, changes: {} };
    this.start();
  }

  compare(on) {
    const [first] = this.state.sides;
    this.state.sides = on ? [first, structuredClone(first)] : [first];
    this.chosen = on ? 1 : 0;
    this.start();
    announce(on ? "Two pairs of players from one seed. Change something in B." : "One pair of players.");
  }

  choose(i) {
    this.chosen = i;
    this.controls.sync();
  }

  /** The settings in which the two pairs of players differ. */
  differences() {
    const [a, b] = this.recipes.map((recipe) => flat({ objective: recipe.objective, generator: recipe.generator, discriminator: recipe.discriminator, d_steps: recipe.d_steps, batch_size: recipe.batch_size }));
    const keys = [...new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])].filter((key) => JSON.stringify(a[key]) !== JSON.stringify((b ?? a)[key]));
    return [...new Set(keys.map((key) => (/^objective\.[^.]+\.(weight|generator_weight)$/.test(key) && !(key in a && key in b) ? key.replace(/\.[^.]+$/, "") : key)))].filter((key, _, all) => !all.some((other) => other !== key && key.startsWith(`${other}.`))).slice(0, 4);
  }

  toggleLayer(name) {
    const { state } = this;
    state.hidden = state.hidden.includes(name) ? state.hidden.filter((each) => each !== name) : [...state.hidden, name];
    find(`[data-layer="${name}"]`)?.setAttribute("aria-pressed", String(!state.hidden.includes(name)));
    this.stage.draw();
    this.remember();
  }

  /** Settings to begin with, from a scene of the tour or a drawing. */
  load(state, play = false) {
    this.state = { ...fresh(), ...structuredClone(state) };
    this.chosen = this.state.sides.length - 1;
    this.start();
    if (play) this.play(true);
  }

  remember() {
    history.replaceState(null, "", toFragment(this.state));
  }

  // --- the bar ---
  worldEntry() {
    return this.catalogue.worlds.find((world) => world.name === this.state.world.name);
  }

  methodEntry(name) {
    return this.catalogue.methods.find((method) => method.name === name) ?? this.catalogue.methods[0];
  }

  choices() {
    const worlds = [1, 2].map((dimensions) => element("optgroup", { label: dimensions === 1 ? "on a line" : "in a plane" },
      this.catalogue.worlds.filter((world) => world.dimensions === dimensions).map((world) => element("option", { value: world.name }, world.name))));
    find("#world").append(...worlds, element("option", { value: "drawn" }, "your drawing"));
    for (const name of ["#method", "#method-b"]) find(name).append(...this.catalogue.methods.map((method) => element("option", { value: method.name, title: method.about }, method.name)));
    find("#world").addEventListener("change", (event) => this.setWorld(event.target.value));
    find("#method").addEventListener("change", (event) => this.setMethod(0, event.target.value));
    find("#method-b").addEventListener("change", (event) => this.setMethod(1, event.target.value));
  }

  syncChoices() {
    const two = this.state.sides.length > 1;
    const classes = this.state.world.name !== "drawn" && this.worldEntry()?.classes;
    find("#world").value = this.state.world.name;
    this.state.sides.forEach((side, i) => (find(i ? "#method-b" : "#method").value = side.method));
    for (const option of document.querySelectorAll("#method option, #method-b option")) option.disabled = this.methodEntry(option.value).labelled && !classes;
    find("#other-method").hidden = !two;
    find("#compare").setAttribute("aria-pressed", String(two));
  }

  buttons() {
    find("#theme").replaceWith(themeButton());
    find("#play").addEventListener("click", () => this.play());
    find("#step").addEventListener("click", () => this.step());
    find("#slow").addEventListener("click", () => this.slow.ask());
    find("#again").addEventListener("click", () => this.rewind(0));
    find("#compare").addEventListener("click", () => this.compare(this.state.sides.length < 2));
    find("#share").addEventListener("click", () => openShare(this));
    find("#tour").addEventListener("click", () => openTour(this));
    find("#pace").addEventListener("change", () => this.playing && this.play(true));
    find("#time").addEventListener("change", (event) => this.rewind(Number(event.target.value)));
    find("#time").addEventListener("input", (event) => (find("#at").textContent = `step ${Number(event.target.value).toLocaleString("en")}`));
    onTheme(() => {
      this.stage.recolour();
      this.charts.draw();
    });
    new ResizeObserver(() => {
      this.stage.draw();
      this.charts.draw();
    }).observe(find("#stage"));
    window.addEventListener("hashchange", () => {
      const state = fromFragment(location.hash);
      if (state && toFragment(state) !== toFragment(this.state)) this.load(state);
    });
    document.addEventListener("keydown", (event) => this.onKey(event));
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
    if (event.target.closest("input, select, textarea, button, summary, a") && !(event.key === " " && event.target.closest("#views"))) return;
    const act = { " ": () => this.play(), ArrowRight: () => this.step(), ArrowLeft: () => this.rewind((this.frame?.sides[0].step ?? 0) - BACK), s: () => this.slow.ask(), r: () => this.rewind(0), c: () => this.compare(this.state.sides.length < 2) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  showDocs(term) {
    openDocs(term);
  }

  openDrawing() {
    openDrawing(this);
    this.syncChoices();
  }
}

function flat(value, before = "") {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return { [before]: value };
  return Object.assign({}, ...Object.entries(value).map(([key, inner]) => flat(inner, before ? `${before}.${key}` : key)));
}

const answer = await fetch("/catalogue.json");
window.playground = new Page(await answer.json());

// One step, part by part: each part is lit in turn, with a sentence on what happens.
import { announce, element, find, shown } from "../shared.js";
import { ofSide } from "./link.js";

const LONG = 2600; // milliseconds for a part
const MOVE = 900; // of them for what moves

export class SlowMotion {
  constructor(page) {
    this.page = page;
    this.active = false;
  }

  /** Ask the server for one step with all its parts. */
  ask() {
    this.end();
    this.page.stopped();
    this.page.link.say("slow", { side: this.page.chosen < this.page.stage.views.length ? this.page.chosen : 0 });
  }

  begin(message) {
    this.side = message.side;
    this.parts = partsOf(message, this.page.stage.frame?.sides[message.side] ?? {});
    this.active = true;
    this.auto = !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.box = element("div", { class: "lesson" });
    this.page.stage.views[this.side].figure.append(this.box);
    this.go(0);
  }

  go(index) {
    if (!this.active) return;
    if (index >= this.parts.length) return this.end();
    clearTimeout(this.timer);
    this.index = index;
    const part = this.parts[index];
    const dots = element("ol", { "aria-hidden": "true" }, this.parts.map((_, i) => element("li", { "aria-current": i === index ? "step" : null })));
    const buttons = element("div", { class: "row" }, dots, element("span", { class: "space" }),
      element("button", { class: "button", type: "button", onclick: () => this.manual(index + 1) }, index + 1 < this.parts.length ? "Next" : "Done"));
    const had = this.box.contains(document.activeElement);
    this.box.replaceChildren(element("b", {}, part.title), element("p", {}, part.text), buttons);
    if (had) find("button", this.box).focus();
    announce(`${part.title}. ${part.text}`);
    this.move(part, performance.now());
    if (this.auto) this.timer = setTimeout(() => this.go(index + 1), LONG);
  }

  manual(index) {
    this.auto = false;
    this.go(index);
  }

  /** Show a part; points that move go from where they were to where they are. */
  move(part, since) {
    if (!this.active || this.parts[this.index] !== part) return;
    const t = part.from && this.auto ? Math.min(1, (performance.now() - since) / MOVE) : 1;
    const picture = part.from ? { ...part.picture, samples: between(part.from, part.picture.samples, t * t * (3 - 2 * t)) } : part.picture;
    this.page.stage.lesson = { side: this.side, picture, layers: part.layers, lit: part.lit };
    this.page.stage.draw();
    if (t < 1) requestAnimationFrame(() => this.move(part, since));
  }

  end() {
    if (!this.active) return;
    clearTimeout(this.timer);
    this.active = false;
    this.box.remove();
    this.page.stage.lesson = null;
    if (this.latest) this.page.stage.show(this.latest);
    this.latest = null;
  }
}

function between(a, b, t) {
  return { shape: b.shape, data: b.data.map((value, i) => a.data[i] + (value - a.data[i]) * t) };
}

const set = (...names) => new Set(names);

/** The parts of a step: the batch, each update of the discriminator, the generator's gradient, its move. */
function partsOf(message, frame) {
  const before = ofSide(message.arrays, "before");
  const after = ofSide(message.arrays, "after");
  let realness = before.realness;
  const base = { ...frame, samples: before.samples, pairs: undefined, attacked: undefined, probes: undefined, mesh: undefined, at: undefined };
  const parts = [];
  message.parts.forEach((update, i) => {
    const own = ofSide(message.arrays, i);
    if (update.player === "generator") return;
    if (!update.second) {
      const batch = Object.fromEntries(["real", "fake", "negative"].filter((name) => own[`batch_${name}`]).map((name) => [name, own[`batch_${name}`]]));
      parts.push({ title: "A batch", text: `Ringed: data (blue) and what the generator made (orange)${batch.negative ? ", and negatives (magenta)" : ""}. The discriminator judges them.`, layers: set("surface", "data", "samples"), lit: set("none"), picture: { ...base, realness, batch } });
      if (own.pairs) parts.push({ title: "Pairs", text: "The most realistic samples, each with the nearest point of the data. They should be judged alike.", layers: set("surface", "data", "samples", "pairs"), lit: set("pairs"), picture: { ...base, realness, pairs: own.pairs } });
      if (own.probes) parts.push({ title: "The penalty's points", text: "Here the gradient of the discriminator is measured and held in check.", layers: set("surface", "data", "samples", "probes"), lit: set("probes"), picture: { ...base, realness, probes: own.probes } });
    }
    if (own.attacked) parts.push({ title: "The attack", text: "Each point of the data moves to where it looks less real. The discriminator is trained on these too.", layers: set("surface", "data", "samples", "attacked"), lit: set("attacked"), picture: { ...base, realness, attacked: own.attacked } });
    realness = own.realness ?? realness;
    parts.push({ title: update.second ? "The discriminator's second update" : "The discriminator's update", text: `Its answers have changed. ${termsOf(update.terms)}`, layers: set("surface", "data", "samples"), lit: set("surface"), picture: { ...base, realness } });
  });
  const generator = message.parts[message.parts.length - 1];
  parts.push({ title: "The generator's gradient", text: "The arrows point to where the discriminator sees more real points.", layers: set("surface", "samples", "arrows"), lit: set("arrows"), picture: { ...base, realness, at: after.at, arrows: after.arrows } });
  parts.push({ title: "The generator's update", text: `The samples move along. ${termsOf(generator.terms)}`, layers: set("surface", "data", "samples"), lit: set("samples", "surface"), picture: { ...base, realness, samples: after.samples }, from: before.samples });
  return parts;
}

function termsOf(terms) {
  const words = Object.entries(terms).filter(([name]) => !name.includes("/")).map(([name, value]) => `${name.replaceAll("_", " ")} ${shown(value)}`);
  return words.length ? `Its loss: ${words.join(", ")}.` : "";
}

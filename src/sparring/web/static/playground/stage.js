// The pictures of the players, the layers that they show, and slow motion.
import { element, find, icon, shown } from "../shared.js";
import { ofSide } from "./link.js";
import { draw, recolour } from "./plane.js";
import { LAYERS } from "./state.js";

const LAYER_NAMES = { data: "data", samples: "samples", surface: "D's answers", arrows: "D's gradient", mesh: "generator's grid", negatives: "negatives", pairs: "SDP's pairs", attacked: "attacked data", probes: "penalty's points" };
const MARKS = {
  data: ["--data", "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10z"], samples: ["--fake", "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10z"],
  surface: ["--edge", "M3 3h18v18H3zM5 5v14l14-14z"], arrows: ["--ink", "M4 19 15.5 7.500H9V5h10v10h-2.500V8.500L5.500 20.500z"],
  mesh: ["--third", "M3 3h18v18H3zm2 2v4h4V5zm6 0v4h4V5zm6 0v4h2V5zM5 11v4h4v-4zm6 0v4h4v-4zm6 0v4h2v-4zM5 17v2h4v-2zm6 0v2h4v-2zm6 0v2h2v-2z"],
  negatives: ["--negative", "m5 7 2-2 5 5 5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5z"], pairs: ["--fourth", "M6 15a3 3 0 1 0 2.500 4.600L17 9.500V10h4V5h-5v3.500L7.300 15.300z"],
  attacked: ["--fifth", "M3 10h10V5l8 7-8 7v-5H3z"], probes: ["--soft", "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8z"],
};

export class Stage {
  constructor(page) {
    this.page = page;
    this.views = [];
    this.lesson = null; // what slow motion shows in place of the frame
    recolour();
  }

  /** Pictures for a new world. */
  begin(world, count) {
    this.world = world;
    this.frame = null;
    this.lesson = null;
    find("main").classList.toggle("two", count > 1);
    this.views = Array.from({ length: count }, (_, i) => {
      const canvas = element("canvas", { role: "img", "aria-label": "The picture of the players" });
      const [title, text] = [element("b", {}), element("span", {})];
      const figure = element("figure", { class: `view card${world.dimensions === 1 ? " line" : ""}` }, canvas, element("figcaption", {}, title, text));
      return { canvas, title, text, figure, index: i };
    });
    find("#views").replaceChildren(...this.views.map((view) => view.figure));
    this.layerButtons();
  }

  layerButtons() {
    const { page } = this;
    const there = this.present();
    find("#layers").replaceChildren(...LAYERS.filter((name) => there.has(name)).map((name) => {
      const [colour, path] = MARKS[name];
      const mark = icon(path);
      mark.style.fill = `var(${colour})`;
      const button = element("button", { class: "layer", type: "button", "data-layer": name, "aria-pressed": String(!page.state.hidden.includes(name)), onclick: () => page.toggleLayer(name) }, mark, LAYER_NAMES[name]);
      return button;
    }));
    this.known = [...there].join();
  }

  /** The layers that there is something to show of. */
  present() {
    const sides = this.frame?.sides ?? [];
    const some = (name) => sides.some((side) => side[name]);
    const found = new Set(["data", "samples", "surface", "arrows"]);
    if (some("mesh")) found.add("mesh");
    if (this.world?.arrays.negatives) found.add("negatives");
    for (const name of ["pairs", "attacked", "probes"]) if (some(name)) found.add(name);
    return found;
  }

  show(frame) {
    this.frame = { ...frame, sides: frame.sides.map((side, i) => ({ ...side, ...ofSide(frame.arrays, i) })) };
    if ([...this.present()].join() !== this.known) this.layerButtons();
    this.draw();
  }

  draw() {
    const shownLayers = new Set(LAYERS.filter((name) => !this.page.state.hidden.includes(name)));
    this.views.forEach((view, i) => {
      const lesson = this.lesson?.side === i ? this.lesson : null;
      const side = lesson ? lesson.picture : this.frame?.sides[i];
      draw(view.canvas, this.world, side, lesson ? lesson.layers : shownLayers, lesson?.lit ?? null);
    });
  }

  /** Who plays, below each picture. */
  captions(recipes) {
    this.views.forEach((view, i) => {
      const recipe = recipes[i];
      if (!recipe) return;
      const name = this.views.length > 1 ? `${"AB"[i]}: ` : "";
      view.title.textContent = name + Object.keys(recipe.objective).map((term) => term.replaceAll("_", " ")).join(" + ");
      view.text.textContent = `rates ${rate(recipe.discriminator)} and ${rate(recipe.generator)}, batch ${recipe.batch_size}${recipe.d_steps > 1 ? `, ${recipe.d_steps} D updates a step` : ""}`;
    });
  }

  describe(words) {
    this.views.forEach((view, i) => {
      const text = `${this.world.about}. ${words[i]}`;
      view.canvas.setAttribute("aria-label", text);
    });
  }

  recolour() {
    recolour();
    this.draw();
  }
}

const rate = (player) => (typeof player.optimizer.lr === "number" ? shown(player.optimizer.lr) : "scheduled");

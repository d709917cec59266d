// Seven scenes, one for each idea of the papers: a paragraph, and a button that sets the stage.
import { announce, element, find } from "../shared.js";
import { hide, show } from "./dialogs.js";

const side = (method, changes = {}) => ({ method, changes });

export const SCENES = [
  {
    title: "Two players", text: "The generator (orange) turns noise into points. The discriminator shades the plane: blue where it believes in data, orange where it does not. Each learns from the other, step by step.",
    look: "Press slow motion to take one step apart.", state: { world: { name: "moons", options: {} }, sides: [side("non_saturating")] },
  },
  {
    title: "What collapse looks like", text: "Eight clusters, and a discriminator that learns five times as fast as its opponent. The generator runs after a few clusters and leaves the others out.",
    look: "Watch the number of modes covered. Then lower the discriminator's learning rate while it trains.", state: { world: { name: "ring-8", options: { std: 0.02 } }, sides: [side("non_saturating", { "discriminator.optimizer.lr": 0.01 })] },
  },
  {
    title: "Why negatives", text: "Data lie around 4. Both discriminators never see what is far from the data and from the samples; B is also shown negatives (magenta), points that are not data, and learns to reject them (NAT).",
    look: "Compare D's curve at the far left and right.", state: { world: { name: "nat-1d", options: {} }, sides: [side("non_saturating"), side("negatives")] },
  },
  {
    title: "A realistic pair", text: "SDP takes the most realistic samples (violet rings) and the nearest point of the data (violet squares), and asks that the discriminator judge and see both alike. This holds its slope in check where it matters.",
    look: "Switch SDP off and on in the settings, and watch the surface.", state: { world: { name: "ring-8", options: { std: 0.1 } }, sides: [side("non_saturating"), side("sdp", { "objective.sdp.t": 0, "objective.sdp.weight": 0.1, "objective.sdp.k": 12 })] },
  },
  {
    title: "A margin", text: "Both generators are told which of eight classes to make. B's discriminator is also a classifier that must prefer the right class by a margin (MHGAN).",
    look: "See which of them sends each class to its own cluster first.", state: { world: { name: "ring-8", options: { std: 0.1 } }, sides: [side("projection"), side("multi_hinge")] },
  },
  {
    title: "An attacked discriminator", text: "AS-GAN moves each point of the data a little to where it looks least real (red), and trains the discriminator on these points too. It can then no longer rely on tiny differences.",
    look: "Raise the size of the attack.", state: { world: { name: "ring-8", options: { std: 0.1 } }, sides: [side("non_saturating"), side("as_gan", { "objective.as_gan.eps": 0.08 })] },
  },
  {
    title: "A slope of one", text: "WGAN-GP asks that the discriminator's gradient have length one between data and samples; the rings show where it is measured. The answers become a gentle slope instead of a cliff.",
    look: "Show the penalty's points, and change its weight.", state: { world: { name: "spiral", options: {} }, sides: [side("wgan-gp")], hidden: [] },
  },
];

export function openTour(page) {
  const scenes = SCENES.map((scene, i) => element("li", {}, element("button", { class: "button", type: "button", onclick: () => begin(page, i) }, element("b", {}, `${i + 1}. ${scene.title}`), element("span", {}, scene.text.split(". ")[0] + "."))));
  show("Seven scenes", element("p", { class: "soft" }, "Each shows one idea. Everything stays yours to change."), element("ol", { class: "scenes" }, scenes));
}

/** Set a scene: its text above the picture, and its players at work. */
export function begin(page, i) {
  hide();
  const scene = SCENES[i];
  const box = find("#scene");
  box.replaceChildren(element("b", {}, `${i + 1}. ${scene.title}`), element("p", {}, scene.text), element("p", { class: "soft" }, scene.look),
    element("div", { class: "row" },
      i > 0 ? element("button", { class: "button", type: "button", onclick: () => begin(page, i - 1) }, "Back") : null,
      i + 1 < SCENES.length ? element("button", { class: "button primary", type: "button", onclick: () => begin(page, i + 1) }, "Next scene") : null,
      element("button", { class: "button quiet", type: "button", onclick: () => (box.hidden = true) }, "End the tour")));
  box.hidden = false;
  page.load(scene.state, true);
  announce(`${scene.title}. ${scene.text}`);
}

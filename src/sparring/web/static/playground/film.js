// A film of what was just seen: the last frames are kept, and drawn again for a GIF.
import { announce, element, palette, save } from "../shared.js";
import { gif } from "./gif.js";
import { ofSide } from "./link.js";
import { draw } from "./plane.js";
import { LAYERS } from "./state.js";

const KEPT = 240; // frames, some 6 MB; with more of them every other one is dropped
const LONGEST = 120; // pictures of a film
const SIDE = 360; // pixels of a picture's side

export class Film {
  constructor(page) {
    this.page = page;
    this.clear();
  }

  clear() {
    this.frames = [];
    this.every = 1;
    this.count = 0;
  }

  keep(frame) {
    const step = frame.sides[0].step;
    while (this.frames.length && this.frames[this.frames.length - 1].sides[0].step >= step) this.frames.pop();
    if (this.count++ % this.every) return;
    this.frames.push(frame);
    if (this.frames.length > KEPT) {
      this.frames = this.frames.filter((_, i) => i % 2 === 0);
      this.every *= 2;
    }
  }

  /** The film as a GIF. Both pairs of players stand side by side. */
  async made(progress) {
    const { page } = this;
    const world = page.world;
    const frames = this.frames.filter((_, i) => i % Math.ceil(this.frames.length / LONGEST) === 0);
    const shown = new Set(LAYERS.filter((name) => !page.state.hidden.includes(name)));
    const count = frames[0].sides.length;
    const holder = element("div", { class: "unseen" });
    const canvas = element("canvas");
    Object.assign(canvas.style, { width: `${SIDE}px`, height: `${SIDE}px`, maxWidth: "none" });
    holder.append(canvas);
    document.body.append(holder);
    const whole = document.createElement("canvas");
    Object.assign(whole, { width: SIDE * count, height: SIDE });
    const c = whole.getContext("2d", { willReadFrequently: true });
    const pictures = frames.map((frame) => {
      c.fillStyle = palette().card;
      c.fillRect(0, 0, whole.width, whole.height);
      frame.sides.forEach((side, i) => {
        draw(canvas, world, { ...side, ...ofSide(frame.arrays, i) }, shown);
        c.drawImage(canvas, SIDE * i, 0, SIDE, SIDE);
      });
      c.fillStyle = palette().soft;
      c.font = "12px system-ui, sans-serif";
      c.fillText(`step ${frame.sides[0].step}`, 10, SIDE - 10);
      return c.getImageData(0, 0, whole.width, whole.height);
    });
    holder.remove();
    return gif(pictures, { progress });
  }
}

export function filmButton(page) {
  const button = element("button", { class: "button", type: "button", id: "film", disabled: page.film.frames.length < 2 }, "Save a film of what was seen");
  button.addEventListener("click", async () => {
    if (page.playing) page.play(false);
    button.disabled = true;
    const film = await page.film.made((share) => (button.textContent = `Making the film: ${Math.round(100 * share)}%`));
    save(film, `sparring-${page.state.world.name}.gif`);
    button.textContent = "Save a film of what was seen";
    button.disabled = false;
    announce("The film is saved");
  });
  return button;
}

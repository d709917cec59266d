// The dialogs: a link and other forms of the run, what a term computes, and the sheet to draw a world on.
import { announce, copy, element, find, openDialog, palette, save, sharp } from "../shared.js";
import { filmButton } from "./film.js";

/** Open the page's dialog with a title and some content. */
export function show(title, ...content) {
  const dialog = find("#dialog");
  find("#dialog-title").textContent = title;
  find("#dialog-body").replaceChildren(...content);
  openDialog(dialog);
  return dialog;
}

export const hide = () => find("#dialog").close();

function copyButton(text, what) {
  const button = element("button", { class: "button", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(text());
    button.textContent = done ? "Copied" : "Select it, and copy by hand";
    announce(done ? `${what} copied` : "The browser does not allow copying: select the text by hand");
    setTimeout(() => (button.textContent = "Copy"), 2500);
  });
  return button;
}

/** A link, a film, and the run as a recipe, as Python and as a command. */
export function openShare(page) {
  const link = element("input", { type: "text", class: "wide", id: "link", readonly: true, value: location.href, onfocus: (event) => event.target.select() });
  const text = element("pre", { tabindex: "0" }, "…");
  const texts = {};
  let chosen = "python";
  const kinds = { python: "as Python", recipe: "as recipe", command: "as command" };
  const buttons = Object.entries(kinds).map(([name, title]) => element("button", { class: "button", type: "button", "aria-pressed": String(name === chosen), "data-export": name, onclick: () => pick(name) }, title));
  const pick = (name) => {
    chosen = name;
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.export === name)));
    text.textContent = texts[name] || (name === "command" ? "A drawn world has no command: take the Python." : "…");
  };
  page.onExport = (message) => {
    Object.assign(texts, message);
    pick(chosen);
  };
  page.link.say("export", { side: page.chosen });
  const two = page.state.sides.length > 1 ? ` of players ${"AB"[page.chosen]}` : "";
  show("Share",
    element("div", { class: "stack" },
      element("div", { class: "field" }, element("label", { for: "link" }, "A link to these settings, for this server"), copyButton(() => location.href, "Link"), link),
      element("div", { class: "stack" }, element("h3", {}, `The run${two}`), element("p", { class: "small soft" }, "The Python has the changes that were made on the way: it gives the same bits."),
        element("div", { class: "row" }, element("div", { class: "group", role: "group", "aria-label": "Form" }, buttons), copyButton(() => text.textContent, "Text")), text),
      element("div", { class: "stack" }, element("h3", {}, "Pictures"), element("div", { class: "row" }, filmButton(page), pictureButton(page)))));
}

function pictureButton(page) {
  return element("button", { class: "button", type: "button", onclick: () => page.stage.views.forEach((view, i) => view.canvas.toBlob((blob) => save(blob, `sparring-${page.state.world.name}${i ? "-b" : ""}.png`))) }, "Save the picture");
}

/** The words of a term's own file: its equation, symbols and paper. */
export function openDocs(term) {
  show(term.name.replaceAll("_", " "), element("pre", { tabindex: "0" }, term.docs));
}

// --- drawing ---
const MOST = 1500;

/** A sheet to draw data and negatives on, with a mouse, a finger or the arrow keys. */
export function openDrawing(page) {
  const reach = page.catalogue.reach;
  const drawing = { dimensions: page.state.world.points?.[0]?.length ?? 2, points: [...(page.state.world.points ?? [])], negatives: [...(page.state.world.negatives ?? [])] };
  const canvas = element("canvas", { class: "sheet", tabindex: "0", role: "application", "aria-label": "Sheet to draw on: arrow keys move the brush, Space puts points there" });
  let brush = "points";
  let cursor = null;
  const note = element("p", { class: "small soft", role: "status" });
  const use = element("button", { class: "button primary", type: "button", onclick: () => {
    hide();
    page.state.world = { name: "drawn", options: {}, points: drawing.points, negatives: drawing.negatives };
    for (const side of page.state.sides) if (page.methodEntry(side.method).labelled) Object.assign(side, { method: "non_saturating", changes: {} });
    page.start();
  } }, "Use this world");
  const redraw = () => {
    const { context: c, width, height } = sharp(canvas);
    const colours = palette();
    c.clearRect(0, 0, width, height);
    const put = (point) => [((point[0] + reach) / (2 * reach)) * width, point.length > 1 ? ((reach - point[1]) / (2 * reach)) * height : height / 2];
    for (const [name, colour] of [["points", colours.data], ["negatives", colours.negative]]) {
      c.fillStyle = colour;
      for (const point of drawing[name]) {
        const [x, y] = put(point);
        if (name === "points") c.fillRect(x - 2, y - (point.length > 1 ? 2 : 14), 4, point.length > 1 ? 4 : 28);
        else c.fillRect(x - 3, y - (point.length > 1 ? 1 : 10), point.length > 1 ? 6 : 2, point.length > 1 ? 2 : 20);
      }
    }
    if (cursor) {
      c.strokeStyle = colours.accent;
      c.lineWidth = 2;
      c.beginPath();
      c.arc(...put(cursor), 8, 0, 7);
      c.stroke();
    }
    use.disabled = drawing.points.length < 3;
    note.textContent = `${drawing.points.length} points of data, ${drawing.negatives.length} negatives.`;
  };
  const add = (point) => {
    if (drawing[brush].length < MOST) drawing[brush].push(point.map((value) => Math.round(100 * Math.max(-reach, Math.min(reach, value))) / 100));
    redraw();
  };
  const placeOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [(2 * x - 1) * reach, (1 - 2 * y) * reach].slice(0, drawing.dimensions);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    cursor = null;
    add(placeOf(event));
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && add(placeOf(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, 0.15], ArrowDown: [0, -0.15] }[event.key];
    if (step) cursor = (cursor ?? [0, 0]).slice(0, drawing.dimensions).map((value, i) => Math.max(-reach, Math.min(reach, value + step[i])));
    else if (event.key === " ") for (const shift of [-0.05, 0, 0.05]) add((cursor ?? [0, 0].slice(0, drawing.dimensions)).map((value, i) => value + (i ? -shift : shift)));
    else return;
    event.preventDefault();
    redraw();
  });
  const choose = (name, of, values, set) => element("div", { class: "group", role: "group", "aria-label": name }, values.map(([value, title]) => {
    const button = element("button", { class: "button", type: "button", "aria-pressed": String(of() === value), onclick: () => {
      set(value);
      [...button.parentElement.children].forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
      redraw();
    } }, title);
    return button;
  }));
  const dimensions = choose("Dimensions", () => drawing.dimensions, [[2, "In a plane"], [1, "On a line"]], (value) => {
    Object.assign(drawing, { dimensions: value, points: [], negatives: [] });
    cursor = null;
    canvas.classList.toggle("line", value === 1);
  });
  canvas.classList.toggle("line", drawing.dimensions === 1);
  const clear = element("button", { class: "button quiet", type: "button", onclick: () => {
    Object.assign(drawing, { points: [], negatives: [] });
    redraw();
  } }, "Clear");
  show("Draw a world", element("div", { class: "stack" },
    element("p", { class: "soft" }, "Draw where data are. The generator learns to make points there; negatives are points that do not belong to the data."),
    element("div", { class: "row" }, dimensions, choose("Brush", () => brush, [["points", "Data"], ["negatives", "Negatives"]], (value) => (brush = value)), clear), canvas,
    element("div", { class: "row" }, note, element("span", { class: "space" }), use)));
  redraw();
}

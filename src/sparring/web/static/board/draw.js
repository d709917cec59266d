// New samples of a run's generator: seeds, a class, a truncation. Nothing is loaded before the button is pressed.

import { announce, copy, element } from "/static/shared.js";
import { post, Refused } from "./api.js";
import { title } from "./words.js";

export function draw(run) {
  const { classes, num_classes: count } = run.generator;
  const names = classes.length ? classes : Array.from({ length: Math.min(count, 1000) }, (_, k) => `class ${k}`);
  const id = (name) => `draw-${run.id}-${name}`;
  const field = (name, label, control, about = null) =>
    element(
      "div",
      { class: "field" },
      element("label", { for: id(name) }, label),
      element("span", { class: "wide" }, control),
      about ? element("span", { class: "about" }, about) : null,
    );

  const first = element("input", {
    type: "number",
    id: id("first"),
    min: "0",
    max: "9000000000000000",
    step: "1",
    value: "0",
    required: true,
  });
  const many = element("input", { type: "number", id: id("count"), min: "1", max: "64", step: "1", value: "16", required: true });
  const label = element(
    "select",
    { id: id("label") },
    element("option", { value: "each" }, "one of each"),
    names.map((name, k) => element("option", { value: String(k) }, name)),
  );
  const truncation = element("input", { type: "number", id: id("truncation"), min: "0.05", max: "100", step: "any", placeholder: "none" });
  const go = element("button", { class: "button primary", type: "submit" }, "Draw");
  const next = element("button", { class: "button", type: "button" }, "Next seeds");
  const said = element("p", { class: "small soft", role: "status" });
  const images = element("ul", { class: "drawn", "aria-label": "Drawn images" });
  const command = element("code", {});
  const copied = element("button", { class: "button quiet small", type: "button" }, "Copy");
  const how = element("p", { class: "command small", hidden: true }, command, " ", copied);
  const form = element(
    "form",
    { class: "drawform" },
    field("first", "First seed", first),
    field("count", "Images", many),
    count ? field("label", "Class", label) : null,
    field("truncation", "Truncation", truncation),
    element("div", { class: "row" }, go, next),
  );
  const place = element(
    "section",
    { class: "card draw", "aria-label": `Draw samples of ${title(run)}` },
    element(
      "header",
      {},
      element("h2", {}, "Draw samples"),
      element("span", { class: "soft small" }, `from the generator of step ${run.generator.step ?? "?"}`),
    ),
    element("div", { class: "body stack" }, form, said, images, how),
  );

  function asked() {
    return {
      first: Number(first.value),
      count: Number(many.value),
      label: !count ? null : label.value === "each" ? "each" : Number(label.value),
      truncation: truncation.value === "" ? null : Number(truncation.value),
    };
  }

  const isEach = () => count > 0 && label.value === "each";
  label.addEventListener("change", () => {
    many.disabled = isEach();
  });
  many.disabled = isEach();

  let isBusy = false;
  async function request() {
    if (isBusy || !form.reportValidity()) return;
    isBusy = true;
    go.setAttribute("aria-disabled", "true");
    const wanted = isEach() ? { ...asked(), count: Math.min(64, names.length) } : asked();
    said.textContent = images.children.length ? "Drawing …" : "Loading the generator: a few seconds the first time …";
    try {
      const found = await post(`/api/run/${run.id}/sample`, wanted);
      images.replaceChildren(...found.images.map((png, i) => tile(png, found.captions[i], found.size, isEach())));
      said.textContent = "";
      how.hidden = isEach();
      command.textContent = spelled(run, wanted, names);
      announce(`${found.images.length} images drawn`);
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof TypeError)) throw error;
      said.textContent = error instanceof Refused ? `Not drawn: ${error.message}` : "The server does not answer.";
    } finally {
      isBusy = false;
      go.removeAttribute("aria-disabled");
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    request();
  });
  next.addEventListener("click", () => {
    first.value = String(Number(first.value) + (isEach() ? 1 : Number(many.value)));
    request();
  });
  copied.addEventListener("click", async () => {
    copied.textContent = (await copy(command.textContent)) ? "Copied" : "Select it and copy";
    setTimeout(() => (copied.textContent = "Copy"), 2000);
  });
  return place;
}

function tile(png, caption, size, isEach) {
  const image = element("img", {
    src: `data:image/png;base64,${png}`,
    alt: caption,
    title: caption,
    width: String(size),
    height: String(size),
  });
  return element(
    "li",
    {},
    element(
      "figure",
      {},
      image,
      element("figcaption", { class: "small soft" }, isEach ? caption.slice(caption.indexOf(", ") + 2) : caption.split(", ")[0]),
    ),
  );
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`);

/** The command that draws the same images. */
function spelled(run, wanted, names) {
  const folder = new Map(run.about.rows).get("Folder") ?? run.folder;
  const last = wanted.first + wanted.count - 1;
  const seeds = last > wanted.first ? `${wanted.first}-${last}` : `${wanted.first}`;
  const label =
    wanted.label === null ? "" : ` --label ${quoted(run.generator.classes.length ? names[wanted.label] : String(wanted.label))}`;
  return `sparring sample ${quoted(folder)} --seeds ${seeds}${label}${wanted.truncation ? ` --truncation ${wanted.truncation}` : ""} --out samples.png`;
}

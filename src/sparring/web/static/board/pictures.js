// Galleries: small pictures that open large, with the next and the last one at the arrow keys.

import { element, openDialog } from "/static/shared.js";
import { sentence } from "./words.js";

/** A card of pictures, each { title, source }. */
export function gallery(name, pictures, remark = "") {
  const items = pictures.map((each, index) =>
    element(
      "li",
      {},
      element(
        "button",
        { class: "picture", type: "button", onclick: () => open(pictures, index) },
        element("img", { src: each.source, alt: "", loading: "lazy" }),
        element("span", { class: "small" }, sentence(each.title)),
      ),
    ),
  );
  return element(
    "section",
    { class: "card", "aria-label": name },
    element("header", {}, element("h2", {}, name)),
    element(
      "div",
      { class: "body stack" },
      remark ? element("p", { class: "soft small" }, remark) : null,
      element("ul", { class: "gallery" }, items),
    ),
  );
}

let dialog = null;
let shown = { pictures: [], index: 0 };

function open(pictures, index) {
  dialog ??= make();
  show(pictures, index);
  openDialog(dialog);
}

function show(pictures, index) {
  shown = { pictures, index: (index + pictures.length) % pictures.length };
  const { title, source } = pictures[shown.index];
  dialog.querySelector("h2").textContent = sentence(title);
  const image = dialog.querySelector("img");
  image.src = source;
  image.alt = sentence(title);
  dialog.querySelector(".at").textContent = `${shown.index + 1} of ${pictures.length}`;
}

function make() {
  const step = (by) => () => show(shown.pictures, shown.index + by);
  const made = element(
    "dialog",
    { class: "large", "aria-labelledby": "picture-name" },
    element(
      "header",
      {},
      element("h2", { id: "picture-name" }),
      element(
        "div",
        { class: "row" },
        element("span", { class: "at soft small number" }),
        element("button", { class: "button icon", type: "button", "aria-label": "Picture before", onclick: step(-1) }, "←"),
        element("button", { class: "button icon", type: "button", "aria-label": "Next picture", onclick: step(1) }, "→"),
        element("button", { class: "button", type: "button", "data-close": "" }, "Close"),
      ),
    ),
    element("div", { class: "body" }, element("img", { alt: "" })),
  );
  made.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1)();
    if (event.key === "ArrowRight") step(1)();
  });
  document.body.append(made);
  return made;
}

// What both pages need: elements, colours for canvases, the theme, messages for screen readers, copying and saving.

/** element("button", {class: "button", onclick: f}, "Play"): functions become listeners, booleans attributes, null nothing. */
export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(key.replace(/^on/, ""), value);
    else if (key in made && typeof made[key] !== "string" && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** An icon of a button: the path of a 24 x 24 drawing. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const find = (selector, within = document) => within.querySelector(selector);

/** A value kept in the browser; null where there is none, or where the browser keeps nothing. */
export function kept(key) {
  try {
    return localStorage.getItem(`sparring.${key}`);
  } catch {
    return null;
  }
}

export function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(`sparring.${key}`);
    else localStorage.setItem(`sparring.${key}`, value);
  } catch {
    // a browser may keep nothing for this page
  }
}

// --- light and dark ---
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const themeListeners = new Set();

export const isDark = () => (document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";

export function setTheme(name) {
  if (name === "light" || name === "dark") document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  keep("theme", name);
  themeListeners.forEach((listener) => listener());
}

/** Call this when the colours change. */
export function onTheme(listener) {
  themeListeners.add(listener);
}

prefersDark.addEventListener("change", () => themeListeners.forEach((listener) => listener()));
if (kept("theme")) setTheme(kept("theme"));

/** A button that switches between light and dark. */
export function themeButton() {
  const sun = "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 1h2v3h-2zM11 20h2v3h-2zM1 11h3v2H1zM20 11h3v2h-3zM4.2 2.8l2.1 2.1-1.4 1.4-2.1-2.1zM19.1 17.7l2.1 2.1-1.4 1.4-2.1-2.1zM2.8 19.8l2.1-2.1 1.4 1.4-2.1 2.1zM17.7 4.9l2.1-2.1 1.4 1.4-2.1 2.1z";
  const moon = "M20.7 14.4A9 9 0 0 1 9.6 3.3a9 9 0 1 0 11.1 11.1z";
  const button = element("button", { class: "button quiet icon", type: "button", onclick: () => setTheme(isDark() ? "light" : "dark") });
  const show = () => {
    button.replaceChildren(icon(isDark() ? sun : moon));
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    button.title = button.getAttribute("aria-label");
  };
  onTheme(show);
  show();
  return button;
}

/** The colours of the present theme by name, such as `data`, for drawing on a canvas. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "card", "well", "line", "edge", "ink", "soft", "accent", "data", "fake", "third", "negative", "fourth", "fifth", "alarm"];
  const shades = ["shade-real", "shade-even", "shade-fake"];
  const found = Object.fromEntries([...names, ...shades].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...found, series: [found.data, found.fake, found.third, found.negative, found.fourth, found.fifth] };
}

/** "#rrggbb" as [r, g, b]. */
export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Make a canvas as sharp as the screen. Returns its context in units of CSS pixels, with its width and height. */
export function sharp(canvas, most = 2) {
  const ratio = Math.min(window.devicePixelRatio || 1, most);
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const [w, h] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height, ratio };
}

// --- words ---
let region = null;

/** Say something to screen readers, after what they are saying now. */
export function announce(text) {
  region ??= document.body.appendChild(element("div", { class: "unseen", role: "status", "aria-live": "polite" }));
  region.textContent = region.textContent === text ? `${text} ` : text;
}

/** A number as people read it: three significant digits, thousands apart. */
export function shown(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return value.toLocaleString("en").replace("-", "−");
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1).replace("-", "−").replace("e+", "e");
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 6 }).replace("-", "−");
}

export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // the page is not secure, or the browser does not allow it
  }
}

/** Offer a file to the user. */
export function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Keep a slider's filled part in step with its value. */
export function fillSlider(input) {
  const [low, high] = [Number(input.min), Number(input.max)];
  input.style.setProperty("--share", `${high > low ? (100 * (input.value - low)) / (high - low) : 0}%`);
}

/** Show a dialog, and close it by its button, the Escape key and a click beside it. */
export function openDialog(dialog) {
  if (!dialog.dataset.ready) {
    dialog.dataset.ready = "yes";
    dialog.addEventListener("click", (event) => {
      const box = dialog.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
      if ((event.target === dialog && !inside) || event.target.closest("[data-close]")) dialog.close();
    });
  }
  dialog.showModal();
}

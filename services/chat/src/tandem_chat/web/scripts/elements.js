// Builds and finds DOM nodes. Strings always become text nodes, so nothing a model or a person writes can turn into markup.

const SVG = "http://www.w3.org/2000/svg";

export function byId(id) {
  return document.getElementById(id);
}

/** Attributes named `on…` become listeners; `false`, `null` and `undefined` leave the attribute (or child) out. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Shows a line of text, or hides its element when there is nothing to say. */
export function showText(node, text) {
  node.textContent = text ?? "";
  node.hidden = !text;
}

const HANGUL = /[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]/;

/** Korean text gets its own voice, fonts and line breaking (at spaces, not inside words). */
export function markLanguage(node, text) {
  if (!node.lang && HANGUL.test(text)) node.lang = "ko";
}

// What the parts of the page are made of: elements whose texts are texts, never markup.

import { printable } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svgElement(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value);
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== "")
      made.append(typeof child === "object" ? child : printable(child));
  return made;
}

export function section(title, id, ...children) {
  const heading = element("h2", { id: `${id}-title` }, title);
  return element("section", { id, "aria-labelledby": `${id}-title` }, heading, ...children);
}

// A command with a button that copies it; where that is not possible it can be marked as any text.
export function command(text) {
  return element("div", { class: "command" }, element("code", {}, text),
    element("button", { type: "button", class: "copy" }, "copy"));
}

// A word as a shell takes it for one.
export function quoted(word) {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// One listener for all buttons: elements are kept when what they say changes.
export function listen(root) {
  root.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      button.textContent = "copied";
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      button.textContent = "press Ctrl-C";
    }
  });
}

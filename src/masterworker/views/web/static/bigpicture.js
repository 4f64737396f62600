// Who was busy when: a row for each worker or host, a cell for each slot; hue tag, depth busy.

import { element, section } from "./parts.js";
import { bytesOf } from "./patch.js";
import { table } from "./tables.js";
import { numberText, tagText, timeText } from "./words.js";

const FULL = 63;
const FAILED = 64;
const LOST = 128;
// Pixels of all rows, and of one at most; marks are signs of this many pixels.
const TALL = 440;
const ROW = 15;
const SIGN = 7;
const shown = { view: null, row: -1, slot: -1, spans: null, lists: false };
const LISTS = "; a click, or Enter, lists the worker's latest tasks";
// Spans of a worker that are listed.
const LISTED = 20;

function slotsOf(view) {
  return view.histories.slots + 1;
}

function heightOf(view) {
  return Math.max(1, Math.min(ROW, Math.floor(TALL / view.rows.heads.length)));
}

export function bigPicture(view) {
  const { heads, of } = view.rows;
  if (!heads.length || !view.histories.width) return null;
  view.rows.cells = view.rows.cells.map(bytesOf);
  const marks = marksOf(view);
  const failed = marks.filter((mark) => mark.failed).length;
  const lost = marks.length - failed;
  const what = `${numberText(heads.length)} rows of ${of} over ${timeText(view.age)}`;
  const label = `${what}; cells with failures: ${failed}, with losses: ${lost}. Arrow keys move through it`;
  const canvas = element("canvas", {
    id: "big-picture", width: slotsOf(view), height: heads.length, tabindex: "0", role: "img", "aria-label": label,
  });
  const legend = element("ul", { class: "legend" },
    element("li", {}, "hue: tag, as above"), element("li", {}, "depth: how busy"),
    element("li", {}, "✗ a task failed"), element("li", {}, "▼ a worker was lost"));
  const axis = element("div", { class: "axis" }, element("span", {}, "beginning"), element("span", {}, timeText(view.age)));
  const title = element("span", {}, "Who was busy when ", element("small", {}, what));
  return section(title, "rows", element("div", { class: "picture" }, canvas, element("canvas", { id: "signs", "aria-hidden": "true" })),
    axis, element("p", { id: "cell", class: "dim", "aria-live": "polite" }, said(view)), legend, spansList());
}

// The latest spans of the worker that was clicked.
function spansList() {
  if (!shown.spans) return null;
  const { name, spans, error } = shown.spans;
  if (error) return element("p", { class: "dim" }, error);
  const rows = spans.slice(-LISTED).reverse().map(([tag, begin, end, tasks, busy]) => [
    tagText(tag), timeText(begin), timeText(end), numberText(tasks), timeText(busy),
  ]);
  const title = element("h3", {}, `Latest tasks of ${name}`);
  if (!rows.length) return element("div", {}, title, element("p", {}, "none has been reported"));
  return element("div", {}, title, table("latest tasks", ["tag", "#from", "#to", "#tasks", "#busy"], rows));
}

// Cells that failures and losses are in; they are looked for once for each view.
const found = { view: null, marks: [] };

function marksOf(view) {
  if (found.view === view) return found.marks;
  const marks = [];
  view.rows.cells.forEach((each, row) => {
    const cells = bytesOf(each);
    for (let at = 1; at < cells.length; at += 2)
      if (cells[at] > FULL) marks.push({ row, slot: at >> 1, failed: !(cells[at] & LOST) });
  });
  Object.assign(found, { view, marks });
  return marks;
}

// What the cell is that was pointed at.
function said(view) {
  const { heads, cells, width } = { ...view.rows, width: view.histories.width };
  const { row, slot } = shown;
  if (row < 0 || row >= heads.length) return `Point at a cell, or move with the arrow keys${shown.lists ? LISTS : ""}.`;
  const [name, worker, hosts] = heads[row];
  const who = worker >= 0 ? `${worker}: ${name}` : hosts > 1 ? `${name} and ${hosts - 1} more hosts` : name;
  const bytes = bytesOf(cells[row] || "");
  const [place, part] = [bytes[2 * slot] || 0, bytes[2 * slot + 1] || 0];
  const tag = place && view.tags[place - 1] ? `${tagText(view.tags[place - 1].name)}, ` : "";
  const events = `${part & FAILED ? ", a task failed" : ""}${part & LOST ? ", a worker was lost" : ""}`;
  const now = view.worker_list.find((each) => each.id === worker && each.tag);
  const at = now ? `; it is now at ${tagText(now.task || now.tag)}` : "";
  return `${who}, ${timeText(slot * width)} to ${timeText((slot + 1) * width)}: ${tag}${Math.round((100 * (part & FULL)) / FULL)} % busy${events}${at}`;
}

// Paints what `bigPicture` has made room for; elements are in the document then. A cell is a pixel,
// and rows are made as high as they are to be by the style.
export function paint(root, view, hues) {
  shown.view = view;
  const canvas = root.querySelector("#big-picture");
  if (!canvas) return;
  const [slots, height] = [slotsOf(view), heightOf(view)];
  canvas.style.setProperty("height", `${height * view.rows.heads.length}px`);
  const colours = coloursOf(root, view, hues);
  const image = new ImageData(slots, view.rows.heads.length);
  const pixels = new Uint32Array(image.data.buffer);
  view.rows.cells.forEach((each, row) => {
    const cells = bytesOf(each);
    const number = Math.min(slots, cells.length / 2);
    for (let slot = 0; slot < number; slot += 1) {
      const busy = cells[2 * slot + 1] & FULL;
      if (busy) pixels[row * slots + slot] = colours(cells[2 * slot])[busy];
    }
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  signs(root, view, height);
}

// Returns a function: for the place of a tag the pixels of all degrees of being busy.
function coloursOf(root, view, hues) {
  const style = getComputedStyle(root);
  const known = {};
  return (place) => {
    if (known[place]) return known[place];
    const name = place ? view.tags[place - 1]?.name : null;
    const hue = style.getPropertyValue(`--hue${hues.get(name) || 9}`).trim();
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hue.slice(at, at + 2), 16));
    known[place] = Uint32Array.from({ length: FULL + 1 }, (_, busy) => {
      const alpha = Math.round(70 + (185 * busy) / FULL);
      return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    });
    return known[place];
  };
}

function signs(root, view, height) {
  const over = root.querySelector("#signs");
  const wide = root.querySelector("#big-picture").clientWidth;
  const step = wide / slotsOf(view);
  over.width = wide;
  over.height = height * view.rows.heads.length;
  const context = over.getContext("2d");
  const style = getComputedStyle(root);
  gaps(context, height, view.rows.heads.length, wide, style);
  const taken = new Set();
  const [failures, losses] = [new Path2D(), new Path2D()];
  for (const { row, slot, failed } of marksOf(view)) {
    const x = Math.max(SIGN / 2, Math.min(wide - SIGN / 2, (slot + 0.5) * step));
    const y = (row + 0.5) * height;
    const place = Math.round(x / SIGN) + 1000 * Math.round(y / SIGN);
    if (failed && taken.has(place)) continue;
    taken.add(place);
    if (failed) cross(failures, x, y);
    else triangle(losses, x, y);
  }
  stroke(context, failures, style, "--bad");
  stroke(context, losses, style, "--text");
  context.fillStyle = style.getPropertyValue("--text");
  context.fill(losses);
  if (shown.row >= 0) {
    context.strokeStyle = style.getPropertyValue("--text");
    context.strokeRect(shown.slot * step, shown.row * height, Math.max(3, step), Math.max(3, height));
  }
}

function gaps(context, height, rows, wide, style) {
  if (height < 5) return;
  context.fillStyle = style.getPropertyValue("--ground");
  for (let row = 1; row < rows; row += 1) context.fillRect(0, row * height - 1, wide, 1);
}

const HALF = SIGN / 2 - 0.5;

function cross(path, x, y) {
  path.moveTo(x - HALF, y - HALF);
  path.lineTo(x + HALF, y + HALF);
  path.moveTo(x + HALF, y - HALF);
  path.lineTo(x - HALF, y + HALF);
}

function triangle(path, x, y) {
  path.moveTo(x - HALF, y - HALF);
  path.lineTo(x + HALF, y - HALF);
  path.lineTo(x, y + HALF);
  path.closePath();
}

// With a margin, so that a sign is seen on any hue.
function stroke(context, path, style, colour) {
  for (const [wide, name] of [[3.5, "--ground"], [1.6, colour]]) {
    context.lineWidth = wide;
    context.strokeStyle = style.getPropertyValue(name);
    context.stroke(path);
  }
}

// Pointing and arrow keys.
export function listenToPicture(root, again, spansOf) {
  shown.lists = Boolean(spansOf);
  const point = (event) => {
    if (event.target.id !== "big-picture" || !shown.view) return;
    const box = event.target.getBoundingClientRect();
    move(
      Math.floor(((event.clientY - box.top) / box.height) * shown.view.rows.heads.length),
      Math.floor(((event.clientX - box.left) / box.width) * slotsOf(shown.view)),
    );
  };
  const move = (row, slot) => {
    const before = [shown.row, shown.slot];
    shown.row = Math.max(0, Math.min(shown.view.rows.heads.length - 1, row));
    shown.slot = Math.max(0, Math.min(slotsOf(shown.view) - 1, slot));
    if (before[0] === shown.row && before[1] === shown.slot) return;
    root.querySelector("#cell").textContent = said(shown.view);
    signs(root, shown.view, heightOf(shown.view));
  };
  const list = async () => {
    const head = shown.view.rows.heads[shown.row];
    if (!spansOf || !head || head[1] < 0) return;
    const told = await spansOf(head[1]).catch((error) => ({ error: String(error) }));
    shown.spans = { name: `${head[1]}: ${head[0]}`, ...told };
    again();
  };
  root.addEventListener("click", (event) => {
    point(event);
    if (event.target.id === "big-picture" && shown.view) list();
  });
  root.addEventListener("mousemove", point);
  root.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.target.id !== "big-picture") return;
    if (event.key === "Enter") list();
    if (!step) return;
    event.preventDefault();
    if (shown.row < 0) move(0, slotsOf(shown.view) - 1);
    else move(shown.row + step[0], shown.slot + step[1]);
  });
}

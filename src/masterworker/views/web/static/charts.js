// Tasks per second and workers over the whole job, as plain SVG.

import { element, svgElement } from "./parts.js";
import { swatch } from "./tables.js";
import { numberText, rateText, tagText, timeText } from "./words.js";

const WIDTH = 600;
const HEIGHT = 100;

// Which hue each tag has, of eight: it keeps it as long as it is among the busiest.
const hues = new Map();

export function huesOf(view) {
  const names = Object.keys(view.histories.tags).slice(0, 8);
  for (const name of [...hues.keys()]) if (!names.includes(name)) hues.delete(name);
  const taken = new Set(hues.values());
  for (const name of names) {
    if (hues.has(name)) continue;
    const free = [1, 2, 3, 4, 5, 6, 7, 8].find((hue) => !taken.has(hue));
    taken.add(free);
    hues.set(name, free);
  }
  return hues;
}

// What came in each slot, from sums at the ends of slots.
function steps(column) {
  return column.map((value, n) => Math.max(0, value - (n ? column[n - 1] : 0)));
}

function path(lower, upper) {
  const point = (value, n) => `${n},${value.toFixed(2)}`;
  const forth = upper.flatMap((value, n) => [point(value, n), point(value, n + 1)]);
  const back = lower.flatMap((value, n) => [point(value, n), point(value, n + 1)]).reverse();
  return `M${forth.join("L")}L${back.join("L")}Z`;
}

function chart(name, label, slots, most, shapes, from, to) {
  const top = element("div", { class: "axis" }, element("span", {}, name), element("span", {}, most));
  const drawn = svgElement("svg", {
    class: "chart", viewBox: `0 0 ${Math.max(1, slots)} ${HEIGHT}`, preserveAspectRatio: "none",
    role: "img", "aria-label": label,
  }, shapes);
  const bottom = element("div", { class: "axis" }, element("span", {}, from), element("span", {}, to));
  return element("figure", {}, top, drawn, bottom);
}

export function chartsSection(view, hues) {
  const { width, slots, tags } = view.histories;
  if (!slots) return null;
  const names = Object.keys(tags);
  const settled = names.map((name) => {
    const failed = steps(tags[name].failed);
    return steps(tags[name].done).map((value, n) => (value + failed[n]) / width);
  });
  const workers = sums(names.map((name) => tags[name].workers), slots);
  const waiting = sums(names.map((name) => tags[name].waiting), slots);
  const rate = sums(settled, slots);
  const end = timeText(view.age);
  const rates = chart("tasks per second", `tasks per second, ${rateText(Math.max(...rate))} at most`,
    slots, `${rateText(Math.max(...rate))} at most`, areas(settled, names, hues, slots), "beginning", end);
  const most = Math.max(...workers);
  const busy = chart("busy workers", `busy workers, ${most} at most`, slots,
    `${numberText(most)} at most`, line(workers), "beginning", end);
  const longest = Math.max(...waiting);
  const left = chart("tasks that wait", `tasks that wait, ${longest} at most`, slots,
    `${numberText(longest)} at most`, line(waiting), "beginning", end);
  const legend = element("ul", { class: "legend" },
    names.map((name) => element("li", {}, swatch(hues, name), tagText(name))));
  return element("section", { id: "charts", "aria-label": "over the whole job" },
    element("div", { class: "charts" }, rates, busy, left), legend);
}

function sums(columns, slots) {
  return Array.from({ length: slots }, (_, n) => columns.reduce((sum, each) => sum + (each[n] || 0), 0));
}

function areas(columns, names, hues, slots) {
  const most = Math.max(1e-9, ...sums(columns, slots));
  let below = new Array(slots).fill(0);
  return columns.map((column, n) => {
    const upper = below.map((value, slot) => value + column[slot]);
    const place = (values) => values.map((value) => HEIGHT - (HEIGHT * value) / most);
    const made = svgElement("path", { class: `h${hues.get(names[n]) || 9}`, d: path(place(below), place(upper)) });
    below = upper;
    return made;
  });
}

function line(values) {
  const most = Math.max(1e-9, ...values);
  const place = values.map((value) => HEIGHT - (0.96 * HEIGHT * value) / most);
  const points = place.flatMap((value, n) => [`${n},${value.toFixed(2)}`, `${n + 1},${value.toFixed(2)}`]);
  return [
    svgElement("path", { class: "area", d: path(place.map(() => HEIGHT), place) }),
    svgElement("path", { class: "line", d: `M${points.join("L")}` }),
  ];
}

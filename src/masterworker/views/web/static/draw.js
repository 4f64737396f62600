// Draws a job from what is known of it. Needs nothing else: a report has the same parts.

import { bigPicture, listenToPicture, paint } from "./bigpicture.js";
import { chartsSection, huesOf } from "./charts.js";
import { command, element, listen, quoted } from "./parts.js";
import { failuresSection, hostsSection, longestSection, tagsSection, workersSection } from "./tables.js";
import { clockText, numberText, printable } from "./words.js";

// What is said of each state, and how it looks; a state of a job that goes on has none.
const STATES = {
  silent: ["busy", "The master does not answer"],
  gone: ["bad", "The master is gone: this is how the job stood last"],
  ended: ["", "The job is over"],
  refused: ["bad", "Refused"],
  unreachable: ["bad", "No connection"],
};

function draw(root, view, state) {
  const parts = [];
  const isLate = ["gone", "unreachable", "silent"].includes(state.state);
  if (view) parts.push(element("h1", { class: "headline" }, view.headline));
  else parts.push(element("h1", { class: "headline" }, "masterworker"));
  parts.push(stateBox(view, state));
  if (view) parts.push(...job(view, isLate));
  const made = element("main", { id: "page" }, parts);
  merge(root, made);
  if (view) paint(root, view, huesOf(view));
  document.title = `${isLate ? "✗ " : ""}${view ? titleText(view) : "masterworker"}`;
}

// Makes a page of an element: what is clicked and typed there is heard. Returns what draws it.
// `spansOf` asks for the latest spans of a worker, where there is one to ask.
export function pageIn(root, spansOf) {
  const latest = { view: null, state: null };
  const again = () => draw(root, latest.view, latest.state);
  listen(root);
  listenToPicture(root, again, spansOf);
  addEventListener("resize", () => latest.state && again());
  return (view, state) => {
    Object.assign(latest, { view, state });
    again();
  };
}

function titleText(view) {
  const settled = view.done + view.failed + view.cancelled;
  const part = view.asked ? `${Math.floor((100 * settled) / view.asked)} % ` : "";
  return printable(`${part}${view.label}${view.failed ? ` ✗ ${numberText(view.failed)}` : ""}`);
}

function stateBox(view, state) {
  const known = STATES[state.state];
  if (!known) return null;
  const since = state.at ? `as of ${clockText(state.at)}` : "";
  return element("div", { class: `state ${known[0]}`, role: known[0] ? "alert" : "note" },
    element("b", {}, known[1]), element("span", {}, [state.said, since].filter(Boolean).join("; ")));
}

function job(view, isLate) {
  const hues = huesOf(view);
  return [
    bar(view),
    view.note ? element("p", { class: "note" }, view.note) : null,
    view.ended || isLate ? null : waits(view),
    view.troubles.map((text) => element("div", { class: "trouble", role: "alert" }, element("b", {}, "! Trouble"), text)),
    chartsSection(view, hues),
    tagsSection(view, hues),
    bigPicture(view),
    workersSection(view),
    longestSection(view),
    hostsSection(view),
    failuresSection(view),
  ];
}

// What is to be typed where there are no workers, and what a job waits for that does nothing.
function waits(view) {
  const label = quoted(view.label);
  if (!view.workers)
    return element("div", { class: "state busy" }, element("b", {}, view.hosts.length ? "No workers any more" : "No workers yet"),
      "Start some, here or on other machines:",
      command(`task_manager worker ${label} -n auto`),
      command(`task_manager ticket ${label} | ssh HOST task_manager worker --ticket - -n auto`));
  const left = view.waiting + view.in_hand;
  if (left) return null;
  const what = view.asked ? "All tasks are done, and the program has not ended" : "No task has been asked for";
  return element("div", { class: "state" }, element("b", {}, "The workers wait"), `${what}.`);
}

function bar(view) {
  const asked = Math.max(1, view.asked);
  const parts = [["done", view.done, "done"], ["failed", view.failed + view.cancelled, "failed or cancelled"], ["hand", view.in_hand, "in hand"]];
  const pieces = parts.filter(([, number]) => number).map(([kind, number]) =>
    element("span", { class: kind, "data-share": Math.max(0.4, (100 * number) / asked).toFixed(2) }));
  const legend = [...parts, ["rest", view.waiting, "waiting"]].map(([kind, number, text]) =>
    element("li", {}, element("span", { class: `key ${kind}` }), `${numberText(number)} ${text}`));
  const label = `${numberText(view.done)} of ${numberText(view.asked)} tasks done`;
  return element("div", {}, element("div", { class: "bar", role: "img", "aria-label": label }, pieces),
    element("ul", { class: "legend" }, legend));
}

// Makes a tree like another one, and leaves what is the same: focus, marks and scrolling stay.
function merge(old, made) {
  for (const { name } of [...old.attributes])
    if (!made.hasAttribute(name) && name !== "open" && name !== "style") old.removeAttribute(name);
  for (const { name, value } of made.attributes)
    if (old.getAttribute(name) !== value && old.id !== "signs") old.setAttribute(name, value);
  if (made.dataset.share) old.style.setProperty("width", `${made.dataset.share}%`);
  const wanted = [...made.childNodes];
  wanted.forEach((child, n) => {
    const there = old.childNodes[n];
    if (!there) old.append(settled(child));
    else if (isLike(there, child)) mergeNode(there, child);
    else there.replaceWith(settled(child));
  });
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

function isLike(there, child) {
  return there.nodeName === child.nodeName && (there.id || "") === (child.id || "");
}

function mergeNode(there, child) {
  if (there.nodeType === 1) merge(there, child);
  else if (there.nodeValue !== child.nodeValue) there.nodeValue = child.nodeValue;
}

// Widths are set here, since a policy without inline styles refuses the attribute.
function settled(node) {
  for (const each of node.nodeType === 1 ? [node, ...node.querySelectorAll("[data-share]")] : [])
    if (each.dataset.share) each.style.setProperty("width", `${each.dataset.share}%`);
  return node;
}

// Tables of tags, hosts and workers, and the list of failures. Which hosts are slow and which
// workers silent, and in which order they matter, is in what the page is sent.

import { command, element, quoted, section, svgElement } from "./parts.js";
import { memoryText, numberText, tagText, timeText } from "./words.js";

const LONGEST = 10;

// A table; columns that are numbers are named with a "#" in front.
export function table(label, titles, rows) {
  const isNumber = titles.map((title) => title.startsWith("#"));
  const head = titles.map((title, n) =>
    element("th", { scope: "col", class: isNumber[n] && "number" }, title.replace("#", "")),
  );
  const body = rows.map((row) =>
    element("tr", {}, row.map((cell, n) =>
      element("td", { class: isNumber[n] ? "number" : n ? null : "name" }, cell),
    )),
  );
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `table of ${label}` },
    element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)),
  );
}

export function swatch(hues, tag) {
  const hue = hues.get(tag) || 9;
  return element("span", { class: `swatch h${hue}`, "aria-hidden": "true" }, hue < 9 ? hue : "·");
}

function histogram(tag) {
  const classes = tag.histogram;
  if (!classes.length) return "";
  const place = (lower) => Math.log2(lower);
  const first = place(classes[0][0]);
  const span = Math.max(8, place(classes.at(-1)[0]) - first + 1);
  const most = Math.max(...classes.map(([, number]) => number));
  const bars = classes.map(([lower, number]) => {
    const height = Math.max(1.5, (22 * number) / most);
    const x = (130 * (place(lower) - first)) / span;
    return svgElement("rect", { x: x.toFixed(1), y: 24 - height, width: 3, height });
  });
  const ends = `${timeText(classes[0][0])} to ${timeText(classes.at(-1)[0])}`;
  return svgElement(
    "svg",
    { class: "histogram", viewBox: "0 0 130 24", role: "img", "aria-label": `durations: ${ends}` },
    svgElement("title", {}, ends),
    bars,
  );
}

export function tagsSection(view, hues) {
  const shown = view.tags.filter((tag) => tag.asked).sort((a, b) => b.busy - a.busy);
  if (!shown.length) return null;
  const all = shown.reduce((sum, tag) => sum + tag.busy, 0) || 1;
  const rows = shown.map((tag) => [
    element("span", {}, swatch(hues, tag.name), tagText(tag.name)),
    numberText(tag.waiting),
    numberText(tag.in_hand),
    numberText(tag.done),
    tag.failed ? element("span", { class: "bad" }, `✗ ${numberText(tag.failed)}`) : "0",
    `${numberText(tag.busy_workers)}`,
    tag.executed ? timeText(tag.median) : "",
    tag.executed ? timeText(tag.p99) : "",
    `${Math.round((100 * tag.busy) / all)} %`,
    histogram(tag),
    tag.when || "",
  ]);
  const titles = ["tag", "#waiting", "#in hand", "#done", "#failed", "#workers", "#median", "#99 %"];
  titles.push("#share of time", "durations (logarithmic)", "when");
  return section("Tags", "tags", table("tags", titles, rows));
}

export function hostsSection(view) {
  if (!view.hosts.length) return null;
  const rows = view.hosts.map((host) => {
    const mean = host.tasks ? timeText(host.busy / host.tasks) : "";
    return [
      host.name,
      numberText(host.workers),
      host.lost ? element("span", { class: "bad" }, `✗ ${numberText(host.lost)}`) : "0",
      numberText(host.tasks),
      host.slow ? element("span", { class: "bad" }, `! slow: ${mean}`) : mean,
      timeText(host.busy),
      memoryText(host.memory),
    ];
  });
  const more = view.more_hosts ? element("p", { class: "dim" }, `and ${view.more_hosts} more`) : null;
  const titles = ["host", "#workers", "#lost", "#tasks", "#mean", "#busy", "#memory"];
  return section("Hosts", "hosts", table("hosts", titles, rows), more);
}

function sinceText(worker, view) {
  return worker.tag ? timeText(Math.max(0, view.age - worker.since)) : "";
}

export function workersSection(view) {
  if (!view.worker_list.length) return null;
  const rows = view.worker_list.slice(0, 2 * LONGEST).map((worker) => [
    `${worker.id}: ${worker.info}`,
    worker.silent
      ? element("span", { class: "bad" }, `! silent for ${timeText(view.age - worker.heard)}`)
      : worker.tag ? "busy" : "idle",
    worker.tag ? tagText(worker.task || worker.tag) : "",
    sinceText(worker, view),
    numberText(worker.tasks),
    worker.tasks ? timeText(worker.busy / worker.tasks) : "",
    memoryText(worker.memory),
  ]);
  const title = element("span", {}, "Slow and silent workers ",
    element("small", {}, `${rows.length} of ${numberText(view.workers)}`));
  const titles = ["worker", "state", "is at", "#since", "#tasks", "#mean", "#memory"];
  return section(title, "workers", table("workers", titles, rows));
}

export function longestSection(view) {
  const busy = view.worker_list.filter((worker) => worker.task);
  if (!busy.length || view.ended) return null;
  const shown = busy.sort((a, b) => a.since - b.since).slice(0, LONGEST);
  const label = quoted(view.label);
  const rows = shown.map((worker) => [
    tagText(worker.task),
    sinceText(worker, view),
    `${worker.id}: ${worker.info}`,
    command(`task_manager explain ${label} ${quoted(tagText(worker.task))} --stack`),
  ]);
  return section("Tasks that run longest", "longest",
    table("tasks", ["task", "#since", "worker", "what has happened, and where it is"], rows));
}

export function failuresSection(view) {
  if (!view.failures.length) return null;
  const label = quoted(view.label);
  const ranked = [...view.failures].sort((a, b) => b.number - a.number);
  const kinds = ranked.map((kind) => {
    const text = kind.text ? `${kind.type}: ${kind.text}` : kind.type;
    const when = `${timeText(kind.first)} to ${timeText(kind.last)} after the beginning`;
    return element("details", { id: `failure-${kind.order}` },
      element("summary", {}, element("b", { class: "bad" }, `✗ ${numberText(kind.number)} ×`), " ", text,
        element("span", { class: "dim" }, `${tagText(kind.tag)}; ${kind.hosts.join(", ")}; ${when}`)),
      kind.traceback ? element("pre", { tabindex: "0" }, kind.traceback) : null,
      kind.tasks.map((task) => command(`task_manager replay ${label} ${quoted(tagText(task))} --pdb`)),
    );
  });
  return section("Failures", "failures", kinds);
}

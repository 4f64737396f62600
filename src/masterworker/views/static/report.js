// A report: the parts of the page, frozen, and what only a report has. It asks for nothing.

import { pageIn } from "./draw.js";
import { element, section } from "./parts.js";
import { table } from "./tables.js";
import { clockText, memoryText, numberText, tagText, timeText } from "./words.js";

const EVENTS = 200;

function lostSection(view) {
  const figures = [
    ["workers that were lost", view.lost],
    ["attempts that were followed by another one", view.repeated],
    ["second copies of slow tasks", view.copies],
    ["reports that came too late or twice", view.duplicates],
    ["tasks that were cancelled", view.cancelled],
  ];
  const bad = view.events.filter((event) => ["lost", "trouble"].includes(event.kind));
  const rows = bad.slice(0, EVENTS).map((event) =>
    [timeText(event.at), event.kind, event.number > 1 ? `${numberText(event.number)}, as: ${event.text}` : event.text]);
  const more = bad.length > EVENTS ? element("p", { class: "dim" }, `and ${bad.length - EVENTS} more`) : null;
  return section("What was lost and repeated", "lost",
    table("figures", ["what", "#number"], figures.map(([text, number]) => [text, numberText(number)])),
    rows.length ? table("losses and troubles", ["after", "what", ""], rows) : null, more);
}

function allWorkersSection(view, workers, more) {
  if (!workers.length) return null;
  const rows = workers.map((worker) => {
    const end = worker.left === null ? view.age : worker.left;
    const part = end > worker.joined ? `${Math.round((100 * worker.busy) / (end - worker.joined))} %` : "";
    return [`${worker.id}: ${worker.info}`, timeText(worker.joined),
      worker.left === null ? "" : timeText(worker.left), numberText(worker.tasks),
      worker.tasks ? timeText(worker.busy / worker.tasks) : "", timeText(worker.busy), part, memoryText(worker.memory)];
  });
  const titles = ["worker", "#joined after", "#left after", "#tasks", "#mean", "#busy", "#busy part", "#memory"];
  return section("Workers", "all-workers", table("all workers", titles, rows),
    more ? element("p", { class: "dim" }, `and ${numberText(more)} more, which were busy for a shorter time`) : null);
}

function aboutSection(view, about) {
  const rows = [["began", clockText(view.began)], ["took", timeText(view.age)], ...about];
  return section("About this job", "about", table("about this job", ["", ""], rows));
}

const report = JSON.parse(document.getElementById("data").textContent);
pageIn(document.getElementById("page"))(report.view, report.state);
document.title = `${tagText(report.view.label)}: report`;
document.getElementById("more").append(...[
  lostSection(report.view),
  allWorkersSection(report.view, report.workers, report.more_workers),
  aboutSection(report.view, report.about),
].filter(Boolean));

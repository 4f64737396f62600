// The reverse of `digest.difference`: what a page has, and what has changed, make what it shows.

const KEYS = { tags: "name", hosts: "name", worker_list: "id", failures: "order", events: "order" };

export function patched(before, changes) {
  const after = { ...before };
  for (const [name, value] of Object.entries(changes)) {
    if (name in KEYS) after[name] = patchedList(before[name], value, KEYS[name]);
    else if (name === "histories") after[name] = patchedHistories(before[name], value);
    else if (name === "rows") after[name] = patchedRows(before[name], value);
    else after[name] = value;
  }
  return after;
}

function patchedList(before, changes, key) {
  const known = new Map(before.map((each) => [each[key], each]));
  for (const each of changes.new) known.set(each[key], each);
  return changes.order.map((name) => known.get(name));
}

function patchedHistories(before, changes) {
  if (!changes.first) return changes;
  const tags = {};
  for (const [tag, columns] of Object.entries(changes.tags)) {
    const kept = before.tags[tag];
    tags[tag] = {};
    for (const [name, values] of Object.entries(columns))
      tags[tag][name] = kept[name].slice(0, changes.first).concat(values);
  }
  return { ...changes, first: 0, tags };
}

// The bytes of a row of the big picture, which come as base64.
export function bytesOf(cells) {
  return typeof cells === "string" ? Uint8Array.from(atob(cells), (sign) => sign.charCodeAt(0)) : cells;
}

function patchedRows(before, changes) {
  if (!changes.row) return changes;
  const heads = changes.heads || before.heads;
  const cells = heads.map((_, row) => bytesOf(before.cells[row] || ""));
  changes.row.forEach((row, n) => {
    const first = 2 * changes.first[n];
    const more = bytesOf(changes.cells[n]);
    const whole = new Uint8Array(first + more.length);
    whole.set(cells[row].subarray(0, first));
    whole.set(more, first);
    cells[row] = whole;
  });
  return { ...before, ...changes, heads, cells, row: undefined, first: undefined };
}

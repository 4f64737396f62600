// Asks how the job stands, and lets it be drawn. The token is in no address that is sent.

import { pageIn } from "./draw.js";
import { patched } from "./patch.js";

const HEADER = "X-Masterworker-Token";
const KEPT = "masterworker-token";
const PATIENCE = 20000;

function token() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEPT) || "";
}

// The latest spans of a worker; all viewers together are told a few in a second.
async function spansOf(worker) {
  for (let n = 0; n < 5; n += 1) {
    const reply = await fetch(`spans?worker=${worker}`, { ...options(), cache: "no-store" });
    if (reply.ok) return { spans: await reply.json() };
    if (reply.status !== 429) return { error: await reply.text() };
    await new Promise((done) => setTimeout(done, 700));
  }
  return { error: "there are too many questions" };
}

function options() {
  return { headers: { [HEADER]: key }, credentials: "omit", signal: AbortSignal.timeout(PATIENCE) };
}

const drawn = pageIn(document.getElementById("page"), spansOf);
const page = { view: null, number: 0, state: null };
let key = token();

async function ask() {
  const reply = await fetch(`snapshot?from=${page.number}`, { ...options(), cache: "no-store" });
  if (reply.status === 401) return refused();
  if (!reply.ok) throw new Error(await reply.text());
  const { number, base, state, pause, changes } = await reply.json();
  page.view = base ? patched(page.view, changes) : changes;
  Object.assign(page, { number, state });
  drawn(page.view, state);
  return pause;
}

function refused() {
  const said = "this address is not, or no longer, that of the page: open the one that was printed";
  page.number = 0;
  drawn(page.view, { state: "refused", said, at: page.state ? page.state.at : null });
  return 5;
}

function unreachable(error) {
  const said = "the process of this page has ended, or the connection to it is broken";
  console.info(error);
  drawn(page.view, { state: "unreachable", said, at: page.state ? page.state.at : null });
  return 3;
}

async function run() {
  for (;;) {
    const pause = await ask().catch(unreachable);
    await new Promise((done) => setTimeout(done, pause * 1000));
  }
}

addEventListener("hashchange", () => {
  key = token();
  page.number = 0;
});
run();

/**
 * Keeps the ingestion page true: fetches its live part every two seconds and exchanges what changed. What is open,
 * focused or selected stays so. A hidden tab asks nothing.
 */

const root = document.querySelector(".obs[data-url]");
const TIME_TEXT = /(<time [^>]*>)[^<]*(<\/time>)/g;
const PATIENCE_MS = 8_000;
const UNITS = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];

/** Seconds in their two largest units, as the server says them. @param {number} seconds */
function span(seconds) {
  let left = Math.max(Math.round(seconds), 0);
  const parts = [];
  for (const [name, size] of UNITS) {
    if (left >= size && parts.length < 2) parts.push(`${Math.floor(left / size)} ${name}`);
    else if (parts.length) break;
    left %= size;
  }
  return parts.join(" ") || "0 s";
}

/** The server's clock, whatever this machine's says. */
const clock = {
  ahead: 0,
  set(iso) {
    const at = Date.parse(iso);
    if (Number.isFinite(at)) this.ahead = at - Date.now();
  },
  now() {
    return Date.now() + this.ahead;
  },
};

function paintAges() {
  for (const time of root.querySelectorAll("time[data-age]")) {
    const seconds = (clock.now() - Date.parse(time.dateTime)) / 1000;
    const lasts = time.dataset.age === "for";
    const words = lasts ? `for ${span(seconds)}` : seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
    if (time.textContent !== words) time.textContent = words;
  }
}

/** Markup without the words of ages, which change by themselves. @param {Element} part */
function essence(part) {
  return part.innerHTML.replace(TIME_TEXT, "$1$2");
}

/** What was shown last, as the server sent it: the page's own copy has been painted on. */
const shown = new WeakMap();

/** @param {Element} current @param {Element} fresh */
function exchangePart(current, fresh) {
  const markup = essence(fresh);
  if ((shown.get(current) ?? essence(current)) !== markup) {
    const focused = current.contains(document.activeElement) ? document.activeElement : null;
    const href = focused?.getAttribute("href");
    current.replaceChildren(...fresh.childNodes);
    if (href) current.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  }
  current.className = fresh.className;
  shown.set(current, markup);
}

/** Parts outside of cards, or those of one card. @param {Element} scope @param {Element} fresh */
function exchangeParts(scope, fresh) {
  for (const part of scope.querySelectorAll("[data-part]")) {
    const twin = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (twin) exchangePart(part, twin);
  }
}

/** @param {Element} card @param {Element} fresh */
function exchangeCard(card, fresh) {
  exchangeParts(card, fresh);
  if (card.className !== fresh.className) card.className = fresh.className;
  for (const list of card.querySelectorAll("details[id]")) {
    const twin = fresh.querySelector(`#${CSS.escape(list.id)}`);
    if (twin && list.hidden !== twin.hidden) list.hidden = twin.hidden;
  }
}

/** Cards come, go and change places; one that stays keeps what somebody opened in it. */
function exchangeCards(list, freshList) {
  const known = new Map([...list.children].map((card) => [card.dataset.key, card]));
  let place = list.firstElementChild;
  for (const fresh of [...freshList.children]) {
    let card = known.get(fresh.dataset.key);
    known.delete(fresh.dataset.key);
    if (card) exchangeCard(card, fresh);
    else card = fresh;
    if (card === place) place = place.nextElementSibling;
    else list.insertBefore(card, place);
  }
  for (const gone of known.values()) gone.remove();
}

function exchange(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const fresh = page.querySelector("[data-now]");
  const current = root.querySelector("[data-now]");
  if (!fresh || !current) return false;
  clock.set(fresh.dataset.now);
  exchangeCards(current.querySelector("[data-list]"), fresh.querySelector("[data-list]"));
  for (const part of current.querySelectorAll("[data-part]")) {
    if (part.closest("[data-list]")) continue;
    const twin = fresh.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (twin) exchangePart(part, twin);
  }
  paintAges();
  return true;
}

/** What the page says of itself: live, still, or out of touch and since when. */
const live = {
  place: root?.querySelector("[data-live]"),
  heardAt: performance.now(),
  heard() {
    this.heardAt = performance.now();
    this.show("live", "Live");
  },
  lost(why) {
    this.show("lost", `${why} · ${span((performance.now() - this.heardAt) / 1000)} old`);
  },
  show(state, words) {
    if (!this.place) return;
    if (this.place.dataset.live !== state) this.place.dataset.live = state;
    const text = this.place.querySelector("[data-live-text]");
    if (text.textContent !== words) text.textContent = words;
  },
};

async function ask() {
  try {
    const answer = await fetch(root.dataset.url, {
      cache: "no-store",
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    if (answer.type === "opaqueredirect") live.lost("Signed out: reload the page");
    else if (answer.ok && exchange(await answer.text())) live.heard();
    else live.lost("The site answers with an error");
  } catch {
    live.lost("The site does not answer");
  }
}

/** One request after the other: a slow answer is waited for, not overtaken. */
async function follow() {
  const every = Number(root.dataset.every);
  for (;;) {
    await new Promise((resume) => setTimeout(resume, every));
    if (document.hidden) {
      live.show("still", "Paused while hidden");
      await new Promise((resume) => document.addEventListener("visibilitychange", resume, { once: true }));
    }
    await ask();
  }
}

if (root) {
  clock.set(root.querySelector("[data-now]")?.dataset.now);
  for (const part of root.querySelectorAll("[data-part]")) shown.set(part, essence(part));
  setInterval(paintAges, 1000);
  follow();
}

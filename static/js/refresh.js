/**
 * Fetches the page again and exchanges the parts marked `data-refresh`. What belongs into a list, and in which order,
 * is decided by the server's templates alone; sockets carry values and states, never markup.
 */

const AT_LEAST_MS = 5_000;
const SPREAD_MS = 1_500;

/**
 * @param {Element} current
 * @param {Element} fresh
 */
function exchange(current, fresh) {
  const focused = document.activeElement;
  const href = current.contains(focused) ? focused?.getAttribute("href") : null;
  current.replaceChildren(...fresh.childNodes);
  const made = fresh.getAttribute("data-refresh-for");
  if (made !== null) current.setAttribute("data-refresh-for", made);
  if (!href) return;
  const again = current.querySelector(`a[href="${CSS.escape(href)}"]`);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/**
 * Parts that keep themselves current say in `data-refresh-for` what they were made for; they are exchanged only when
 * that is something else.
 * @param {Element} current
 * @param {Element} fresh
 */
function isSame(current, fresh) {
  const made = current.getAttribute("data-refresh-for");
  return made !== null && made === fresh.getAttribute("data-refresh-for");
}

export class Refresher {
  /** @param {(page: Document) => void} after called when parts were exchanged, with the page they come from */
  constructor(after) {
    this.after = after;
    this.last = 0;
    this.due = Infinity;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /**
   * Refreshes soon; many calls make one fetch, as early as the most urgent of them wants it.
   * @param {number} [atLeastMs] time since the last refresh, at least
   */
  request(atLeastMs = AT_LEAST_MS) {
    const instant = performance.now();
    const due = Math.max(instant, this.last + atLeastMs) + Math.random() * SPREAD_MS;
    if (due + SPREAD_MS > this.due) return;
    this.due = due;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), due - instant);
  }

  async run() {
    this.due = Infinity;
    this.last = performance.now();
    let text;
    try {
      const response = await fetch(location.href, { cache: "no-store", redirect: "manual" });
      if (!response.ok) return; // the live indicator tells why
      text = await response.text();
    } catch {
      return; // no network: likewise
    }
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const current of document.querySelectorAll("[data-refresh]")) {
      const name = current.getAttribute("data-refresh") ?? "";
      const fresh = page.querySelector(`[data-refresh="${CSS.escape(name)}"]`);
      if (fresh && !isSame(current, fresh)) exchange(current, fresh);
    }
    document.title = page.title;
    this.after(page);
  }
}

/** The slow way: asks for a snapshot now and then, while the socket is down. */

/** @typedef {import("./types.js").Snapshot} Snapshot */

const EVERY_MS = 10_000;
const EVERY_HIDDEN_MS = 60_000;
const TIMEOUT_MS = 15_000;

/** The server no longer gives this page's data: not signed in (`allowed`), or not this person's. */
export class SessionEnded extends Error {
  /** @param {boolean} allowed true when logging in again would help */
  constructor(allowed) {
    super("The session has ended.");
    this.allowed = allowed;
  }
}

/**
 * Fetches JSON of this site; a redirect to the login page counts as an ended session.
 * @param {string} url
 * @returns {Promise<any>}
 */
async function fetchJson(url) {
  const response = await fetch(url, {
    cache: "no-store",
    headers: { Accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.type === "opaqueredirect" || response.status === 401) throw new SessionEnded(true);
  if (response.status === 403 || response.status === 404) throw new SessionEnded(false);
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

export class Poller {
  /**
   * @param {string} url
   * @param {{onSnapshot: (snapshot: Snapshot) => void, onFailure: () => void, onEnd: (allowed: boolean) => void}} hooks
   */
  constructor(url, hooks) {
    this.url = url;
    this.hooks = hooks;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    this.running = false;
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.round();
  }

  stop() {
    this.running = false;
    clearTimeout(this.timer);
  }

  /** One snapshot, handed to the hook; rejects when there is none. */
  async once() {
    this.hooks.onSnapshot(await fetchJson(this.url));
  }

  async round() {
    try {
      await this.once();
    } catch (error) {
      // Without network the next round tries again; the ages on the page go on growing meanwhile.
      if (error instanceof SessionEnded) this.hooks.onEnd(error.allowed);
      else if (this.running) this.hooks.onFailure();
    }
    if (!this.running) return;
    this.timer = setTimeout(() => this.round(), document.hidden ? EVERY_HIDDEN_MS : EVERY_MS);
  }
}

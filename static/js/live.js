/**
 * The socket of a page: subscribes from where the page's snapshot ended, resumes after a break, falls back to
 * polling while the socket stays down or the server has nothing to say over it, and stops for good when the session
 * has ended.
 *
 * Close codes: 4401 not signed in, 4403 and 4404 not yours; all others are tried again with backoff and jitter.
 */

import { Poller, SessionEnded } from "./poll.js";

/**
 * @typedef {import("./types.js").Reading} Reading
 * @typedef {import("./types.js").DeviceState} DeviceState
 * @typedef {import("./types.js").AlertNotice} AlertNotice
 * @typedef {import("./types.js").Snapshot} Snapshot
 * @typedef {"connecting"|"live"|"reconnecting"|"polling"|"ended"|"forbidden"} Status
 *
 * @typedef {Object} Options
 * @property {string} url path of the socket
 * @property {string} pollUrl
 * @property {string[]} topics
 * @property {Record<string, string>} since topic -> id of the newest message that the page already holds
 * @property {(readings: Reading[], topic?: string) => void} onReadings `topic`: by which they came; none in a snapshot
 * @property {(states: DeviceState[], changes: boolean) => void} onStates `changes`: each is a change, not a snapshot
 * @property {(alerts: AlertNotice[]) => void} onAlerts
 * @property {() => void} onSkipped a snapshot took the place of messages: the values between are in the history only
 * @property {() => void} onLost messages were lost for good: what cannot be told by a snapshot must be fetched anew
 * @property {(status: Status, before: Status) => void} onStatus
 */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const FAILURES_BEFORE_POLLING = 2;
const PING_EVERY_MS = 25_000;
const SILENCE_MS = 60_000;

/**
 * Whether `id` comes after `last`. Ids are `<epoch>-<n>`; another epoch is another history, hence always news.
 * @param {string} id
 * @param {string|undefined} last
 * @returns {boolean}
 */
export function isNews(id, last) {
  if (!last) return true;
  const [epoch, number] = split(id);
  const [lastEpoch, lastNumber] = split(last);
  return epoch !== lastEpoch || number > lastNumber;
}

/**
 * @param {string} id
 * @returns {[string, number]}
 */
function split(id) {
  const at = id.lastIndexOf("-");
  return [id.slice(0, at), Number(id.slice(at + 1))];
}

/**
 * Full jitter: anywhere between nothing and the doubled delay, so that a thousand pages do not return at once.
 * @param {number} failures
 * @returns {number} milliseconds
 */
function backoff(failures) {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
  return FIRST_DELAY_MS / 2 + Math.random() * ceiling;
}

export class Live {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    // A topic without an id is heard from now on; an empty id would be refused.
    this.since = Object.fromEntries(Object.entries(options.since).filter(([, id]) => id));
    /** @type {Status} */
    this.status = "connecting";
    /** @type {WebSocket|null} */
    this.socket = null;
    this.failures = 0;
    this.flowing = true;
    this.waitMs = 0; // what a departing server asked for
    this.reference = 0;
    this.heardAt = 0;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.retry = undefined;
    this.poller = new Poller(options.pollUrl, {
      onSnapshot: (snapshot) => {
        if (this.poller.running) this.say("polling");
        this.take(snapshot);
      },
      onFailure: () => this.say("reconnecting"),
      onEnd: (allowed) => this.end(allowed ? "ended" : "forbidden"),
    });
  }

  /** Opens the socket and keeps it open from then on. */
  start() {
    this.connect();
    setInterval(() => this.watch(), PING_EVERY_MS);
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.hurry();
    });
  }

  /**
   * The server knows better than an open socket whether messages come through: without Redis there are none.
   * @param {boolean} flowing
   */
  setFlowing(flowing) {
    if (this.over || this.flowing === flowing) return;
    this.flowing = flowing;
    if (!flowing) this.poller.start();
    else if (this.socket?.readyState === WebSocket.OPEN) {
      this.poller.stop();
      this.say("live");
    }
  }

  get over() {
    return this.status === "ended" || this.status === "forbidden";
  }

  /** @param {Status} status */
  say(status) {
    if (this.status === status) return;
    const before = this.status;
    this.status = status;
    this.options.onStatus(status, before);
  }

  connect() {
    if (this.over) return;
    clearTimeout(this.retry);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    // `later`: all topics are asked for in one request, each from where the page stands.
    const socket = new WebSocket(`${scheme}://${location.host}${this.options.url}?subscribe=later`);
    this.socket = socket;
    socket.onopen = () => {
      this.heardAt = performance.now();
      this.send({ op: "sub", topics: this.options.topics, since: this.since });
    };
    socket.onmessage = (event) => this.hear(JSON.parse(event.data));
    socket.onclose = (event) => {
      if (this.socket === socket) this.closed(event.code);
    };
  }

  /** Tries again at once: the network or the reader is back. */
  hurry() {
    if (this.over || (this.socket && this.socket.readyState <= WebSocket.OPEN)) return;
    this.connect();
  }

  /** @param {number} code */
  closed(code) {
    this.socket = null;
    if (code === 4401) return this.end("ended");
    if (code === 4403 || code === 4404) return this.end("forbidden");
    this.failures += 1;
    if (this.failures >= FAILURES_BEFORE_POLLING) this.poller.start();
    else this.say("reconnecting");
    this.retry = setTimeout(() => this.connect(), this.waitMs + backoff(this.failures));
    this.waitMs = 0;
  }

  /** @param {"ended"|"forbidden"} status */
  end(status) {
    clearTimeout(this.retry);
    this.poller.stop();
    this.say(status);
    this.socket?.close();
  }

  /** @param {Record<string, unknown>} message */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.reference += 1;
    this.socket.send(JSON.stringify({ v: 1, ref: this.reference, ...message }));
  }

  /** Notices a connection that is dead without having been closed. */
  watch() {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.heardAt > SILENCE_MS) {
      const silent = this.socket;
      silent.onclose = null;
      silent.close();
      this.closed(1006);
      return;
    }
    this.send({ op: "ping" });
  }

  /** @param {{t: string, topic?: string, id?: string, d?: any, retry_after_s?: number}} message */
  hear(message) {
    this.heardAt = performance.now();
    if (message.t === "bye") this.waitMs = (message.retry_after_s ?? 0) * 1000;
    if (message.t === "bye" || message.t === "err") return;
    this.failures = 0;
    if (message.t === "tel" || message.t === "state") this.setFlowing(true);
    if (this.flowing) {
      this.poller.stop();
      this.say("live");
    }
    if (message.t === "reset") {
      if (message.topic && message.id) this.since[message.topic] = message.id;
      this.catchUp();
      return;
    }
    if (!this.isUnseen(message)) return;
    if (message.t === "tel") this.options.onReadings(message.d, message.topic);
    else if (message.t === "state") this.options.onStates(message.d, true);
    else if (message.t === "alert") this.options.onAlerts(message.d);
  }

  /**
   * Keeps the newest id of each topic. Ids arrive in order and without holes: the server fills them, or sends a reset.
   * @param {{topic?: string, id?: string}} message
   * @returns {boolean}
   */
  isUnseen({ topic, id }) {
    if (!topic || !id) return true;
    if (!isNews(id, this.since[topic])) return false;
    this.since[topic] = id;
    return true;
  }

  /** History was lost: the values of now come as a snapshot, later messages follow from there. */
  catchUp() {
    this.options.onLost();
    this.poller.once().catch((error) => {
      if (error instanceof SessionEnded) this.end(error.allowed ? "ended" : "forbidden");
      else if (this.socket) this.socket.close(); // no snapshot: begin anew, with backoff
    });
  }

  /** @param {Snapshot} snapshot */
  take(snapshot) {
    let skipped = false;
    for (const [topic, id] of Object.entries(snapshot.heads ?? {})) {
      if (!id || !isNews(id, this.since[topic])) continue;
      this.since[topic] = id;
      skipped = true;
    }
    if (snapshot.tel) this.options.onReadings(snapshot.tel);
    if (snapshot.state) this.options.onStates(snapshot.state, false);
    if (skipped) this.options.onSkipped();
    this.setFlowing(Object.keys(snapshot.heads ?? {}).length > 0);
  }
}

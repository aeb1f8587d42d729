/**
 * A metric's chart on the device page: fetches a range, appends what comes live, and says the same in words and as
 * a table, because a picture alone tells nothing to those who cannot see it.
 */

import { now } from "./clock.js";
import { formatValue } from "./format.js";
import { fetchHistory, gapSeconds, sourceWords, summarise, toColumns, toCsv } from "./history.js";
import { Plot } from "./plot.js";

/**
 * @typedef {import("./history.js").Point} Point
 * @typedef {import("./types.js").Reading} Reading
 *
 * @typedef {Object} Choice what the chart shows
 * @property {string} metric
 * @property {string} url
 * @property {string} label
 * @property {string} unit
 * @property {number} decimals
 * @property {number} expectedEvery seconds, or NaN
 */

/** @type {Record<string, {start: string, seconds: number}>} */
export const RANGES = {
  "1h": { start: "-1h", seconds: 3600 },
  "24h": { start: "-24h", seconds: 86_400 },
  "7d": { start: "-7d", seconds: 604_800 },
  "30d": { start: "-30d", seconds: 2_592_000 },
  "1y": { start: "-365d", seconds: 31_536_000 },
};
/** One place for each pixel: the lowest and the highest value of each are drawn. */
const POINTS = { least: 100, most: 2000 };
const TABLE_ROWS = 200;
const RELOAD_S = 60;
const TRENDS = { rising: "↗ rising", falling: "↘ falling", steady: "→ steady" };

const stamp = new Intl.DateTimeFormat(undefined, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export class Chart {
  /**
   * @param {HTMLElement} root
   * @param {Choice} choice
   * @param {string} range a key of RANGES
   * @param {(metric: string) => Point|null} current the metric's newest reading, as the page shows it
   */
  constructor(root, choice, range, current) {
    this.root = root;
    this.current = current;
    this.choice = choice;
    this.range = range;
    /** @type {Point[]} */
    this.points = [];
    this.bucket = 0;
    this.loadedAt = 0;
    /** @type {AbortController|null} */
    this.request = null;
    this.ready = false;
    /** @type {string|null} the unit that the plot was built for */
    this.built = null;
    this.index = /** @type {number|null} */ (null);
    this.plot = new Plot(this.part("plot"), (index) => this.readOut(index));
    this.part("retry").addEventListener("click", () => this.load());
    this.part("csv").addEventListener("click", () => this.download());
    this.part("table").addEventListener("toggle", () => this.fillTable());
    this.part("figure").addEventListener("keydown", (event) => this.step(event));
    setInterval(() => this.ready && !document.hidden && this.draw(), 15_000);
  }

  /**
   * @param {string} name
   * @returns {HTMLElement}
   */
  part(name) {
    return /** @type {HTMLElement} */ (this.root.querySelector(`[data-chart-${name}]`));
  }

  /** How many places the plot has room for. */
  pixels() {
    const { clientWidth } = this.part("plot");
    return Math.min(Math.max(Math.round(clientWidth), POINTS.least), POINTS.most);
  }

  /** @param {"loading"|"empty"|"never"|"error"|null} name the note over the plot, or none */
  note(name) {
    for (const element of this.root.querySelectorAll("[data-chart-note]")) {
      const note = /** @type {HTMLElement} */ (element);
      note.hidden = note.dataset.chartNote !== name;
    }
  }

  /**
   * @param {Choice} choice
   * @param {string} range
   */
  show(choice, range) {
    this.choice = choice;
    this.range = range;
    this.points = [];
    this.ready = false;
    this.part("label").textContent = choice.label;
    this.part("unit").textContent = choice.unit;
    this.part("source").textContent = "";
    this.part("figure").setAttribute("aria-label", `${choice.label} over time`);
    return this.load();
  }

  /** Fetches the chosen range; a later call makes an earlier one void. */
  async load() {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    // What is on screen stays while it is fetched anew; only a first picture has to be waited for.
    if (!this.ready) this.note("loading");
    try {
      const { start } = RANGES[this.range];
      const url = `${this.choice.url}?start=${encodeURIComponent(start)}&points=${this.pixels()}`;
      const history = await fetchHistory(url, request.signal);
      // What came live while this was on its way is newer than its end.
      const end = history.points[history.points.length - 1]?.at ?? 0;
      const later = this.points.filter((point) => point.at > end);
      const newest = this.current(this.choice.metric);
      // A bucket's mean is not the value of now: the line ends at the reading itself.
      if (newest && newest.at > (later[later.length - 1]?.at ?? end)) later.push(newest);
      this.points = [...history.points, ...later];
      this.bucket = history.bucket;
      this.part("source").textContent = sourceWords(history, (at) => day.format(new Date(at * 1000)));
      this.loadedAt = now() / 1000;
    } catch (error) {
      if (request.signal.aborted || this.ready) return; // what is on screen stays, and ages
      this.points = [];
      this.part("error").textContent = error instanceof Error ? error.message : String(error);
      this.note("error");
      this.state();
      return;
    }
    if (this.built !== this.choice.unit) this.plot.build(this.choice.unit);
    this.built = this.choice.unit;
    this.ready = true;
    this.draw();
  }

  /** The axis ends now, whether or not anything has arrived lately. */
  draw() {
    const end = now() / 1000;
    const start = end - RANGES[this.range].seconds;
    // One point before the range stays, so that the line enters from the left edge.
    const first = this.points.findIndex((point) => point.at >= start);
    if (first > 1) this.points.splice(0, first - 1);
    const gap = gapSeconds(this.bucket, this.choice.expectedEvery, this.points);
    const data = toColumns(this.points, gap);
    const [head] = this.points;
    const tail = this.points[this.points.length - 1];
    if (head && head.at - start > gap) data.gaps.push([start, head.at]);
    if (tail && end - tail.at > gap) data.gaps.push([tail.at, end]);
    this.plot.show(data, [start, end]);
    const reported = tail ?? this.current(this.choice.metric);
    this.note(this.within().length > 0 ? null : reported ? "empty" : "never");
    this.state();
    this.fillTable();
  }

  /** The points of the range: not the one before it. A bucket may begin before what it holds of the range. */
  within() {
    const start = now() / 1000 - RANGES[this.range].seconds;
    return this.points.filter((point) => point.at >= start || point.at + this.bucket > start);
  }

  /** The latest, whenever that was; lowest, average, highest and trend of the range. */
  state() {
    const within = this.within();
    const summary = within.length > 0 ? summarise(within) : null;
    const tail = this.points[this.points.length - 1];
    this.fact("latest", tail ? this.words(tail.value) : "–");
    for (const name of /** @type {const} */ (["min", "mean", "max"])) {
      this.fact(name, summary ? this.words(summary[name]) : "–");
    }
    this.fact("trend", summary ? TRENDS[summary.trend] : "–");
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  fact(name, text) {
    const element = this.root.querySelector(`[data-fact="${name}"]`);
    if (element && element.textContent !== text) element.textContent = text;
  }

  /** @param {number} value */
  words(value) {
    const { decimals, unit } = this.choice;
    return `${formatValue(value, decimals)}${unit ? ` ${unit}` : ""}`;
  }

  /**
   * Live readings of any device and metric; those of this chart are appended. A revised one takes the place of the
   * last point, which is all that its bucket holds if it begins at the newest reading.
   * @param {Reading[]} readings
   * @param {string} device uuid
   */
  append(readings, device) {
    let grown = false;
    let older = false;
    for (const { device: from, metric, at, value, revised } of readings) {
      if (from !== device || metric !== this.choice.metric || typeof value !== "number") continue;
      const seconds = Date.parse(at) / 1000;
      const last = this.points[this.points.length - 1]?.at ?? 0;
      if (revised && seconds === last) this.points.pop();
      else if (seconds <= last) {
        older = true;
        continue;
      }
      this.points.push({ at: seconds, value, min: value, max: value });
      grown = true;
    }
    if (!this.ready) return;
    // Single readings pile up behind the buckets, and late ones belong between older points: fetch both at leisure.
    const age = now() / 1000 - this.loadedAt;
    if ((older && age > RELOAD_S) || (this.bucket > 0 && age > Math.max(RELOAD_S, this.bucket * 5))) {
      this.load();
    } else if (grown) this.draw();
  }

  /** @param {number|null} index column of the plot */
  readOut(index) {
    this.index = index;
    const readout = this.part("readout");
    const [times, values, lows, highs] = this.plot.chart?.data ?? [[], [], [], []];
    const value = index === null ? null : values[index];
    if (index === null || value === null || value === undefined) {
      readout.textContent = "";
      return;
    }
    const { decimals } = this.choice;
    const spread = highs[index] > lows[index];
    const range = `${formatValue(lows[index], decimals)} to ${formatValue(highs[index], decimals)}`;
    const time = stamp.format(new Date(times[index] * 1000));
    readout.textContent = `${time} · ${this.words(value)}${spread ? ` (${range})` : ""}`;
  }

  /** @param {KeyboardEvent} event arrow keys walk along the line */
  step(event) {
    const values = this.plot.chart?.data[1] ?? [];
    const moves = { ArrowLeft: -1, ArrowRight: 1 };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (!move || values.length === 0) return;
    event.preventDefault();
    let next = this.index === null ? (move > 0 ? 0 : values.length - 1) : this.index + move;
    while (values[next] === null) next += move;
    if (next >= 0 && next < values.length) this.plot.point(next);
  }

  fillTable() {
    if (!(/** @type {HTMLDetailsElement} */ (this.part("table")).open)) return;
    const within = this.within();
    const newest = within.slice(-TABLE_ROWS).reverse();
    const { decimals } = this.choice;
    const rows = newest.map(({ at, value, min, max }) => {
      const row = document.createElement("tr");
      const texts = [
        stamp.format(new Date(at * 1000)),
        ...[value, min, max].map((v) => formatValue(v, decimals)),
      ];
      texts.forEach((text, column) => {
        const cell = document.createElement(column === 0 ? "th" : "td");
        if (column === 0) cell.setAttribute("scope", "row");
        else cell.className = "right";
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    });
    this.part("rows").replaceChildren(...rows);
    const more = within.length > newest.length;
    this.part("rows-note").textContent = more
      ? `The newest ${newest.length} of ${within.length}; the download holds all.`
      : "";
  }

  download() {
    const link = document.createElement("a");
    const url = URL.createObjectURL(new Blob([toCsv(this.within())], { type: "text/csv" }));
    link.href = url;
    link.download = `${this.choice.metric}-${this.range}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

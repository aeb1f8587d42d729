/** The picture of a chart: uPlot with this site's colours, axes and gaps. Knows nothing of fetching or of the page. */

import uPlot from "../vendor/uplot/1.6.32/uPlot.esm.js";

/** @typedef {import("./history.js").Point} Point */

const COLOURS = ["chart-line", "chart-band", "chart-fill", "chart-grid", "chart-gap", "muted", "surface"];
const DAY = 86_400;
const FONT = '500 12px "Inter", system-ui, sans-serif';

/**
 * Colours of the scheme in use; a probe resolves what a custom property only names.
 * @param {Element} root
 * @returns {Record<string, string>}
 */
function readColours(root) {
  const probe = document.createElement("span");
  probe.hidden = true;
  root.append(probe);
  /** @type {Record<string, string>} */
  const colours = {};
  for (const name of COLOURS) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return colours;
}

const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const clockSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const dayOnly = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const monthYear = new Intl.DateTimeFormat(undefined, { month: "short", year: "numeric" });

/**
 * Labels of the time axis: hours within a day, the date at midnight, months over a year.
 * @param {number[]} splits seconds
 * @param {number} step seconds between two labels
 * @returns {string[]}
 */
function timeLabels(splits, step) {
  return splits.map((seconds) => {
    const date = new Date(seconds * 1000);
    if (step >= 27 * DAY) return monthYear.format(date);
    const midnight = date.getHours() === 0 && date.getMinutes() === 0;
    if (step >= DAY || (midnight && date.getSeconds() === 0)) return dayOnly.format(date);
    return (step < 60 ? clockSeconds : clockTime).format(date);
  });
}

/**
 * @param {string} unit
 * @returns {(u: any, min: number|null, max: number|null) => [number, number]}
 */
function valueRange(unit) {
  // A percentage on its own full scale: autoscale makes two percent look like a landslide.
  if (unit === "%") return (_, min, max) => [Math.min(0, min ?? 0), Math.max(100, max ?? 100)];
  return (_, min, max) => {
    if (min === null || max === null) return [0, 1];
    if (min === max) return [min - 1, max + 1];
    return /** @type {[number, number]} */ (uPlot.rangeNum(min, max, 0.12, true));
  };
}

export class Plot {
  /**
   * @param {HTMLElement} root
   * @param {(index: number|null) => void} onPoint the pointer is at this column, or nowhere
   */
  constructor(root, onPoint) {
    this.root = root;
    this.onPoint = onPoint;
    this.colours = readColours(root);
    /** @type {any} */
    this.chart = null;
    /** @type {[number, number][]} */
    this.gaps = [];
    /** @type {number[]} */
    this.alone = [];
    /** @type {[number, number]} */
    this.span = [0, 1];
    new ResizeObserver(() => this.resize()).observe(root);
    const recolour = () => this.recolour();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
    new MutationObserver(recolour).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
  }

  recolour() {
    this.colours = readColours(this.root);
    this.chart?.redraw(false);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.root;
    if (this.chart && width > 0) this.chart.setSize({ width, height });
  }

  /** @param {string} unit */
  build(unit) {
    this.chart?.destroy();
    const { clientWidth: width, clientHeight: height } = this.root;
    this.chart = new /** @type {any} */ (uPlot)(
      this.options(unit, width, height),
      [[], [], [], []],
      this.root,
    );
  }

  /**
   * @param {string} unit
   * @param {number} width
   * @param {number} height
   */
  options(unit, width, height) {
    const colour = (/** @type {string} */ name) => () => this.colours[name];
    const hidden = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width,
      height,
      padding: [10, 26, 0, 0], // half a date fits right of the last hour
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 9 } },
      scales: { x: { time: true, range: () => this.span }, y: { range: valueRange(unit) } },
      axes: [
        {
          stroke: colour("muted"),
          font: FONT,
          grid: { show: false },
          ticks: { stroke: colour("chart-grid"), size: 6 },
          space: 72,
          size: 34,
          values: (
            /** @type {any} */ _,
            /** @type {number[]} */ splits,
            /** @type {number} */ __,
            /** @type {number} */ ___,
            /** @type {number} */ step,
          ) => timeLabels(splits, step),
        },
        {
          stroke: colour("muted"),
          font: FONT,
          grid: { stroke: colour("chart-grid"), width: 1 },
          ticks: { show: false },
          space: 44,
          size: (/** @type {any} */ _, /** @type {string[]|null} */ values) =>
            16 + 7 * Math.max(2, ...(values ?? []).map((value) => value.length)),
        },
      ],
      series: [
        {},
        {
          stroke: colour("chart-line"),
          fill: colour("chart-fill"),
          width: 2,
          spanGaps: false,
          points: { show: true, size: 6, fill: colour("chart-line"), filter: () => this.alone },
        },
        hidden,
        hidden,
      ],
      bands: [{ series: [3, 2], fill: colour("chart-band") }],
      hooks: {
        drawClear: [() => this.shadeGaps()],
        setCursor: [(/** @type {any} */ chart) => this.onPoint(chart.cursor.idx ?? null)],
      },
    };
  }

  /** Tints the time without readings, so that silence is seen and not guessed. */
  shadeGaps() {
    const { chart } = this;
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.fillStyle = this.colours["chart-gap"];
    for (const [from, to] of this.gaps) {
      const left = Math.max(bbox.left, chart.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, chart.valToPos(to, "x", true));
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  /**
   * @param {{columns: any, gaps: [number, number][], alone: number[]}} data
   * @param {[number, number]} span first and last second of the axis
   */
  show(data, span) {
    this.gaps = data.gaps;
    this.alone = data.alone;
    this.span = span;
    this.chart.setData(data.columns);
  }

  /**
   * Moves the cursor to a column, as the pointer would.
   * @param {number} index
   */
  point(index) {
    const left = this.chart.valToPos(this.chart.data[0][index], "x");
    this.chart.setCursor({ left, top: 20 });
  }
}

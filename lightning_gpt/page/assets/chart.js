/**
 * Draws a line chart as wide as its place, with a slider under it that reads values off.
 */

import { element, svg } from "./dom.js";

/** @import { Point } from "./feed.js" */

const LEFT = 52; // pixels around the lines
const RIGHT = 12;
const NAMES = 88; // for the levels' names, at the right
const TOP = 10;
const BOTTOM = 24;
const LABEL = 14; // between two levels' names

export class Chart {
  /**
   * @param {HTMLElement} box
   * @param {string} what it shows, for those who do not see it
   * @param {number} height
   * @param {(value: number) => string} said a value, as it is read off
   */
  constructor(box, what, height, said) {
    this.what = what;
    this.height = height;
    this.said = said;
    /** @type {Record<string, Point[]>} */
    this.curves = {};
    /** @type {[string, number][]} */
    this.levels = [];
    /** @type {number[]} the steps that the slider stops at */
    this.steps = [];
    /** @type {number | null} the step that is read off; null: the newest */
    this.chosen = null;
    this.shown = "";
    this.legend = element("div", "curves");
    this.picture = element("div", "chart");
    this.slider = element("input", "");
    this.slider.type = "range";
    this.slider.min = "0";
    this.slider.setAttribute("aria-label", `${what}: step to read off`);
    box.replaceChildren(this.legend, this.picture, this.slider);
    box.hidden = true;
    this.box = box;
    this.slider.addEventListener("input", () => this.choose(Number(this.slider.value)));
    this.picture.addEventListener("pointermove", (event) => this.point(event.offsetX));
    this.picture.addEventListener("pointerdown", (event) => this.point(event.offsetX));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  /**
   * @param {Record<string, Point[]>} curves
   * @param {Record<string, number | null>} levels
   */
  show(curves, levels = {}) {
    const shown = JSON.stringify([curves, levels]);
    if (shown === this.shown) return;
    this.shown = shown;
    this.curves = Object.fromEntries(Object.entries(curves).filter(([, points]) => points.length));
    this.levels = Object.entries(levels).flatMap(([name, y]) => (y === null ? [] : [[name, y]]));
    this.steps = [...new Set(Object.values(this.curves).flatMap((points) => points.map(([step]) => step)))];
    this.steps.sort((a, b) => a - b);
    const last = Math.max(0, this.steps.length - 1);
    this.slider.max = String(last);
    this.slider.value = String(this.chosen === null ? last : this.nearest(this.chosen));
    this.box.hidden = !this.steps.length;
    this.draw();
  }

  /** @param {number} place among the steps */
  choose(place) {
    this.slider.value = String(place);
    this.chosen = place === this.steps.length - 1 ? null : this.steps[place];
    this.draw();
  }

  /** @param {number} x pixels from the left */
  point(x) {
    if (!this.steps.length) return;
    const { low, high } = this.range(this.steps);
    this.choose(this.nearest(low + ((x - LEFT) / (this.right - LEFT)) * (high - low)));
  }

  /** @param {number} step @returns {number} the place of the nearest one */
  nearest(step) {
    const distances = this.steps.map((each) => Math.abs(each - step));
    return distances.indexOf(Math.min(...distances));
  }

  get width() {
    return this.picture.clientWidth;
  }

  get right() {
    return this.width - RIGHT - (this.levels.length ? NAMES : 0);
  }

  /** @param {number[]} values */
  range(values) {
    const low = Math.min(...values);
    const high = Math.max(...values);
    return high > low ? { low, high } : { low: low - 0.5, high: high + 0.5 };
  }

  draw() {
    if (!this.steps.length || !this.width) return;
    const drawn = Object.entries(this.curves);
    const values = [...drawn.flatMap(([, points]) => points.map(([, y]) => y)), ...this.levels.map(([, y]) => y)];
    const [across, along] = [this.range(this.steps), this.range(values)];
    const margin = 0.05 * (along.high - along.low);
    const x = (/** @type {number} */ step) =>
      LEFT + ((step - across.low) / (across.high - across.low)) * (this.right - LEFT);
    const y = (/** @type {number} */ value) =>
      TOP + ((along.high + margin - value) / (along.high - along.low + 2 * margin)) * (this.height - TOP - BOTTOM);
    const [right, floor] = [this.right, this.height - BOTTOM];
    this.slider.style.width = `${right - LEFT + 16}px`; // its knob, of 16 pixels, is below the lines
    const parts = [];
    for (const tick of ticks(along.low - margin, along.high + margin, 5)) {
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(tick), y2: y(tick) }));
      parts.push(svg("text", { class: "end", x: LEFT - 6, y: y(tick) + 4 }, short(tick)));
    }
    for (const tick of ticks(across.low, across.high, this.width / 110))
      parts.push(svg("text", { x: x(tick), y: floor + 17 }, short(tick)));
    const names = [];
    let above = Infinity;
    for (const [name, value] of [...this.levels].sort((a, b) => a[1] - b[1])) {
      const place = Math.min(y(value) + 4, above - LABEL); // none on another
      above = place;
      parts.push(svg("line", { class: "level", x1: LEFT, x2: right, y1: y(value), y2: y(value) }));
      const said = `${name} ${value.toFixed(3)}`;
      names.push(svg("text", { class: "small begin", x: right + 6, y: place }, said));
    }
    const step = this.steps[Number(this.slider.value)];
    parts.push(svg("line", { class: "reader", x1: x(step), x2: x(step), y1: TOP, y2: floor }));
    const read = drawn.map(([name, points]) => ({ name, value: at(points, step) }));
    drawn.forEach(([, points], i) => {
      const path = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      parts.push(svg("polyline", { class: `line-${i}`, points: path }));
      if (points.length <= 40)
        for (const [step, value] of points)
          parts.push(svg("circle", { class: `dot-${i}`, cx: x(step), cy: y(value), r: 3 }));
    });
    const size = { width: this.width, height: this.height, viewBox: `0 0 ${this.width} ${this.height}` };
    const said = read.map(({ name, value }) => `${name} ${value === null ? "–" : this.said(value)}`).join(", ");
    const label = `${this.what}, to step ${this.steps[this.steps.length - 1]}: ${said} at step ${step}`;
    this.picture.replaceChildren(svg("svg", { ...size, role: "img", "aria-label": label }, ...parts, ...names));
    this.slider.setAttribute("aria-valuetext", `step ${step}: ${said}`);
    const keys = read.map(({ name, value }, i) => {
      const swatch = svg("svg", { width: 26, height: 10, "aria-hidden": "true" });
      swatch.append(svg("line", { class: `line-${i}`, x1: 0, x2: 26, y1: 5, y2: 5 }));
      return element("span", "", swatch, ` ${name} `, element("b", "", value === null ? "–" : this.said(value)));
    });
    this.legend.replaceChildren(element("span", "step", `step ${step.toLocaleString("en")}`), ...keys);
  }
}

/**
 * A curve's value at a step, or at the last step before it that it has one.
 *
 * @param {Point[]} points
 * @param {number} step
 */
function at(points, step) {
  const before = points.filter(([each]) => each <= step);
  return before.length ? before[before.length - 1][1] : null;
}

/**
 * Round numbers between two.
 *
 * @param {number} low
 * @param {number} high
 * @param {number} most
 */
function ticks(low, high, most) {
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => power * times).find((each) => each >= rough) ?? rough;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** @param {number} value */
function short(value) {
  return Number(value.toPrecision(6)).toLocaleString("en", { notation: value >= 1e4 ? "compact" : "standard" });
}

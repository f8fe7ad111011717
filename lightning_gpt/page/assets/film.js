/**
 * The training film: one network at several steps of its training, by a slider.
 */

import { element, find, svg } from "./dom.js";
import { drawHeads } from "./heads.js";
import { visible } from "./tokenizer.js";

/** @import { Client } from "./client.js" */
/** @import { Writing } from "./worker.js" */

const SHOT = 240; // tokens of each text
const LOOKED_AT = 14; // tokens of the line whose attention is drawn
const PAUSE = 1200; // ms of a frame that plays
const SIDE = 320; // of the map

export class Film {
  /**
   * @param {Client} client
   * @param {() => Writing} options of what is written
   */
  constructor(client, options) {
    this.client = client;
    this.options = options;
    const { networks, ladder } = client.content;
    /** the networks' numbers; the last is the trained one */
    this.frames = [...networks.keys()].slice(ladder);
    this.frames.push(ladder - 1);
    this.slider = find("step", HTMLInputElement);
    this.slider.max = String(this.frames.length - 1);
    this.slider.value = this.slider.max;
    this.slider.addEventListener("input", () => this.show());
    /** @type {number | undefined} */
    this.playing = undefined;
    this.button = find("play", HTMLButtonElement);
    this.button.addEventListener("click", () => this.play());
    /** @type {Map<number, Element>} the map's letters, which move from frame to frame */
    this.letters = new Map();
  }

  /** Plays from the first step on, or stops. */
  play() {
    if (this.playing !== undefined) return this.pause();
    this.button.textContent = "Stop";
    this.slider.value = "0";
    this.show();
    this.playing = window.setInterval(() => {
      this.slider.value = String(Number(this.slider.value) + 1);
      this.show();
      if (this.slider.value === this.slider.max) this.pause();
    }, PAUSE);
  }

  pause() {
    window.clearInterval(this.playing);
    this.playing = undefined;
    this.button.textContent = "Play";
  }

  /** Shows the frame under the slider. */
  async show() {
    const frame = Number(this.slider.value);
    const network = this.frames[frame];
    const { step, name } = this.client.content.networks[network];
    const said = step === null ? name : `step ${step.toLocaleString("en")}`;
    find("step-said", HTMLOutputElement).value = said;
    this.slider.setAttribute("aria-valuetext", said);
    const line = this.client.content.line.ids.slice(
      0,
      Math.min(LOOKED_AT, Number(this.client.described.sizes.block_size)),
    );
    this.drawMap(await this.points(network));
    const look = { task: /** @type {const} */ ("look"), text: { network, ids: line }, at: line.length - 1 };
    const { inside } = await this.client.ask({ ...look, sampling: this.options() });
    const texts = line.map((id) => visible(this.client.tokenizer.texts[id]));
    const room = find("film-heads", HTMLDivElement).clientWidth;
    if (inside.attention.length) {
      find("film-heads", HTMLDivElement).replaceChildren(drawHeads(inside.attention, texts, -1, room, () => {}));
    }
    await this.write(network);
  }

  /**
   * Where the tokens lie (V, 2), in the frame's own coordinates: the trained ones fill it.
   *
   * @param {number} network
   * @returns {Promise<number[][]>}
   */
  async points(network) {
    const { axes } = this.client.content;
    const map = (/** @type {number} */ network) => this.client.ask({ task: "map", network, axes });
    const trained = (await map(this.frames[this.frames.length - 1])).points;
    const { points } = await map(network);
    const ranges = axes.map((_, axis) => {
      const along = trained.map((/** @type {number[]} */ point) => point[axis]);
      return { low: Math.min(...along), high: Math.max(...along) };
    });
    const size = Math.max(...ranges.map(({ low, high }) => high - low)) / 2 || 1;
    return points.map((/** @type {number[]} */ point) =>
      point.map((x, axis) => (x - (ranges[axis].low + ranges[axis].high) / 2) / size),
    );
  }

  /** @param {number} network */
  async write(network) {
    const box = find("film-text", HTMLDivElement);
    const options = { ...this.options(), count: SHOT, stop: null };
    const { ids } = this.client.content.prompt;
    const decode = this.client.tokenizer.decoder();
    let first = true;
    const question = {
      task: /** @type {const} */ ("write"),
      channel: "film",
      text: { network, ids },
      drawn: 0,
      options,
    };
    await this.client.ask(question, (tokens) => {
      const said = tokens.map(({ id }) => decode(id)).join("");
      if (first) box.replaceChildren(element("span", "given", said));
      else box.append(said);
      first = false;
    });
  }

  /** @param {number[][]} points */
  drawMap(points) {
    const place = (/** @type {number} */ x) => SIDE / 2 + x * (SIDE / 2 - 14);
    if (!this.letters.size) {
      const picture = svg("svg", {
        viewBox: `0 0 ${SIDE} ${SIDE}`,
        class: "map",
        role: "img",
        "aria-label": "Map of the embedding",
      });
      this.client.tokenizer.texts.slice(0, points.length).forEach((text, id) => {
        const letter = svg("text", { class: kindOf(text) }, visible(text));
        this.letters.set(id, letter);
        picture.append(letter);
      });
      find("film-map", HTMLDivElement).replaceChildren(picture);
    }
    points.forEach(([x, y], id) => {
      const letter = /** @type {SVGElement} */ (this.letters.get(id));
      letter.style.transform = `translate(${place(x)}px, ${place(-y)}px)`;
    });
  }
}

/** @param {string} text */
function kindOf(text) {
  if (/^[aeiouAEIOU]$/.test(text)) return "vowel";
  if (/^\p{Lu}/u.test(text)) return "capital";
  return /^\p{L}/u.test(text) ? "letter" : "mark";
}

/**
 * Write: a prompt and the options of sampling, the text as it comes, and another token in any place.
 */

import { chip, find, heatLegend } from "./dom.js";
import { TokenText } from "./text.js";
import { visible } from "./tokenizer.js";

/** @import { Client } from "./client.js" */
/** @import { Sampling } from "./sampling.js" */
/** @import { Token, Writing } from "./worker.js" */

export class Writer {
  /**
   * @param {Client} client
   * @param {(tokens: Token[], at: number) => void} look is told where the cursor stands, unless it is still moving
   */
  constructor(client, look) {
    this.client = client;
    this.look = look;
    /** how many tokens of the text were given, not written */
    this.prompt = 0;
    /** whether the text is being written */
    this.writing = false;
    /** ends with the writing */
    this.written = Promise.resolve();
    this.field = {
      prompt: find("prompt", HTMLTextAreaElement),
      temperature: find("temperature", HTMLInputElement),
      topP: find("top-p", HTMLInputElement),
      topK: find("top-k", HTMLInputElement),
      seed: find("seed", HTMLInputElement),
      count: find("count", HTMLInputElement),
      stop: find("stop", HTMLInputElement),
    };
    this.form = find("options", HTMLFormElement);
    this.button = find("begin", HTMLButtonElement);
    this.more = find("more", HTMLButtonElement);
    this.speed = find("speed", HTMLOutputElement);
    this.text = new TokenText(find("text", HTMLDivElement), client.tokenizer, {
      point: (i) => this.tell(i),
      choose: (i) => {
        this.tell(i);
        if (!this.writing) look(this.text.tokens, i);
      },
    });
    find("legend", HTMLSpanElement).append(...heatLegend());
    const { prompt, seed } = client.content;
    Object.entries({ temperature: "0.8", topP: "1", seed: String(seed), count: "300" }).forEach(([name, value]) => {
      this.field[/** @type {"seed"} */ (name)].value = value;
    });
    this.field.prompt.value = prompt.text;
    this.field.prompt.disabled = client.tokenizer.encode === null;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.writing) this.stop();
      else this.begin();
    });
    this.more.addEventListener("click", () => this.goOn());
    for (const field of [this.field.temperature, this.field.topP, this.field.topK]) {
      field.addEventListener("input", () => {
        this.sayOptions();
        if (!this.writing && this.text.cursor >= 0) look(this.text.tokens, this.text.cursor);
      });
    }
    this.sayOptions();
  }

  /** @returns {Sampling} */
  get sampling() {
    const { temperature, topK, topP } = this.field;
    return {
      temperature: Number(temperature.value),
      topK: topK.value && topK.validity.valid ? Number(topK.value) : null,
      topP: Number(topP.value),
    };
  }

  /** @returns {Writing} */
  get options() {
    const { seed, count, stop } = this.field;
    const end = stop.value.replaceAll("\\n", "\n").replaceAll("\\t", "\t");
    return { ...this.sampling, seed: seed.value, count: Number(count.value), stop: end || null };
  }

  sayOptions() {
    const { temperature, topP } = this.sampling;
    find("temperature-said", HTMLOutputElement).value = temperature ? temperature.toFixed(2) : "0, the likeliest";
    find("top-p-said", HTMLOutputElement).value = topP !== null && topP < 1 ? topP.toFixed(2) : "all";
  }

  /** Begins anew, from the prompt. */
  begin() {
    if (!this.form.reportValidity()) return;
    const { ids, unknown } = this.client.encode(this.field.prompt.value);
    const note = find("unknown", HTMLParagraphElement);
    note.hidden = unknown.length === 0;
    note.textContent = `Left out, for the network does not know it: ${unknown.map(visible).join(" ")}`;
    this.text.clear();
    this.prompt = ids.length;
    this.written = this.write(ids);
  }

  /** Writes more of the text. */
  goOn() {
    if (!this.writing && this.text.tokens.length && this.form.reportValidity()) {
      this.written = this.write(this.text.tokens.map((token) => token.id));
    }
  }

  /**
   * Puts another token in a place, and goes on from there. Number i of the seed is still token i's.
   *
   * @param {number} place
   * @param {number} id
   */
  async replace(place, id) {
    if (!this.form.reportValidity()) return;
    if (this.writing) await this.stop();
    const before = this.text.tokens.slice(0, place);
    this.prompt = Math.min(this.prompt, place);
    this.text.box.focus();
    this.written = this.write([...before.map((token) => token.id), id], before);
  }

  /**
   * Writes on.
   *
   * @param {number[]} ids the text so far
   * @param {Token[]} known what was known of its first tokens
   */
  async write(ids, known = this.text.tokens) {
    const { client, text, prompt } = this;
    this.setWriting(true);
    let first = true;
    const take = (/** @type {Token[]} */ tokens) => {
      if (first) {
        text.clear();
        tokens = tokens.map((token, i) => (token.nats === null && known[i] ? known[i] : token));
        first = false;
      }
      text.append(tokens, prompt);
    };
    const question = { task: /** @type {const} */ ("write"), channel: "text", text: { network: client.network, ids } };
    const { kept, perSecond } = await client.ask(
      { ...question, drawn: ids.length - prompt, options: this.options },
      take,
    );
    text.cut(ids.length, kept);
    const { unit } = client.tokenizer;
    this.speed.value = `${Math.round(perSecond).toLocaleString("en")} ${unit}s a second`;
    this.setWriting(false);
    text.choose(known.length && known.length < ids.length ? ids.length - 1 : text.tokens.length - 1);
  }

  /** @param {boolean} writing */
  setWriting(writing) {
    this.writing = writing;
    this.button.textContent = writing ? "Stop" : "Write";
    this.more.disabled = writing;
    if (writing) this.speed.value = "";
  }

  /** Ends the writing, after what has come. */
  async stop() {
    await this.client.ask({ task: "stop", channel: "text" });
    await this.written;
  }

  /**
   * Tells what was expected in a place.
   *
   * @param {number} i
   */
  tell(i) {
    const { tokens } = this.text;
    const { texts } = this.client.tokenizer;
    const said = find("said", HTMLParagraphElement);
    const others = find("others", HTMLDivElement);
    if (!tokens[i]) return;
    const { id, nats, guesses } = tokens[i];
    const name = `“${visible(texts[id])}”`;
    said.textContent =
      nats === null
        ? `${name} is where the text begins for the network: nothing had been expected.`
        : `${name} was given ${share(nats)}: ${nats.toFixed(2)} nats. Expected here:`;
    others.replaceChildren(
      ...guesses.map(([guess, likely]) => {
        const made = chip("button", visible(texts[guess]), likely);
        made.type = "button";
        made.title = `go on with ${visible(texts[guess])} here`;
        made.setAttribute("aria-pressed", String(guess === id));
        made.addEventListener("click", () => this.replace(i, guess));
        return made;
      }),
    );
  }
}

/** @param {number} nats */
function share(nats) {
  const percent = Math.exp(-nats) * 100;
  return `${percent >= 1 ? Math.round(percent) : percent.toPrecision(1)}%`;
}

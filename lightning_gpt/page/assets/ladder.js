/**
 * The ladder: the same line put to every network, side by side.
 */

import { chip, element, find, heat } from "./dom.js";
import { visible } from "./tokenizer.js";

/** @import { Client, Described } from "./client.js" */
/** @import { Token, Writing } from "./worker.js" */

const GOES_ON = 160; // tokens that each goes on with

export class Ladder {
  /**
   * @param {Client} client
   * @param {() => Writing} options of what they write
   */
  constructor(client, options) {
    this.client = client;
    this.options = options;
    this.rungs = find("rungs", HTMLDivElement);
    this.line = find("line", HTMLInputElement);
    this.line.value = client.content.line.text;
    this.line.disabled = client.tokenizer.encode === null;
    find("question", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
  }

  /** Asks every network, the lowest first. */
  async ask() {
    const { networks, ladder } = this.client.content;
    const { ids } = this.client.encode(this.line.value);
    const asked = networks.slice(0, ladder).map((described, network) => this.rung(described, network, ids));
    this.rungs.replaceChildren(...asked.map(({ article }) => article));
    for (const { run } of asked) await run();
  }

  /**
   * One network's part, and what fills it.
   *
   * @param {Described} described
   * @param {number} network
   * @param {number[]} ids
   */
  rung({ name, idea, parameters, loss }, network, ids) {
    const { texts, unit } = this.client.tokenizer;
    const text = element("div", "text line");
    const next = element("div", "chips");
    const mean = element("b", "", "…");
    const written = element("div", "text", "… ");
    const facts = [
      `${parameters.toLocaleString("en")} weights`,
      ...(loss === null ? [] : [`${loss.toFixed(3)} nats held out`]),
    ];
    const article = element(
      "article",
      "rung",
      element("header", "", element("h3", "", name), element("p", "", idea), element("p", "facts", facts.join(", "))),
      element(
        "div",
        "",
        element("p", "facts", mean, ` nats per ${unit} of the line`),
        text,
        element("div", "next", element("span", "facts", "next:"), next),
        written,
      ),
    );
    const run = async () => {
      const asked = { network, ids };
      /** @type {{ tokens: Token[], guesses: [number, number][] }} */
      const { tokens, guesses } = await this.client.ask({ task: "judge", text: asked });
      text.replaceChildren(...tokens.map(({ id, nats }) => element("span", heat(nats), visible(texts[id]))));
      const nats = tokens.flatMap((token) => token.nats ?? []);
      mean.textContent = nats.length ? (nats.reduce((sum, n) => sum + n, 0) / nats.length).toFixed(2) : "no";
      next.replaceChildren(...guesses.slice(0, 5).map(([id, share]) => chip("span", visible(texts[id]), share)));
      const decode = this.client.tokenizer.decoder();
      const options = { ...this.options(), count: GOES_ON, stop: null };
      let given = true;
      const question = { task: /** @type {const} */ ("write"), channel: "ladder", text: asked, drawn: 0, options };
      await this.client.ask(question, (batch) => {
        const said = batch.map(({ id }) => decode(id)).join("");
        if (!given) written.append(said.replaceAll("\n", "⏎")); // in as few lines as can be
        given = false;
      });
    };
    return { article, run };
  }
}

/**
 * The page's side of the worker: questions to it, and what the networks are.
 */

import { Tokenizer } from "./tokenizer.js";

/** @import { TokenizerData } from "./tokenizer.js" */
/** @import { NetworkData } from "./weights.js" */
/** @import { Question, Token } from "./worker.js" */

/**
 * A network as the page describes it.
 *
 * @typedef {NetworkData & { name: string, idea: string, step: number | null, loss: number | null, parameters: number }}
 *   Described
 */

/** @typedef {{ text: string, ids: number[] }} Given a text that Python has encoded */

/**
 * What Python put on the page: see content.py.
 *
 * @typedef {object} Content
 * @property {string} title
 * @property {TokenizerData} tokenizer
 * @property {Described[]} networks those of the ladder, then those of the film
 * @property {number} ladder how many are the ladder's
 * @property {number[][]} axes
 * @property {Given} prompt
 * @property {Given} line
 * @property {number} seed
 */

export class Client {
  constructor() {
    /** @type {Content} */
    this.content = JSON.parse(blockOf("content"));
    this.tokenizer = new Tokenizer(this.content.tokenizer);
    /** which network is written with and looked into */
    this.network = this.content.ladder - 1;
    /** @type {Map<number, { tokens?: (tokens: Token[]) => void, done: (answer: any) => void, failed: (e: Error) => void }>} */
    this.waiting = new Map();
    this.asked = 0;
    const address = URL.createObjectURL(new Blob([blockOf("worker")], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.worker.onmessage = ({ data }) => this.answered(data);
    const { networks, tokenizer } = this.content;
    this.post({ task: "begin", networks, tokenizer });
    /** @type {(Promise<void> | undefined)[]} */
    this.loading = [];
    /** @type {Set<number>} */
    this.loaded = new Set();
  }

  /** The network that is chosen. */
  get described() {
    return this.content.networks[this.network];
  }

  /**
   * Asks the worker; tokens come as they are written, the rest when all is done.
   *
   * @param {Question} question
   * @param {(tokens: Token[]) => void} [tokens]
   * @returns {Promise<any>}
   */
  async ask(question, tokens) {
    const network = "text" in question ? question.text.network : "network" in question ? question.network : null;
    if (network !== null && !this.loaded.has(network)) await this.load(network);
    return this.post(question, tokens);
  }

  /**
   * Hands a network's weights to the worker, once, in pieces: no frame waits for all of them.
   *
   * @param {number} network
   */
  load(network) {
    return (this.loading[network] ??= (async () => {
      for (let i = 0; document.getElementById(`weights-${network}-${i}`); i++) {
        await this.post({ task: "load", network, piece: blockOf(`weights-${network}-${i}`) });
      }
      this.loaded.add(network);
    })());
  }

  /**
   * @param {Question} question
   * @param {(tokens: Token[]) => void} [tokens]
   * @returns {Promise<any>}
   */
  post(question, tokens) {
    const id = this.asked++;
    return new Promise((done, failed) => {
      this.waiting.set(id, { tokens, done, failed });
      this.worker.postMessage({ id, ...question });
    });
  }

  /** @param {any} answer */
  answered(answer) {
    const asker = this.waiting.get(answer.id);
    if (!asker) return;
    if (answer.done || answer.error !== undefined) this.waiting.delete(answer.id);
    if (answer.error !== undefined) asker.failed(new Error(answer.error));
    else if (answer.done) asker.done(answer);
    else asker.tokens?.(answer.tokens);
  }

  /**
   * Turns a text into ids, at least one: of what can't be spelled nothing is left.
   *
   * @param {string} text
   * @returns {{ ids: number[], unknown: string[] }}
   */
  encode(text) {
    const { prompt, line } = this.content;
    const { encode } = this.tokenizer;
    const given = [prompt, line].find((given) => given.text === text) ?? (encode ? undefined : prompt);
    if (given || !encode) return { ids: (given ?? prompt).ids, unknown: [] };
    const { ids, unknown } = encode(text);
    return { ids: ids.length ? ids : [this.tokenizer.ids.get("\n") ?? 0], unknown };
  }
}

/** @param {string} id */
function blockOf(id) {
  const text = document.getElementById(id)?.textContent;
  if (typeof text !== "string") throw new Error(`no block ${id}`);
  return text;
}

/**
 * Reads a growing text with a network, as lightning_gpt/model/decoding.py does: the same window at every token.
 */

import { newCache } from "./attention.js";

/** @import { Network, Trace } from "./networks.js" */

/**
 * Reads a text for the logits of what comes next.
 *
 * As long as the text fits into a block, a token costs one token's work. Then the window slides: a network that Python
 * reads with a cache begins anew with the later half of the full block, and goes on from there; rungs 1 to 7 read the
 * last block anew for each token.
 */
export class Reader {
  /**
   * @param {Network} network
   * @param {number[]} ids the text so far, one token at least
   */
  constructor(network, ids) {
    this.network = network;
    /** where the window begins in the text */
    this.start = Math.max(0, ids.length - network.blockSize);
    /** what the network may look at */
    this.ids = ids.slice(this.start);
    /** @type {import("./attention.js").Cache | null} */
    this.cache = null;
  }

  /**
   * Adds one more token to the text.
   *
   * @param {number} id
   */
  append(id) {
    const { blockSize, cached } = this.network;
    this.ids.push(id);
    if (this.ids.length <= blockSize) return;
    this.start += this.ids.length - blockSize;
    this.ids = this.ids.slice(-blockSize);
    if (!cached) this.cache = null; // every token is now at another position
  }

  /**
   * Reads what has not been read yet; the last row of it is what comes next.
   *
   * @param {Trace} [trace]
   * @returns {Float32Array} (n, V)
   */
  read(trace) {
    const { blockSize } = this.network;
    let unread = this.ids.slice(-1);
    if (this.cache === null || this.cache.length === blockSize) {
      if (this.cache !== null) {
        const half = Math.max(1, Math.floor(blockSize / 2));
        this.start += Math.max(0, this.ids.length - half);
        this.ids = this.ids.slice(-half);
      }
      this.cache = newCache(blockSize);
      unread = this.ids;
    }
    return this.network.read(unread, this.cache, trace);
  }

  /** The logits of the next token (V,). */
  logits() {
    return this.read().slice(-this.network.vocabSize);
  }
}

/**
 * Text to ids and back, for tokens of any bytes. Knows no network.
 */

import { encoder } from "./bpe.js";

/** @import { Rules } from "./bpe.js" */

/**
 * A tokenizer as data: every token is its UTF-8 bytes, which need not be whole characters.
 *
 * @typedef {object} TokenizerData
 * @property {string} kind its name in Python's table
 * @property {string} unit what a token is called
 * @property {string} bytes of all tokens, one after another, in base64
 * @property {number[]} lengths how many bytes each token has
 * @property {Rules} [rules] of BPE
 */

/** @typedef {(text: string) => { ids: number[], unknown: string[] }} Encode */

/** @type {Record<string, (tokenizer: Tokenizer, rules?: Rules) => Encode>} */
const ENCODERS = {
  characters: (tokenizer) => (text) => encodeCharacters(tokenizer, text),
  bytes: () => (text) => ({ ids: Array.from(new TextEncoder().encode(text)), unknown: [] }),
  bpe({ tokens }, rules) {
    const encode = encoder(/** @type {Rules} */ (rules), tokens);
    return (text) => ({ ids: encode(text), unknown: [] });
  },
};

export class Tokenizer {
  /** @param {TokenizerData} data */
  constructor({ kind, unit, bytes, lengths, rules }) {
    this.kind = kind;
    this.unit = unit;
    const all = fromBase64(bytes);
    let at = 0;
    this.tokens = lengths.map((length) => all.subarray(at, (at += length)));
    /** The text of each id, to be looked at: bytes that are no whole character are written as \xNN. */
    this.texts = this.tokens.map((token) => strictly(token) ?? Array.from(token, backslashed).join(""));
    this.ids = new Map(this.texts.map((text, id) => [text, id]));
    /** Encodes a text; what can't be spelled is left out, and named. Null: a kind that is not known here. */
    this.encode = Object.hasOwn(ENCODERS, kind) ? ENCODERS[kind](this, rules) : null;
  }

  /**
   * Makes a decoder of one stream of ids: bytes that may be the beginning of a character wait for its end.
   *
   * @returns {(id: number) => string}
   */
  decoder() {
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return (id) => utf8.decode(this.tokens[id], { stream: true });
  }
}

/** @param {Tokenizer} tokenizer @param {string} text */
function encodeCharacters(tokenizer, text) {
  const ids = [];
  const unknown = new Set();
  for (const character of text) {
    const id = tokenizer.ids.get(character);
    if (id === undefined) unknown.add(character);
    else ids.push(id);
  }
  return { ids, unknown: [...unknown] };
}

/** @param {Uint8Array} bytes */
function strictly(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** @param {number} byte */
function backslashed(byte) {
  return byte < 0x80 ? String.fromCharCode(byte) : `\\x${byte.toString(16)}`;
}

/**
 * Replaces what can't be seen by a mark, as lightning_gpt/pictures/attention.py does.
 *
 * @param {string} text
 */
export function visible(text) {
  return Array.from(text, (c) => MARKS.get(c) ?? (/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Z}]/u.test(c) ? "□" : c)).join("");
}

const MARKS = new Map([
  [" ", "␣"],
  ["\n", "⏎"],
  ["\t", "⇥"],
]);

/**
 * @param {string} text
 * @returns {Uint8Array}
 */
export function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

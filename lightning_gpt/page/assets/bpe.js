/**
 * Byte-level BPE: a text's words as GPT-2 splits them, and merges inside each. Knows no network.
 */

// no merge reaches over a word's borders
const WORDS =
  /'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/**
 * The rules of a tokenizer.
 *
 * @typedef {object} Rules
 * @property {number[][]} merges the ids of two tokens and of the one that they become, in order of precedence
 * @property {number[]} special ids of tokens that stand for their own text, and that no merge makes
 */

/**
 * Makes an encoder.
 *
 * @param {Rules} rules
 * @param {Uint8Array[]} tokens the bytes of each
 * @returns {(text: string) => number[]}
 */
export function encoder({ merges, special }, tokens) {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const specials = new Map(special.map((id) => [utf8.decode(tokens[id]), id]));
  /** @type {number[]} */
  const ofByte = [];
  tokens.forEach((token, id) => token.length === 1 && !special.includes(id) && (ofByte[token[0]] = id));
  const ranks = new Map(merges.map(([left, right, whole], rank) => [`${left} ${right}`, { rank, whole }]));

  /** @param {string} word */
  function encodeWord(word) {
    const ids = Array.from(new TextEncoder().encode(word), (byte) => ofByte[byte]);
    for (;;) {
      let [at, best] = [-1, { rank: Infinity, whole: -1 }];
      for (let i = 0; i + 1 < ids.length; i++) {
        const found = ranks.get(`${ids[i]} ${ids[i + 1]}`);
        if (found && found.rank < best.rank) [at, best] = [i, found];
      }
      if (at < 0) return ids;
      ids.splice(at, 2, best.whole);
    }
  }

  const longestFirst = [...specials.keys()].sort((a, b) => b.length - a.length);
  const borders = new RegExp(`(${longestFirst.map((text) => text.replace(/[^\p{L}\p{N}]/gu, "\\$&")).join("|")})`);
  return (text) =>
    (special.length ? text.split(borders) : [text]).flatMap((part) => {
      const id = specials.get(part);
      return id === undefined ? (part.match(WORDS) ?? []).flatMap(encodeWord) : [id];
    });
}

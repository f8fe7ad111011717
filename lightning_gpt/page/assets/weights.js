/**
 * Weights as the page holds them, to tensors by name.
 */

import { fromBase64 } from "./tokenizer.js";

/** @import { Sizes, Weights } from "./networks.js" */

/**
 * A network as data; its weights lie one after another in texts of base64, little end first.
 *
 * @typedef {object} NetworkData
 * @property {string} network its class in Python
 * @property {Sizes} sizes
 * @property {number} bits of a weight: 32 or 16
 * @property {[name: string, shape: number[]][]} tensors in their order
 */

/**
 * @param {NetworkData} data
 * @param {string[]} pieces of base64, each of which ends with a whole byte
 * @returns {Weights}
 */
export function unpack({ bits, tensors }, pieces) {
  const parts = pieces.map(fromBase64);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  const all = bits === 16 ? fromHalf(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  let at = 0;
  return new Map(
    tensors.map(([name, shape]) => {
      const size = shape.reduce((product, side) => product * side, 1);
      return [name, { shape, data: all.subarray(at, (at += size)) }];
    }),
  );
}

/**
 * Widens numbers of 16 bits (1 sign, 5 exponent, 10 fraction) to 32.
 *
 * @param {Uint16Array} halves
 */
function fromHalf(halves) {
  return Float32Array.from(halves, (bits) => {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const size = exponent ? 2 ** (exponent - 25) * (1024 + fraction) : 2 ** -24 * fraction;
    return bits & 0x8000 ? -size : size;
  });
}

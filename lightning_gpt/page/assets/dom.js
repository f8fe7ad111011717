/**
 * Makes elements. Text becomes text only, never markup.
 */

const SVG = "http://www.w3.org/2000/svg";
const MATHML = "http://www.w3.org/1998/Math/MathML";

/** @typedef {string | Node} Child */

/**
 * Finds the element of an id.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {{ new (): T }} type
 * @returns {T}
 */
export function find(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`no ${id}`);
  return found;
}

/**
 * Makes an element with a class and children.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} name its class; empty for none
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

/**
 * Makes an element of a picture.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {Child[]} children
 */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/**
 * Makes an element of a formula.
 *
 * @param {string} tag
 * @param {Child[]} children
 */
export function math(tag, ...children) {
  const made = document.createElementNS(MATHML, tag);
  made.append(...children);
  return made;
}

/** @param {string} name @returns a name in a formula */
export const mi = (name) => math("mi", name);

/** @param {string} sign */
export const mo = (sign) => math("mo", sign);

/** @param {number} number */
export const mn = (number) => math("mn", String(number));

/** @param {Child[]} children */
export const row = (...children) => math("mrow", ...children);

/** @param {Child} base @param {Child} below */
export const sub = (base, below) => math("msub", base, below);

/** @param {Child} base @param {Child} above */
export const sup = (base, above) => math("msup", base, above);

/** @param {Child} above @param {Child} below */
export const fraction = (above, below) => math("mfrac", above, below);

/**
 * The set of real vectors or matrices of a shape.
 *
 * @param {number[]} shape
 */
export function reals(...shape) {
  const sides = shape.flatMap((side, i) => (i ? [mo("×"), mn(side)] : [mn(side)]));
  return sup(mi("ℝ"), row(...sides));
}

/**
 * Formulas on a line of their own, or on several where there is not room.
 *
 * @param {Child[]} parts
 */
export function formulas(...parts) {
  const made = parts.map((part) => math("math", part));
  for (const each of made) each.setAttribute("displaystyle", "true");
  return element("div", "formulas", ...made);
}

/** @param {number} share */
export function percent(share) {
  if (share <= 0) return "0%";
  return share < 0.005 ? "<1%" : `${Math.round(share * 100)}%`;
}

/**
 * A token and its share, as a small box that is the fuller the larger the share.
 *
 * @template {"span" | "button"} K
 * @param {K} tag
 * @param {string} token as it is to be seen
 * @param {number} share
 * @param {string} [said] in place of the share
 */
export function chip(tag, token, share, said = percent(share)) {
  const made = element(tag, "chip", element("b", "", token), element("span", "", said));
  made.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return made;
}

const STEPS = [0.25, 0.75, 1.5, 2.5, 3.5, 5]; // nats at which a token's colour gets stronger

/**
 * The class of a surprisal's colour: h0 to h6; of none none.
 *
 * @param {number | null} nats
 */
export function heat(nats) {
  return nats === null ? "" : `h${STEPS.filter((step) => nats >= step).length}`;
}

/** The legend of these colours. */
export function heatLegend() {
  return [0, ...STEPS].map((step, i) => element("b", `h${i}`, String(step)));
}

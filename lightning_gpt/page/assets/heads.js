/**
 * Draws what every head looks at from one position: a row for each, and arcs for the one that is chosen.
 */

import { element, percent, svg } from "./dom.js";

const WIDTH = 18; // of a token, in pixels
const HEIGHT = 16; // of a head's row
const NAME = 42; // width of the rows' names
const EARLIER = 34; // width of the column for all that is further back

/**
 * Each head's name.
 *
 * @param {Float32Array[][]} attention of each layer and head
 */
export function headNames(attention) {
  return attention.flatMap((heads, layer) =>
    heads.map((_, head) => (attention.length > 1 ? `block ${layer + 1}, head ${head + 1}` : `head ${head + 1}`)),
  );
}

/**
 * Draws the heads; `pick` is called with the number of a row that was clicked.
 *
 * @param {Float32Array[][]} attention of each layer and head: a weight for each token (T,)
 * @param {string[]} tokens as they are to be seen (T,)
 * @param {number} chosen number of the head whose arcs are drawn; -1: the mean of all
 * @param {number} room pixels that there are
 * @param {(head: number) => void} pick
 */
export function drawHeads(attention, tokens, chosen, room, pick) {
  const rows = attention.flat();
  const T = tokens.length;
  const most = Math.max(4, Math.floor((room - NAME - 8) / WIDTH));
  const shown = T <= most ? T : Math.max(3, Math.floor((room - NAME - EARLIER - 8) / WIDTH));
  const left = NAME + (shown < T ? EARLIER : 0);
  const top = Math.min(110, 26 + shown * 5); // of the row of tokens; arcs are above it
  const below = top + 24;
  const arcs = chosen < 0 ? mean(rows) : rows[chosen];
  const columns = Array.from({ length: shown }, (_, i) => ({ place: T - shown + i, x: left + (i + 0.5) * WIDTH }));
  const end = left + (shown - 0.5) * WIDTH;
  const picture = svg("svg", {
    width: left + shown * WIDTH + 6,
    height: below + rows.length * HEIGHT + 4,
    role: "img",
    "aria-label": `Attention from “${tokens[T - 1]}”, over ${T} tokens; the table below says it in words`,
  });
  for (const { place, x } of columns) {
    const weight = arcs[place];
    if (weight > 0.01 && place < T - 1) {
      const height = 10 + ((end - x) / (shown * WIDTH)) * (top - 30);
      const path = `M ${end} ${top - 12} C ${end} ${top - 12 - height * 1.33}, ${x} ${top - 12 - height * 1.33}, ${x} ${top - 12}`;
      const width = (0.6 + 5 * weight).toFixed(2);
      picture.append(svg("path", { d: path, class: "arc", "stroke-width": width, opacity: 0.25 + 0.75 * weight }));
    }
  }
  for (const { place, x } of columns) {
    const here = place === T - 1 ? "token here" : "token";
    picture.append(svg("text", { x, y: top + 4, class: here }, tokens[place]));
  }
  if (shown < T) picture.append(svg("text", { x: NAME + EARLIER / 2, y: top + 4, class: "small" }, "earlier"));
  let number = 0;
  attention.forEach((heads, layer) =>
    heads.forEach((weights, head) => {
      const own = number++;
      const y = below + own * HEIGHT;
      const said = attention.length > 1 ? `${layer + 1} · ${head + 1}` : `${head + 1}`;
      const group = svg("g", { class: own === chosen ? "head chosen" : "head" });
      group.addEventListener("click", () => pick(own));
      group.append(
        svg("rect", { x: 0, y, width: left + shown * WIDTH, height: HEIGHT, class: "ground" }),
        svg("text", { x: 6, y: y + 12, class: "name" }, said),
      );
      if (shown < T) {
        let sum = 0;
        for (let i = 0; i < T - shown; i++) sum += weights[i];
        group.append(cell(NAME + 4, y, EARLIER - 8, sum, "earlier"));
      }
      for (const { place, x } of columns) {
        group.append(cell(x - WIDTH / 2, y, WIDTH - 1, weights[place], tokens[place]));
      }
      picture.append(group);
    }),
  );
  return element("div", "scroll", picture);
}

/**
 * A weight; small ones are lifted, for most are small.
 *
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} weight
 * @param {string} token
 */
function cell(x, y, width, weight, token) {
  const box = { x, y: y + 1, width, height: HEIGHT - 2, class: "cell", "fill-opacity": (weight ** 0.6).toFixed(3) };
  return svg("rect", box, svg("title", {}, `${token} ${percent(weight)}`));
}

/**
 * Says in words what each head looks at most.
 *
 * @param {Float32Array[][]} attention
 * @param {string[]} tokens
 */
export function headWords(attention, tokens) {
  const names = headNames(attention);
  return attention.flat().map((weights, i) => {
    const order = Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a]);
    const said = order
      .slice(0, 3)
      .map((place) => `“${tokens[place]}” ${back(tokens.length - 1 - place)} ${percent(weights[place])}`);
    return `${names[i]}: ${said.join(", ")}`;
  });
}

/** @param {number} distance */
export function back(distance) {
  return distance ? `${distance} back` : "itself";
}

/** @param {Float32Array[]} rows */
function mean(rows) {
  const sum = new Float32Array(rows[0].length);
  for (const weights of rows) weights.forEach((weight, i) => (sum[i] += weight / rows.length));
  return sum;
}

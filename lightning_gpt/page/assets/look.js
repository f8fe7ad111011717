/**
 * Look inside: what the network computes at one position, in four panels, each with its sentence and its formula.
 */

import { chip, element, find, formulas, fraction, math, mi, mn, mo, percent, reals, row, sub, sup } from "./dom.js";
import { back, drawHeads, headNames, headWords } from "./heads.js";
import { SHARPNESS } from "./pointer.js";
import { visible } from "./tokenizer.js";

/** @import { Client } from "./client.js" */
/** @import { Sampling } from "./sampling.js" */
/** @import { Inside, Token } from "./worker.js" */

const BARS = 8; // tokens whose probabilities are shown
const COPIES = 6; // places that are copied from
const AROUND = 16; // tokens before each of them

/**
 * What a panel is about.
 *
 * @typedef {object} Seen
 * @property {Inside} inside
 * @property {number[]} ids of the window; the last is the one looked at
 * @property {string[]} tokens the same, as they are to be seen
 * @property {number | null} next the token that follows in the text
 * @property {Sampling} sampling
 */

export class Looker {
  /** @param {Client} client */
  constructor(client) {
    this.client = client;
    this.panels = find("panels", HTMLDivElement);
    this.where = find("where", HTMLParagraphElement);
    /** number of the head whose arcs are drawn; -1: the mean of all */
    this.head = -1;
    this.asked = 0;
    /** @type {Seen | null} */
    this.seen = null;
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (this.seen && Math.abs(contentRect.width - width) > 8) this.draw(this.seen);
      width = contentRect.width;
    }).observe(this.panels);
  }

  get sizes() {
    const { sizes, network } = this.client.described;
    const C = Number(sizes.n_embd ?? sizes.vocab_size);
    const H = Number(sizes.n_head ?? 1);
    return { network, V: Number(sizes.vocab_size), T: Number(sizes.block_size), C, H, D: C / H, sizes };
  }

  /** @param {number} id */
  text(id) {
    return visible(this.client.tokenizer.texts[id]);
  }

  /**
   * Looks at a place of a text.
   *
   * @param {Token[]} tokens
   * @param {number} at
   * @param {Sampling} sampling
   */
  async look(tokens, at, sampling) {
    const asked = ++this.asked;
    const { T } = this.sizes;
    const next = tokens[at + 1];
    let start = next ? next.start : tokens[at].start;
    if (start > at || at - start >= T) start = Math.max(0, at + 1 - T); // a token that was given, not written
    const ids = tokens.slice(start, start + T).map((token) => token.id);
    const text = { network: this.client.network, ids };
    const { inside } = await this.client.ask({ task: "look", text, at: at - start, sampling });
    if (asked !== this.asked) return; // another place has been chosen
    const seen = ids.slice(0, at - start + 1);
    const read = seen.map((id) => this.text(id));
    this.where.replaceChildren(
      "Position ",
      element("b", "", String(at + 1)),
      ": the network has read ",
      element("code", "", `${read.length > 12 ? "…" : ""}${read.slice(-12).join("")}`),
      next ? " and is about to guess " : " and is about to guess what comes next.",
      ...(next ? [element("code", "", this.text(next.id)), "."] : []),
    );
    this.draw({ inside, ids: seen, tokens: read, next: next ? next.id : null, sampling });
  }

  /** @param {Seen} seen */
  draw(seen) {
    this.seen = seen;
    this.panels.replaceChildren(
      this.embedding(seen),
      ...(seen.inside.attention.length ? [this.attention(seen)] : []),
      this.stages(seen),
      ...(seen.inside.copied.length ? [this.copies(seen)] : []),
      this.probabilities(seen),
    );
  }

  /** @param {Seen} seen */
  embedding({ inside, tokens }) {
    const { V, C, network } = this.sizes;
    const { unit } = this.client.tokenizer;
    const here = tokens[tokens.length - 1];
    const what =
      network === "Bigram"
        ? `Row “${here}” of one table holds the scores of whatever follows; these ${unit}s have the most similar rows.`
        : `“${here}” enters as ${C} learned numbers, its row of a table; these ${unit}s’ rows point most nearly the same way.`;
    const e = (/** @type {string} */ name) => sub(mi("e"), mi(name));
    const length = (/** @type {string} */ name) => row(mo("‖"), e(name), mo("‖"));
    return panel(
      "Its vector",
      what,
      formulas(
        row(
          row(mi("cos"), mo("("), e("a"), mo(","), e("b"), mo(")"), mo("=")),
          fraction(row(e("a"), mo("·"), e("b")), row(length("a"), length("b"))),
        ),
        row(e("a"), mo("∈"), reals(C)),
        row(mi("E"), mo("∈"), reals(V, C)),
      ),
      element(
        "div",
        "chips",
        ...inside.neighbours.map(({ id, cosine }) => chip("span", this.text(id), cosine, cosine.toFixed(2))),
      ),
    );
  }

  /** @param {Seen} seen */
  attention(seen) {
    const { D } = this.sizes;
    const { attention } = seen.inside;
    const T = attention[0][0].length;
    const tokens = seen.tokens.slice(-T); // which it can look at
    const names = headNames(attention);
    const { unit } = this.client.tokenizer;
    if (this.head >= names.length) this.head = -1;
    const select = element("select", "");
    select.append(...["the mean of all heads", ...names].map((name, i) => new Option(name, String(i - 1))));
    select.value = String(this.head);
    const redraw = () => {
      const old = this.panels.children[1];
      old.replaceWith(this.attention(seen));
    };
    select.addEventListener("change", () => {
      this.head = Number(select.value);
      redraw();
      this.panels.children[1].querySelector("select")?.focus();
    });
    const room = this.panels.clientWidth ? Math.min(this.panels.clientWidth, 760) - 34 : 300;
    const words = element("ul", "", ...headWords(attention, tokens).map((said) => element("li", "", said)));
    const among = T < seen.tokens.length ? `last ${T} ${unit}s` : `${T} ${unit}s so far`;
    const transposed = sup(mi("K"), mi("⊤"));
    return panel(
      "What it looks at",
      names.length === 1
        ? `The head shares its attention among the ${among}: the stronger the colour, the more.`
        : `Each of the ${names.length} heads shares its attention among the ${among}: a row each, named ` +
            `${attention.length > 1 ? "block · head" : "head"}, the stronger the colour, the more.`,
      formulas(
        row(mi("softmax"), mo("("), fraction(row(mi("q"), transposed), math("msqrt", mn(D))), mo(")"), mi("V")),
        row(mi("q"), mo("∈"), reals(D)),
        row(mi("K"), mo(","), mi("V"), mo("∈"), reals(T, D)),
      ),
      element("label", "inline", "Arcs show ", select),
      drawHeads(attention, tokens, this.head, room, (head) => {
        this.head = head === this.head ? -1 : head;
        redraw();
      }),
      element("details", "", element("summary", "", "In words"), words),
    );
  }

  /** @param {Seen} seen */
  stages({ inside, next }) {
    const { V, C, network, sizes } = this.sizes;
    const normed = !["Bigram", "Averaging", "SingleHeadGPT", "MultiHeadGPT", "FeedForwardGPT", "ResidualGPT"].includes(
      network,
    );
    const biased = !["GPT", "ModernGPT", "Ensemble"].includes(network);
    const x = () => sub(mi("x"), mi("ℓ"));
    const score = [
      mi("W"),
      ...(normed ? [mo("·"), mi("LayerNorm"), mo("("), x(), mo(")")] : [x()]),
      ...(biased ? [mo("+"), mi("b")] : []),
    ];
    const cap = Number(sizes.softcap ?? 0);
    const capped = cap ? [mn(cap), mi("tanh"), mo("("), fraction(row(...score), mn(cap)), mo(")")] : score;
    const rows = inside.stages.map(({ name, guesses }) =>
      element(
        "tr",
        "",
        Object.assign(element("th", "", name), { scope: "row" }),
        element(
          "td",
          "",
          element(
            "div",
            "chips",
            ...guesses.slice(0, 5).map(([id, likely]) => {
              const made = chip("span", this.text(id), likely);
              if (id === next) made.classList.add("right");
              return made;
            }),
          ),
        ),
      ),
    );
    const bigram = network === "Bigram";
    return panel(
      bigram ? "What it guesses" : "What each part adds",
      bigram
        ? "There is nothing in between: the row is the answer."
        : `What would be guessed if the network ended here, from its ${C} numbers after each part: the “logit lens”.` +
            (sizes.pointer ? " The pointer mixes in what it copies." : ""),
      bigram
        ? formulas(row(mi("softmax"), mo("("), sub(mi("E"), mi("a")), mo(")")), row(mi("E"), mo("∈"), reals(V, V)))
        : formulas(
            row(mi("softmax"), mo("("), ...capped, mo(")")),
            row(mi("W"), mo("∈"), reals(V, C)),
            row(x(), mo("∈"), reals(C)),
          ),
      element("table", "lens", element("tbody", "", ...rows)),
      ...(next === null ? [] : [element("p", "note", "Framed: what follows in the text.")]),
    );
  }

  /** @param {Seen} seen */
  copies({ inside, ids, tokens, next }) {
    const { V, network, sizes } = this.sizes;
    const { unit } = this.client.tokenizer;
    const { copied } = inside;
    const sum = copied.reduce((sum, share) => sum + share, 0);
    const places = Array.from(copied.keys())
      .sort((a, b) => copied[b] - copied[a])
      .slice(0, COPIES)
      .filter((place) => copied[place] > 0);
    const rows = places.map((place) => {
      const before = tokens.slice(Math.max(0, place - AROUND), place).join("");
      const made = chip("span", tokens[place], copied[place]);
      if (ids[place] === next) made.classList.add("right");
      return element(
        "tr",
        "",
        element("td", "", element("code", "", before)),
        element("td", "", made),
        element("td", "note", back(tokens.length - 1 - place)),
      );
    });
    const score = () => sup(mi("e"), sub(mi("s"), mi("i")));
    const sentinel = () => sup(mi("e"), mi("σ"));
    const each = () => math("munder", mo("∑"), row(mi("i"), mo("<"), mi("t")));
    return panel(
      "What it copies",
      `Where the text was at a similar point, the pointer copies the ${unit} that followed: ` +
        `${percent(sum)} of ${network === "Ensemble" ? "member 1’s" : "the"} guess comes from such places, the rest is the network’s own.`,
      formulas(
        row(
          row(mi("p"), mo("=")),
          fraction(
            row(
              each(),
              score(),
              sub(mi("y"), row(mi("i"), mo("+"), mn(1))),
              mo("+"),
              sentinel(),
              sub(mi("p"), mi("own")),
            ),
            row(each(), score(), mo("+"), sentinel()),
          ),
        ),
        row(
          sub(mi("s"), mi("i")),
          mo("="),
          mn(SHARPNESS),
          mo("("),
          mi("cos"),
          mo("("),
          mi("q"),
          mo(","),
          sub(mi("k"), mi("i")),
          mo(")"),
          mo("−"),
          mn(1),
          mo(")"),
        ),
        row(mi("q"), mo(","), sub(mi("k"), mi("i")), mo("∈"), reals(Number(sizes.pointer))),
        row(mi("σ"), mo("∈"), mi("ℝ")),
        row(sub(mi("y"), mi("i")), mo("∈"), sup(row(mo("{"), mn(0), mo(","), mn(1), mo("}")), mn(V))),
      ),
      element("table", "copies", element("tbody", "", ...rows)),
    );
  }

  /** @param {Seen} seen */
  probabilities({ inside, next, sampling }) {
    const { V } = this.sizes;
    const said = {
      logits: "as they are",
      temperature: `temperature ${sampling.temperature}`,
      "top-k": `top-k ${sampling.topK}`,
      "top-p": `top-p ${sampling.topP}`,
    };
    const order = Array.from(inside.logits.keys())
      .sort((a, b) => inside.logits[b] - inside.logits[a])
      .slice(0, BARS);
    if (next !== null && !order.includes(next)) order[BARS - 1] = next;
    const head = inside.steps.map(({ name }) =>
      Object.assign(element("th", "", said[/** @type {"logits"} */ (name)]), { scope: "col" }),
    );
    const rows = order.map((id) => {
      const cells = inside.steps.map(({ shares }) => {
        const bar = element("i", "bar");
        bar.style.width = `${shares[id] * 100}%`;
        return element("td", "", element("span", "n", percent(shares[id])), element("span", "track", bar));
      });
      return element(
        "tr",
        id === next ? "right" : "",
        Object.assign(element("th", "", this.text(id)), { scope: "row" }),
        ...cells,
      );
    });
    const z = (/** @type {string} */ i) => sup(mi("e"), row(sub(mi("z"), mi(i)), mo("/"), mi("τ")));
    const { temperature: tau } = sampling;
    return panel(
      "What is drawn from",
      tau === 0
        ? "At temperature 0 nothing is drawn: the likeliest is taken."
        : `${V} scores become probabilities, which temperature, top-k and top-p then change, in this order.`,
      formulas(
        row(
          row(sub(mi("p"), mi("i")), mo("=")),
          fraction(z("i"), row(math("munder", mo("∑"), row(mi("j"), mo("∈"), mi("kept"))), z("j"))),
        ),
        row(mi("τ"), mo("="), mn(tau)),
        row(mi("z"), mo("∈"), reals(V)),
      ),
      element(
        "table",
        "bars",
        element("thead", "", element("tr", "", element("td", ""), ...head)),
        element("tbody", "", ...rows),
      ),
    );
  }
}

/**
 * @param {string} title
 * @param {string} sentence
 * @param {Node[]} content
 */
function panel(title, sentence, ...content) {
  return element("article", "panel", element("h3", "", title), element("p", "", sentence), ...content);
}

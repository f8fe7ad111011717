/**
 * A text on the page, token by token, each coloured by its surprisal; one of them is under the cursor.
 */

import { element, heat } from "./dom.js";

/** @import { Tokenizer } from "./tokenizer.js" */
/** @import { Token } from "./worker.js" */

export class TokenText {
  /**
   * @param {HTMLElement} box a listbox
   * @param {Tokenizer} tokenizer
   * @param {{ point: (i: number) => void, choose: (i: number) => void }} heard what is pointed at, and what is chosen
   */
  constructor(box, tokenizer, heard) {
    this.box = box;
    this.tokenizer = tokenizer;
    this.heard = heard;
    /** @type {Token[]} */
    this.tokens = [];
    this.cursor = -1;
    this.decode = tokenizer.decoder();
    box.addEventListener("pointerover", (event) => heard.point(this.placeOf(event.target) ?? this.cursor));
    box.addEventListener("pointerleave", () => heard.point(this.cursor));
    box.addEventListener("click", (event) => this.choose(this.placeOf(event.target) ?? this.cursor));
    box.addEventListener("keydown", (event) => this.key(event));
  }

  clear() {
    this.tokens = [];
    this.cursor = -1;
    this.decode = this.tokenizer.decoder();
    this.box.replaceChildren();
    this.box.removeAttribute("aria-activedescendant");
  }

  /**
   * @param {Token[]} tokens
   * @param {number} prompt how many tokens of the whole text were given, not written
   */
  append(tokens, prompt) {
    const atEnd = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    this.box.append(
      ...tokens.map((token, i) => {
        const place = this.tokens.length + i;
        const text = this.decode(token.id);
        const given = place < prompt ? " given" : "";
        const made = element("span", `${heat(token.nats)}${given}${text.includes("\n") ? " break" : ""}`.trim(), text);
        made.id = `${this.box.id}-${place}`;
        made.setAttribute("role", "option");
        made.setAttribute("aria-selected", "false");
        return made;
      }),
    );
    this.tokens.push(...tokens);
    if (atEnd) this.box.scrollTop = this.box.scrollHeight;
  }

  /**
   * Removes what comes after the first `length` characters from `from` on.
   *
   * @param {number} from
   * @param {number} length
   */
  cut(from, length) {
    let end = from;
    for (let left = length; end < this.tokens.length && left > 0; end++) {
      const span = this.box.children[end];
      const text = span.textContent ?? "";
      span.textContent = text.slice(0, left);
      left -= text.length;
    }
    while (this.box.children.length > end) this.box.lastChild?.remove();
    this.tokens.length = end;
  }

  /**
   * Moves the cursor to a token.
   *
   * @param {number} i
   */
  choose(i) {
    if (i < 0 || i >= this.tokens.length) return;
    this.box.children[this.cursor]?.setAttribute("aria-selected", "false");
    this.cursor = i;
    const chosen = this.box.children[i];
    chosen.setAttribute("aria-selected", "true");
    this.box.setAttribute("aria-activedescendant", chosen.id);
    this.heard.choose(i);
  }

  /** @param {EventTarget | null} target */
  placeOf(target) {
    const place =
      target instanceof Element && target.parentElement === this.box ? target.id.split("-").pop() : undefined;
    return place === undefined ? undefined : Number(place);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const last = this.tokens.length - 1;
    /** @type {Record<string, () => number>} */
    const moves = {
      ArrowLeft: () => this.cursor - 1,
      ArrowRight: () => this.cursor + 1,
      ArrowUp: () => this.lineAway(-1),
      ArrowDown: () => this.lineAway(1),
      Home: () => 0,
      End: () => last,
    };
    if (!Object.hasOwn(moves, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, moves[event.key]())));
    this.box.children[this.cursor]?.scrollIntoView({ block: "nearest" });
  }

  /**
   * The token that stands above or below the cursor.
   *
   * @param {number} direction -1 or 1
   */
  lineAway(direction) {
    const spans = /** @type {HTMLElement[]} */ ([...this.box.children]);
    const here = spans[this.cursor];
    if (!here) return 0;
    let best = this.cursor;
    let line = null;
    for (let i = this.cursor + direction; i >= 0 && i < spans.length; i += direction) {
      if (spans[i].offsetTop === here.offsetTop) continue;
      line ??= spans[i].offsetTop;
      if (spans[i].offsetTop !== line) break;
      const distance = (/** @type {number} */ place) => Math.abs(spans[place].offsetLeft - here.offsetLeft);
      if (best === this.cursor || distance(i) < distance(best)) best = i;
    }
    return best;
  }
}

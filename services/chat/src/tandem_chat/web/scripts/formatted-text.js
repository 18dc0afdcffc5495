// Shows a growing text as paragraphs, lists and code blocks, touching only its last line as text comes in. It knows a small
// part of Markdown, on purpose; whatever it does not know is shown as written.

import { element, markLanguage } from "./elements.js";

const FENCE = /^ {0,3}```/;
const START_OF_FENCE = /^ {0,3}`{1,2}$/;
const BULLET = /^\s*[-*•]\s+(?=\S)/;
const NUMBER = /^\s*(\d{1,3})[.)]\s+(?=\S)/;
const HEADING = /^#{1,6}\s+(?=\S)/;
const INLINE = /(`[^`]+`|\*\*[^*]+\*\*)/;
const MAY_NEED_REDRAWING = /^\s*[\d•#-]|[`*]/;

export class FormattedText {
  #root;
  #line = "";
  #lineNodes = [];
  #block = null;
  #blockAtLineStart = null;
  #plainTail = null;
  #code = null;
  #codeShown = 0;

  constructor(root) {
    this.#root = root;
  }

  replace(text) {
    this.#root.replaceChildren();
    this.#line = "";
    this.#code = this.#block = null;
    this.#startLine();
    this.append(text);
  }

  append(text) {
    markLanguage(this.#root, text);
    text.replaceAll("\r", "").split("\n").forEach((piece, index) => {
      if (index > 0) this.#endLine();
      if (piece) this.#growLine(piece);
    });
  }

  /** No more text will come: what was held back as a possible code fence is shown as it stands. */
  finish() {
    if (this.#code && START_OF_FENCE.test(this.#line)) this.#code.appendData(this.#line);
    if (!this.#code && this.#line.trim() && this.#lineNodes.length === 0) this.#drawText(this.#line);
  }

  #growLine(piece) {
    this.#line += piece;
    if (this.#code) this.#growCode();
    else if (this.#plainTail && !MAY_NEED_REDRAWING.test(this.#line)) this.#plainTail.appendData(piece);
    else this.#drawLine();
  }

  #growCode() {
    if (FENCE.test(this.#line) || START_OF_FENCE.test(this.#line)) return;
    this.#code.appendData(this.#line.slice(this.#codeShown));
    this.#codeShown = this.#line.length;
  }

  #endLine() {
    if (this.#code) this.#endCodeLine();
    else if (FENCE.test(this.#line)) this.#openCode();
    else if (this.#line.trim() === "") this.#block = isList(this.#block) ? this.#block : null;
    else if (this.#lineNodes.length === 0) this.#drawText(this.#line);
    this.#startLine();
  }

  #startLine() {
    this.#line = "";
    this.#codeShown = 0;
    this.#lineNodes = [];
    this.#plainTail = null;
    this.#blockAtLineStart = this.#block;
  }

  #openCode() {
    this.#code = document.createTextNode("");
    const code = element("code", {}, this.#code);
    this.#root.append(element("pre", { tabindex: "0", role: "group", "aria-label": "Code" }, code));
  }

  #endCodeLine() {
    if (FENCE.test(this.#line)) this.#code = this.#block = null;
    else this.#code.appendData(`${this.#line.slice(this.#codeShown)}\n`);
  }

  #drawLine() {
    for (const node of this.#lineNodes) node.remove();
    this.#lineNodes = [];
    this.#block = this.#blockAtLineStart;
    this.#plainTail = null;
    const line = this.#line;
    if (FENCE.test(line) || START_OF_FENCE.test(line) || line.trim() === "") return;
    if (BULLET.test(line)) this.#drawItem("UL", line.replace(BULLET, ""));
    else if (NUMBER.test(line)) this.#drawItem("OL", line.replace(NUMBER, ""), line.match(NUMBER)[1]);
    else if (HEADING.test(line)) this.#drawHeading(line.replace(HEADING, ""));
    else this.#drawText(line);
  }

  #drawItem(tag, text, value) {
    if (this.#block?.tagName !== tag) this.#open(element(tag));
    this.#draw(this.#block, element("li", { value }, ...inline(text)));
  }

  #drawHeading(text) {
    this.#open(element("p", {}, element("strong", {}, text.replaceAll("**", ""))));
    this.#block = null;
  }

  #drawText(text) {
    if (this.#block?.tagName === "P") this.#draw(this.#block, "\n");
    else this.#open(element("p"));
    this.#draw(this.#block, ...inline(text));
    const last = this.#lineNodes.at(-1);
    this.#plainTail = last instanceof Text ? last : null;
  }

  #open(block) {
    this.#draw(this.#root, block);
    this.#block = block;
  }

  #draw(parent, ...parts) {
    for (const part of parts) {
      const node = typeof part === "string" ? document.createTextNode(part) : part;
      parent.append(node);
      this.#lineNodes.push(node);
    }
  }
}

function isList(block) {
  return block?.tagName === "UL" || block?.tagName === "OL";
}

function inline(text) {
  return text.split(INLINE).filter(Boolean).map((part) => {
    if (!INLINE.test(part)) return part;
    if (part.startsWith("`")) return element("code", {}, part.slice(1, -1));
    return element("strong", {}, part.slice(2, -2));
  });
}

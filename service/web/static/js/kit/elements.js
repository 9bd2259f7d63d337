// DOM elements built without markup, so that user input is always text.

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/** Set attributes and append children. on* attributes add listeners; null, undefined and false are skipped. */
function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export function html(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG_NAMESPACE, tag), attributes, children);
}

/** Characters after which a name may break, such as "dropout [optimizer.lr=0.1, model.hidden.0=64]"; numbers stay whole. */
const SEPARATORS = /(?<=[\s,:;=_/·\])}|+])|(?<=\D\.)|(?<=\.)(?=\D)/u;
/** A longer word may break within, after each piece. */
const LONGEST_WORD = 14;
const PIECES = /.{1,10}/gsu;

/** ``text`` with places where a line may break, so that words stay whole; for elements without overflow-wrap. */
export function breakable(text) {
  const pieces = text.split(SEPARATORS).flatMap((word) => (word.length > LONGEST_WORD ? word.match(PIECES) : [word]));
  return pieces.flatMap((piece, i) => (i ? [html("wbr"), piece] : [piece]));
}

export function saveFile(name, blob) {
  const url = URL.createObjectURL(blob);
  html("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

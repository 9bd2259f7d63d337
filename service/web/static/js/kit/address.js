// What a reader chose lives in the address, so that a link shows the same to somebody else. What is as usual is left out.

export function chosen(name, usual = "") {
  return new URLSearchParams(location.search).get(name) ?? usual;
}

/** Names as one value of the address, between bars; a bar in a name is written as links write one. */
export function joined(names) {
  return names.map((name) => name.replaceAll("%", "%25").replaceAll("|", "%7C")).join("|");
}

export function parted(text) {
  return text
    .split("|")
    .filter(Boolean)
    .map((name) => name.replaceAll("%7C", "|").replaceAll("%25", "%"));
}

export function choose(changes) {
  const parameters = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "" || value === undefined) parameters.delete(name);
    else parameters.set(name, value);
  }
  const query = parameters.toString();
  history.replaceState(history.state, "", query ? `?${query}` : location.pathname);
}

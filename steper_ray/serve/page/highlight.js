// Which words of a passage the rationale took up.

const WORD = /[\p{L}\p{N}]+/gu;
const COMMON = new Set(
  ("a an and answer are as at be been but by for from had has have he her his in into is it its no not of on or she so " +
    "than that the their them then there they this to was were what when where which who whose will with")
    .split(" "),
);

export function wordsOf(text) {
  const words = text.toLowerCase().match(WORD) ?? [];
  return new Set(words.filter((word) => !COMMON.has(word)));
}

// The text as nodes, with <mark> around the words given.
export function marked(text, words) {
  const nodes = [];
  let plain = 0;
  for (const match of text.matchAll(WORD)) {
    if (!words.has(match[0].toLowerCase())) continue;
    if (match.index > plain) nodes.push(document.createTextNode(text.slice(plain, match.index)));
    const mark = document.createElement("mark");
    mark.textContent = match[0];
    nodes.push(mark);
    plain = match.index + match[0].length;
  }
  if (plain < text.length) nodes.push(document.createTextNode(text.slice(plain)));
  return nodes;
}

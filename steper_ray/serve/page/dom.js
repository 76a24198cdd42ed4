// Building elements. Text only ever becomes text nodes: nothing that comes from the service is read as markup.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return node;
}

export const byId = (id) => document.getElementById(id);

export const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

// The API's documentation, drawn from the OpenAPI document.

import { byId, count, el } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEEPEST = 4; // schemas may refer to themselves

async function main() {
  const response = await fetch("openapi.json");
  if (!response.ok) throw new Error(`openapi.json: status ${response.status}`);
  const api = await response.json();
  const found = [];
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS) if (item[method]) found.push({ path, method, operation: item[method] });
  }
  byId("about").append(` Version ${api.info.version}. ${api.info.description ?? ""}`);
  byId("contents").replaceChildren(...found.map(entryOf));
  byId("operations").replaceChildren(...found.map((one) => sectionOf(one, api)));
}

const nameOf = ({ path, method }) => `${method}${path.replaceAll(/[^a-z0-9]+/gi, "-")}`;

const titleOf = ({ path, method }) => [
  el("span", { class: "method" }, method.toUpperCase()),
  el("span", { class: "path" }, path),
];

const entryOf = (one) => el("li", {}, el("a", { href: `#${nameOf(one)}` }, ...titleOf(one)));

function sectionOf(one, api) {
  const { operation } = one;
  const section = el("section", { class: "operation", id: nameOf(one), tabindex: "-1" }, el("h2", {}, ...titleOf(one)));
  section.append(el("p", {}, operation.description ?? operation.summary ?? ""));
  if (operation.parameters?.length) {
    section.append(el("h3", {}, "Parameters"), el("dl", { class: "fields" }, ...operation.parameters.map(parameterOf(api))));
  }
  const body = operation.requestBody?.content ?? {};
  for (const [type, { schema, examples, example }] of Object.entries(body)) {
    section.append(el("h3", {}, `Body, ${type}`), fieldsOf(schema, api, 0));
    section.append(...examplesOf(examples, example ?? schema?.examples?.[0] ?? resolve(schema, api).examples?.[0]));
  }
  section.append(el("h3", {}, "Responses"));
  for (const [status, response] of Object.entries(operation.responses ?? {})) section.append(responseOf(status, response, api));
  return section;
}

function parameterOf(api) {
  return (parameter) => fieldOf(parameter.name, parameter.schema ?? {}, parameter.required, api, 0, `in ${parameter.in}`, parameter.description);
}

function responseOf(status, response, api) {
  const details = el("details", {}, el("summary", {}, el("span", { class: "title" }, `${status} · ${response.description ?? ""}`)));
  for (const [type, { schema, examples, example }] of Object.entries(response.content ?? {})) {
    details.append(el("p", { class: "kind" }, type));
    if (schema) details.append(fieldsOf(schema, api, 0));
    details.append(...examplesOf(examples, example));
  }
  if (details.childElementCount === 1) details.append(el("p", { class: "kind" }, "No content described."));
  return details;
}

function examplesOf(named, single) {
  const values = Object.values(named ?? {}).map((one) => one.value);
  if (!values.length && single !== undefined) values.push(single);
  return values.map((value) => el("pre", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)));
}

function resolve(schema, api) {
  if (!schema?.$ref) return schema ?? {};
  return schema.$ref.replace(/^#\//, "").split("/").reduce((node, part) => node?.[part], api) ?? {};
}

function fieldsOf(schema, api, depth) {
  const { properties = {}, required = [] } = itemOf(resolve(schema, api), api);
  const fields = Object.entries(properties).map(([name, one]) => fieldOf(name, one, required.includes(name), api, depth));
  return fields.length ? el("dl", { class: "fields" }, ...fields) : el("p", { class: "kind" }, kindOf(schema ?? {}, api));
}

const itemOf = (schema, api) => (schema.type === "array" ? itemOf(resolve(schema.items, api), api) : schema);

function fieldOf(name, schema, required, api, depth, note = "", description = "") {
  const kind = [kindOf(schema, api), required ? "required" : "", note].filter(Boolean).join(", ");
  const text = description || schema.description || resolve(schema, api).description || "";
  const said = el("dd", {}, text, el("div", { class: "kind" }, kind));
  const inner = objectIn(schema, api);
  if (inner && depth < DEEPEST) said.append(fieldsOf(inner, api, depth + 1));
  return el("div", {}, el("dt", {}, name), said);
}

function objectIn(schema, api) {
  const whole = itemOf(resolve(schema, api), api);
  if (whole.properties) return whole;
  return (whole.anyOf ?? []).map((one) => objectIn(one, api)).find(Boolean);
}

function kindOf(schema, api) {
  const whole = resolve(schema, api);
  if (whole.anyOf) return whole.anyOf.map((one) => kindOf(one, api)).join(" or ");
  if (whole.enum) return whole.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (whole.type === "array") return `list of ${kindOf(whole.items ?? {}, api)}`;
  const limits = [
    ["minimum", "at least"], ["maximum", "at most"], ["minLength", "at least"], ["maxLength", "at most"], ["default", "default"],
  ].filter(([key]) => whole[key] !== undefined && whole[key] !== null);
  const amount = (key) => (key.endsWith("Length") ? count(whole[key], "character") : JSON.stringify(whole[key]));
  return [whole.type ?? whole.title ?? "any", ...limits.map(([key, word]) => `${word} ${amount(key)}`)].join(", ");
}

main().catch((error) => {
  byId("problem").textContent = `The description of the API cannot be shown: ${error.message}`;
});

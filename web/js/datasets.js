// datasets.js -- one card a dataset; an opened card shows its first items, and what is wrong with it.

import { el, whole, ago } from "./dom.js";

function figures(dataset) {
  if (dataset.status === "processing") return dataset.progress?.fraction ? `${Math.round(100 * dataset.progress.fraction)} % read` : "waiting to be read";
  if (dataset.status === "failed") return dataset.error?.code ?? "failed";
  const splits = Object.entries(dataset.splits ?? {}).filter(([, n]) => n > 0).map(([split, n]) => `${whole(n)} ${split}`);
  const classes = dataset.classes?.length ? `${dataset.classes.length} classes` : "no labels";
  const rejected = dataset.rejected?.count ? [`${whole(dataset.rejected.count)} rejected`] : [];
  return [classes, ...splits, ...rejected].join(" · ");
}

function text(item) {
  const cut = item.bytes > new TextEncoder().encode(item.text ?? "").length;
  return el("tr", {}, el("td", {}, item.class ?? "–"), el("td", { class: "text", dir: "auto" }, `${item.text ?? ""}${cut ? " …" : ""}`));
}

function picture(dataset, item) {
  return el("figure", {}, el("img", { src: `/v1/datasets/${dataset.id}/items/${item.item}/content`, alt: item.path, loading: "lazy" }), el("figcaption", {}, item.class ?? "–"));
}

function detail(dataset, items) {
  const error = dataset.error ? el("div", { class: "error wide" }, el("p", {}, dataset.error.detail), dataset.error.hint ? el("p", {}, dataset.error.hint) : null) : null;
  const warnings = (dataset.warnings ?? []).map((warning) => el("p", { class: "wide" }, warning));
  const shown = !items.length ? null : dataset.kind === "text"
    ? el("div", { class: "wide scroll" }, el("table", { class: "texts" }, el("tbody", {}, ...items.map(text))))
    : el("div", { class: "wide pictures" }, ...items.map((item) => picture(dataset, item)));
  return el("div", { class: "detail" }, error, ...warnings, shown);
}

export function datasetCard(dataset, state, onToggle) {
  const items = state.items.get(dataset.id);
  const pill = { ready: "succeeded", processing: "running", failed: "failed" }[dataset.status];
  return el("article", { class: "job", "data-id": dataset.id },
    el("button", { type: "button", "aria-expanded": items ? "true" : "false", onclick: () => onToggle(dataset.id) },
      el("div", { class: "name" }, dataset.name, el("small", {}, dataset.status === "ready" ? dataset.kind : "")),
      el("span", { class: `pill ${pill}` }, dataset.status),
      el("div", { class: "figures" }, figures(dataset)), el("div", { class: "when" }, ago(dataset.created_at))),
    items ? detail(dataset, items) : null);
}

// jobs.js -- one card a job; an opened card shows its epochs as curves and as a table.

import { el, percent, decimal, whole, duration, ago } from "./dom.js";
import { chart } from "./chart.js";

const ENDED = ["succeeded", "failed", "cancelled"];

const isFrozen = (stage) => stage.freeze_to !== 0;

function bar(job) {
  const stages = job.spec.stages ?? [];
  const progress = job.progress ?? {};
  const done = (index) => {
    if (job.status === "succeeded" || index < (progress.stage_index ?? 0)) return 1;
    if (index > (progress.stage_index ?? 0)) return 0;
    return progress.steps ? progress.step / progress.steps : 0;
  };
  return el("div", { class: "bar", "aria-hidden": "true" }, ...stages.map((stage, index) => {
    const piece = el("i", { class: isFrozen(stage) ? "frozen" : "thawed" });
    piece.style.flex = stage.epochs;
    piece.style.setProperty("--done", done(index));
    return piece;
  }));
}

/* What the job's model does, or would if it ended now: the best epoch's only where that one is kept. */
function score(job) {
  const scores = (job.spec.save_best ? job.best : job.latest) ?? {};
  if (Number.isFinite(scores.perplexity)) return ["perplexity ", el("b", {}, decimal(scores.perplexity, 1))];
  return Number.isFinite(scores.accuracy) ? ["accuracy ", el("b", {}, percent(scores.accuracy))] : [];
}

/* Passes over the data that are no training. */
const PASSES = { texts: "reading texts", features: "computing features", report: "writing the report" };

function figures(job) {
  const parts = [];
  const progress = job.progress;
  const pass = ENDED.includes(job.status) ? null : progress?.pass;
  if (pass) {
    parts.push(`${PASSES[pass.what] ?? pass.what}: ${whole(pass.done)} of ${whole(pass.total)}`);
  } else if (job.status === "running" && Number.isFinite(progress?.epoch)) {
    parts.push(`${progress.stage}, epoch ${progress.epoch + 1} of ${progress.epochs}`);
    if (progress.tokens_per_second) parts.push(`${decimal(progress.tokens_per_second, 0)} tokens/s`);
    else if (progress.examples_per_second) parts.push(`${decimal(progress.examples_per_second, 0)} images/s`);
  }
  if (job.status === "queued") parts.push(job.queue_position ? `${job.queue_position} before it` : "next in line");
  if (job.status === "failed" && job.error) parts.push(job.error.code);
  const known = score(job);
  return el("div", { class: "figures" }, parts.join(" · "), parts.length && known.length ? " · " : "", ...known);
}

function when(job) {
  if (job.status === "running" && job.progress?.eta_seconds) return `${duration(job.progress.eta_seconds)} left`;
  if (job.finished_at && job.started_at) return `took ${duration((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000)}, ${ago(job.finished_at)}`;
  return ago(job.created_at);
}

/* Epochs of a language model have a perplexity; they are not compared with a classifier's. */
const isLanguage = (epoch) => Number.isFinite(epoch.perplexity);

function table(epochs) {
  const language = epochs.some(isLanguage);
  const comparable = epochs.filter((e) => isLanguage(e) === isLanguage(epochs[epochs.length - 1]));
  const texts = epochs.some((e) => Number.isFinite(e.tokens_per_second));
  const heads = ["stage", "epoch", "train loss", "valid loss", ...(language ? ["perplexity"] : []), "accuracy", ...(texts ? ["tokens/s"] : []), "time"];
  const best = comparable.reduce((b, e) => (Number.isFinite(e.valid_loss) && !(b?.valid_loss <= e.valid_loss) ? e : b), null);
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, ...epochs.map((e) => el("tr", { class: e === best ? "best" : null },
      el("td", {}, e.stage ?? "–"), el("td", {}, `${e.epoch + 1}`), el("td", {}, decimal(e.train_loss)),
      el("td", {}, decimal(e.valid_loss)), ...(language ? [el("td", {}, isLanguage(e) ? decimal(e.perplexity, 1) : "–")] : []),
      el("td", {}, percent(e.accuracy)), ...(texts ? [el("td", {}, decimal(e.tokens_per_second, 0))] : []),
      el("td", {}, duration(e.time)))))));
}

function detail(job, epochs) {
  const stages = job.spec.stages ?? [];
  const thawAt = epochs.findIndex((e) => stages[e.stage_index] && !isFrozen(stages[e.stage_index]));
  const error = job.error ? el("div", { class: "error wide" }, el("p", {}, job.error.detail), job.error.hint ? el("p", {}, job.error.hint) : null) : null;
  if (!epochs.length) return el("div", { class: "detail" }, error, el("p", { class: "figures wide" }, ENDED.includes(job.status) ? "It ended before its first epoch did." : "The first epoch is not over yet."));
  const column = (key) => epochs.map((e) => e[key]);
  return el("div", { class: "detail" }, error,
    el("div", { class: "charts" },
      chart("Loss", [{ name: "training", style: "a", values: column("train_loss") }, { name: "validation", style: "b", values: column("valid_loss") }], thawAt, (v) => decimal(v, 2)),
      epochs.some(isLanguage) ? chart("Perplexity", [{ name: "perplexity", style: "b", values: column("perplexity") }], -1, (v) => decimal(v, 1)) : null,
      chart("Accuracy", [{ name: "accuracy", style: "b", values: column("accuracy") }], thawAt, (v) => `${decimal(100 * v, 0)} %`)),
    table(epochs));
}

export function card(job, state, onToggle) {
  const epochs = state.history.get(job.id);
  const dataset = state.datasets.get(job.dataset)?.name ?? job.dataset;
  const model = state.models.get(job.model)?.name ?? job.model ?? "from nothing";
  return el("article", { class: "job", "data-id": job.id },
    el("button", { type: "button", "aria-expanded": epochs ? "true" : "false", onclick: () => onToggle(job.id) },
      el("div", { class: "name" }, job.name ?? dataset, el("small", {}, `${model} on ${dataset}`)),
      el("span", { class: `pill ${job.status}` }, job.status),
      figures(job), el("div", { class: "when" }, when(job)), bar(job)),
    epochs ? detail(job, epochs) : null);
}

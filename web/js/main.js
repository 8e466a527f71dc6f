// main.js -- puts the page together and keeps it live.

import { count, get, listen } from "./api.js";
import { datasetCard } from "./datasets.js";
import { el } from "./dom.js";
import { card } from "./jobs.js";
import { State } from "./state.js";

const place = (id) => document.getElementById(id);
const state = new State(draw);
let numbers = {};
let focused = null;

function drawTiles() {
  const waiting = [...state.jobs.values()].filter((job) => job.status === "queued").length;
  const tiles = [[state.running(), "training now"], [waiting, "in the queue"], [numbers.datasets ?? "–", "datasets"], [numbers.models ?? "–", "models to start from"]];
  place("tiles").replaceChildren(...tiles.map(([value, name]) => el("div", { class: "tile" }, el("b", {}, `${value}`), el("span", {}, name))));
}

function draw() {
  const jobs = state.sorted();
  focused = document.activeElement?.closest?.(".job")?.dataset.id ?? focused;
  drawTiles();
  place("jobs").replaceChildren(...(jobs.length ? jobs.map((job) => card(job, state, toggle)) : [el("p", { class: "empty" }, "No job yet. The lines below start one.")]));
  const datasets = state.newestDatasets();
  place("datasets").replaceChildren(...(datasets.length ? datasets.map((dataset) => datasetCard(dataset, state, toggleDataset)) : [el("p", { class: "empty" }, "No dataset yet.")]));
  if (focused) document.querySelector(`.job[data-id="${CSS.escape(focused)}"] > button`)?.focus({ preventScroll: true });
}

async function toggle(id) {
  focused = id;
  if (state.history.has(id)) state.history.delete(id);
  else await state.open(id);
  draw();
}

async function toggleDataset(id) {
  focused = id;
  if (state.items.has(id)) state.items.delete(id);
  else await state.openDataset(id);
  draw();
}

async function showDataset(id) {
  await state.dataset(id);
  if (state.items.has(id)) await state.openDataset(id);
  draw();
}

async function drawNumbers() {
  const [datasets, base, imported, trained] = await Promise.all([count("/v1/datasets"), get("/v1/models?origin=base&limit=100"), count("/v1/models?origin=import"), count("/v1/models?origin=job")]);
  const ready = base.data.filter((model) => model.available).length;
  numbers = { datasets, models: ready + parseInt(imported, 10) + parseInt(trained, 10) };
  drawTiles();
}

function drawSteps() {
  const at = location.origin;
  const steps = [
    ["Upload texts", `curl --data-binary @reviews.csv '${at}/v1/datasets?name=reviews'`],
    ["Upload pictures", `curl -F file=@photos.zip -F name=photos ${at}/v1/datasets`],
    ["Import weights", `curl --data-binary @resnet34.pth '${at}/v1/models?name=resnet34-imagenet&architecture=resnet34&classes=imagenet1k'`],
    ["Train", `curl ${at}/v1/jobs -d '{"dataset":"ds_...","model":"resnet34-imagenet","epochs":3}'`],
    ["Watch", `curl -N -H 'Accept: text/event-stream' ${at}/v1/jobs/job_.../events`],
    ["Predict", `curl --data-binary @photo.jpg ${at}/v1/models/mdl_.../predict`],
  ];
  place("steps").replaceChildren(...steps.map(([what, line]) => {
    const button = el("button", { class: "copy", type: "button", onclick: async () => {
      await navigator.clipboard.writeText(line);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    } }, "copy");
    return el("li", {}, el("span", {}, what), el("pre", {}, line), button);
  }));
}

function showLink(kind, text) {
  place("link").className = `link ${kind}`;
  place("link").textContent = text;
}

function onEvent(event) {
  if (event.job) state.changed(event.job);
  if (event.dataset) showDataset(event.dataset);
  if (event.type === "state" || event.type === "done") drawNumbers();
}

async function start() {
  drawSteps();
  drawTiles();
  const seq = await state.load();
  listen(seq, { onEvent, onOpen: () => showLink("live", "live"), onLost: () => showLink("lost", "connection lost, trying again") });
  await drawNumbers();
  const version = await get("/version");
  place("foot").textContent = `Thaw ${version.version}`;
}

start().catch((error) => showLink("lost", error.message));

// state.js -- what the page knows: jobs by id, kept up to date by the event stream.
//
// An event only says that a job changed; the job itself is then read anew, at most twice a second.

import { get } from "./api.js";

const SHOWN = 50;
const PAUSE = 500;

export class State {
  constructor(onChange) {
    this.jobs = new Map();
    this.history = new Map(); // job id -> epochs, for the jobs that are open on the page
    this.datasets = new Map(); // id -> dataset
    this.models = new Map(); // id -> model: those that jobs start from
    this.items = new Map(); // dataset id -> its first items, for those that are open on the page
    this.onChange = onChange;
    this.due = new Map(); // job id -> timer
  }

  // The newest jobs, and the number of the last event that they already show.
  async load() {
    const { last_seq: seq } = await get("/v1/events?limit=1");
    const [jobs, datasets] = await Promise.all([get(`/v1/jobs?limit=${SHOWN}`), get("/v1/datasets?limit=100")]);
    for (const dataset of datasets.data) this.datasets.set(dataset.id, dataset);
    for (const job of jobs.data) this.jobs.set(job.id, job);
    await Promise.all([...new Set(jobs.data.map((job) => job.model))].map((id) => this.model(id)));
    this.onChange();
    return seq;
  }

  sorted() {
    return [...this.jobs.values()].sort((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, SHOWN);
  }

  running() {
    return [...this.jobs.values()].filter((job) => ["running", "validating", "pausing"].includes(job.status)).length;
  }

  changed(id) {
    if (this.due.has(id)) return;
    this.due.set(id, setTimeout(() => this.refresh(id), PAUSE));
  }

  async refresh(id) {
    this.due.delete(id);
    try {
      const job = await get(`/v1/jobs/${id}`);
      this.jobs.set(id, job);
      if (!this.datasets.has(job.dataset)) await this.dataset(job.dataset);
      if (!this.models.has(job.model)) await this.model(job.model);
      if (this.history.has(id)) await this.open(id);
    } catch {
      this.jobs.delete(id); // deleted meanwhile
    }
    this.onChange();
  }

  dataset(id) {
    return this.read(this.datasets, `/v1/datasets/${id}`, id);
  }

  async model(id) {
    if (id) await this.read(this.models, `/v1/models/${id}`, id);
  }

  async read(known, path, id) {
    try {
      known.set(id, await get(path));
    } catch {
      known.delete(id); // deleted meanwhile
    }
  }

  newestDatasets() {
    return [...this.datasets.values()].sort((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, SHOWN);
  }

  async openDataset(id) {
    const ready = this.datasets.get(id)?.status === "ready";
    this.items.set(id, ready ? (await get(`/v1/datasets/${id}/items?limit=12`)).data : []);
  }

  async open(id) {
    this.history.set(id, (await get(`/v1/jobs/${id}/metrics`)).data);
  }
}

/* wire.h -- what thawd and thaw-engine say to each other over fd 3 (frames: base/frame.h).
 *
 * DOWN (thawd -> engine). The first frame is always `job`; end of file means stop.
 *   job         {verb, ...}  the verb's document: listed below
 *   checkpoint  {}           train: write a checkpoint at the next step's end, answer `checkpoint`
 *   pause       {}           train: write a checkpoint, answer `paused`, exit 0; a recipe may wish
 *                            for the same after a stage ("then": "pause"): `paused` says so
 *   cancel      {}           any verb: stop at once, answer `error` with "cancelled", exit 0
 *   predict     {id, kind, top_k, tta, next, temperature, seed} + payload, the bytes of one image
 *               or text (verb predict; any number in flight); tta: with test-time augmentation;
 * next and what follows: words that a language model goes on for
 *
 * UP (engine -> thawd). The table in wire.c has each type's fields, kinds and bounds; a frame that
 * breaks it ends the engine (`engine_protocol`).
 *   started     {threads, isa, version, plan_sha256}
 *               the document is valid, work begins (train: validating -> running)
 *   progress    {done, total}   items or bytes (ingest, import, evaluate, predict); total 0 =
 *               unknown
 *   item        {ordinal}       ingest: about to decode member number `ordinal` of the archive
 *   stage       {stage, stage_index, stages, epochs, steps, batch_size, groups, frozen_groups,
 *                trainable_parameters, size, phase, sample_fraction, n_train, n_valid,
 *                cached_views, cache_bytes}   groups and frozen_groups are counts; from `size` on
 *               all may be absent; `size` is of pictures, `phase` of texts; cached_views is there
 *               when the stage reads cached features
 *   step        {stage_index, epoch, step, steps, train_loss, learning_rates, momentum,
 *                examples_per_second, eta_seconds, peak_memory_bytes}   a few a second at most; of
 *               texts tokens_per_second, too, of language models perplexity
 *   epoch       {stage_index, epoch, train_loss, valid_loss, accuracy, error_rate, seconds}; of
 *               texts tokens_per_second (in training), too, of language models perplexity: their
 *               accuracy is of the next word
 *   checkpoint  {slot, stage_index, epoch, step, + metrics as in epoch}
 *               the file of that slot is complete on disk
 *   artifact    {name}   the file OUT/NAME is complete on disk: wire_artifact_is_valid
 *   warning     {code, detail}
 *   log         {detail}
 *   paused      {by_recipe}   by_recipe true: a stage's "then": "pause", not a request
 *   prediction  {id, predictions:[{label, probability}] | perplexity + continuation + tokens |
 *               status + detail}   answers one `predict`
 *   result      {...}   success; ingest, import, export: read result.json in `out`;
 *               train: {weights_sha256, train_loss, valid_loss, accuracy, error_rate}, without
 *               weights for the tasks that train nothing (lr_find, evaluate, predict)
 *   error       {status, code, detail, hint, pointer}   failure, in one full sentence; status is
 *               status_name()'s
 *
 * DOCUMENTS (`job`). Paths are absolute, made by thawd; the engine sandboxes itself to them before
 * it reads a byte.
 *   ingest   {verb, upload, out, options, skip:[ordinal...], limits}
 *            -> out/pack, out/index, out/result.json
 *   import   {verb, source, out, architecture|null, classes:[...]|null, classes_file, vocabulary,
 *            backwards}
 *            (classes_file: instead of `classes`, a file in `out`, one name a line; vocabulary:
 *            a model of text's words, where `source` is no archive that has them)
 *            -> out/weights.safetensors, out/result.json {kind, architecture, head, parameters,
 *            groups:[{name, parameters}], classes:[...]|null, n_classes, tensors, image_size or
 *            text:{vocabulary (a number), embedding, ...}, weights_sha256}
 *   export   {verb, weights, format: "onnx" | "bundle" | "pth" | "encoder" | "itos", out}
 *            -> out/model.onnx, bundle.zip, model.pth, encoder.pth or itos.pkl, out/result.json
 *            {format, file, bytes}
 *   train    {verb, spec (resolved), pack, index, weights|null, ensemble, out, threads}
 *            -> out/SLOT.safetensors; goes on by itself from the newest resumable one in `out`
 *            (ensemble: of evaluations, files of the models that are averaged; or absent)
 *   predict  {verb, weights, threads}
 *   plan     {verb, spec, pack, index, weights|null, ensemble, threads, out}
 *            -> out/result.json {stages, estimate:{peak_memory_bytes, flops_per_step:[...],
 *            steps:[...], batch_size}}
 *
 * SLOTS of train: "stage-K" (K = 1..), "best", "language-model" (what a classifier of texts stands
 * on), "resume-a", "resume-b" (written in turn: everything that a run needs to go on), "final".
 * File names are SLOT.safetensors; both sides know them from wire_slot_is_valid alone. */
#ifndef THAW_API_SPEC_WIRE_H
#define THAW_API_SPEC_WIRE_H

#include <stdbool.h>

#include "base/json.h"
#include "base/status.h"

#define WIRE_FD          3
#define WIRE_MAX_IMAGE   (64u << 20)  /* payload of one `predict` */
#define WIRE_MAX_TEXT    (256u << 10) /* the same of a text */
#define WIRE_MAX_WRITTEN (24 << 10)   /* bytes of a language model's words */
#define WIRE_MAX_RESULT  (8u << 20)   /* result.json */

/* Checks one frame from the engine against the table: known type, fields of the right kind, finite
 * numbers, bounded strings and arrays. E_INVALID names type and field. */
enum status wire_check_up(const struct json *header, struct err *err);

bool wire_slot_is_valid(const char *slot);

/* Files that a run leaves beside its checkpoints: "report.json", "predictions.csv", ... */
extern const char *const wire_artifacts[]; /* NULL-terminated */
bool wire_artifact_is_valid(const char *name);

#endif

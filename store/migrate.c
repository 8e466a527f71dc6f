#include "store/migrate.h"

#include <sqlite3.h>
#include <stdio.h>

#include "base/mem.h"

/* One row a version, applied in order; a row that was released is never edited. Every table has
 * `seq` (its order, given once and never again) and, where people see it, a unique `id`. Times are
 * milliseconds since 1970. */
static const struct {
    int version;
    const char *sql;
} migrations[] = {
    {1, "CREATE TABLE datasets ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  status TEXT NOT NULL,"
        "  name TEXT NOT NULL,"
        "  kind TEXT NOT NULL,"
        "  options TEXT NOT NULL,"
        "  upload TEXT,"
        "  bytes INTEGER NOT NULL,"
        "  sha256 TEXT NOT NULL,"
        "  done INTEGER NOT NULL DEFAULT 0,"
        "  total INTEGER NOT NULL DEFAULT 0,"
        "  items INTEGER,"
        "  classes TEXT,"
        "  splits TEXT,"
        "  rejected TEXT,"
        "  pack TEXT,"
        "  pack_index TEXT,"
        "  parent TEXT,"
        "  error TEXT,"
        "  created_ms INTEGER NOT NULL,"
        "  UNIQUE (sha256, options));"
        "CREATE INDEX datasets_pack ON datasets (pack);"
        "CREATE INDEX datasets_pack_index ON datasets (pack_index);"
        "CREATE INDEX datasets_upload ON datasets (upload);"

        "CREATE TABLE jobs ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  status TEXT NOT NULL,"
        "  name TEXT,"
        "  spec TEXT NOT NULL,"
        "  metadata TEXT,"
        "  dataset TEXT NOT NULL,"
        "  model TEXT NOT NULL,"
        "  architecture TEXT,"
        "  weights TEXT,"
        "  priority INTEGER NOT NULL DEFAULT 0,"
        "  created_ms INTEGER NOT NULL,"
        "  started_ms INTEGER,"
        "  finished_ms INTEGER,"
        "  estimated_finish_ms INTEGER,"
        "  progress TEXT,"
        "  latest TEXT,"
        "  best TEXT,"
        "  engine TEXT,"
        "  error TEXT,"
        "  result_model TEXT,"
        "  weights_sha256 TEXT,"
        "  deaths INTEGER NOT NULL DEFAULT 0,"
        "  crashes INTEGER NOT NULL DEFAULT 0);"
        "CREATE INDEX jobs_queue ON jobs (status, priority DESC, seq);"
        "CREATE INDEX jobs_dataset ON jobs (dataset);"
        "CREATE INDEX jobs_weights ON jobs (weights);"

        "CREATE TABLE models ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  name TEXT NOT NULL UNIQUE,"
        "  kind TEXT NOT NULL,"
        "  architecture TEXT NOT NULL,"
        "  origin TEXT NOT NULL,"
        "  available INTEGER NOT NULL,"
        "  random INTEGER NOT NULL DEFAULT 0,"
        "  job TEXT,"
        "  dataset TEXT,"
        "  classes TEXT,"
        "  groups TEXT,"
        "  parameters INTEGER,"
        "  metrics TEXT,"
        "  weights TEXT,"
        "  bytes INTEGER,"
        "  weights_sha256 TEXT,"
        "  created_ms INTEGER NOT NULL);"
        "CREATE INDEX models_weights ON models (weights);"

        "CREATE TABLE checkpoints ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
        "  slot TEXT NOT NULL,"
        "  name TEXT NOT NULL,"
        "  stage_index INTEGER NOT NULL,"
        "  epoch INTEGER NOT NULL,"
        "  step INTEGER NOT NULL,"
        "  sha256 TEXT NOT NULL,"
        "  bytes INTEGER NOT NULL,"
        "  metrics TEXT,"
        "  created_ms INTEGER NOT NULL,"
        "  UNIQUE (job, slot));"
        "CREATE INDEX checkpoints_sha256 ON checkpoints (sha256);"

        "CREATE TABLE events ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  time_ms INTEGER NOT NULL,"
        "  type TEXT NOT NULL,"
        "  job TEXT REFERENCES jobs (id) ON DELETE CASCADE,"
        "  dataset TEXT REFERENCES datasets (id) ON DELETE CASCADE,"
        "  model TEXT REFERENCES models (id) ON DELETE CASCADE,"
        "  ordinal INTEGER," /* of a job's step events: thinning keeps every 2^k-th */
        "  data TEXT NOT NULL);"
        "CREATE INDEX events_job ON events (job, seq) WHERE job IS NOT NULL;"
        "CREATE INDEX events_steps ON events (job, ordinal) WHERE ordinal IS NOT NULL;"
        "CREATE INDEX events_dataset ON events (dataset) WHERE dataset IS NOT NULL;"
        "CREATE INDEX events_model ON events (model) WHERE model IS NOT NULL;"

        "CREATE TABLE keys ("
        "  key TEXT PRIMARY KEY,"
        "  fingerprint TEXT NOT NULL,"
        "  created_ms INTEGER NOT NULL,"
        "  http_status INTEGER," /* NULL while the first request runs */
        "  location TEXT,"
        "  content_type TEXT,"
        "  body TEXT) WITHOUT ROWID;"},

    {2, "ALTER TABLE jobs ADD COLUMN parent TEXT;"   /* the job it was promoted from */
        "ALTER TABLE jobs ADD COLUMN rerun_of TEXT;" /* the job it repeats, */
        "ALTER TABLE jobs ADD COLUMN rerun TEXT;"    /* and what came of that */
        "ALTER TABLE jobs ADD COLUMN estimate TEXT;"
        "ALTER TABLE jobs ADD COLUMN reason TEXT;" /* why it is paused, where nobody asked */
        "CREATE INDEX jobs_parent ON jobs (parent) WHERE parent IS NOT NULL;"

        "CREATE TABLE artifacts ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,"
        "  name TEXT NOT NULL,"
        "  sha256 TEXT NOT NULL,"
        "  bytes INTEGER NOT NULL,"
        "  created_ms INTEGER NOT NULL,"
        "  UNIQUE (job, name));"
        "CREATE INDEX artifacts_sha256 ON artifacts (sha256);"

        /* What finished stages cost on this machine: nanoseconds a training image, validation
         * included; the machine's own name is part of the key, since a data directory may move. */
        "CREATE TABLE costs ("
        "  machine TEXT NOT NULL,"
        "  isa TEXT NOT NULL,"
        "  threads INTEGER NOT NULL,"
        "  architecture TEXT NOT NULL,"
        "  image_size INTEGER NOT NULL,"
        "  frozen_groups INTEGER NOT NULL,"
        "  mode TEXT NOT NULL,"
        "  image_ns INTEGER NOT NULL," /* smoothed over the stages seen */
        "  low_ns INTEGER NOT NULL,"
        "  high_ns INTEGER NOT NULL,"
        "  image_flops INTEGER NOT NULL,"
        "  stages INTEGER NOT NULL,"
        "  updated_ms INTEGER NOT NULL,"
        "  PRIMARY KEY (machine, isa, threads, architecture, image_size, frozen_groups, mode))"
        "  WITHOUT ROWID;"},
    {3, "CREATE TABLE exports ("
        "  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
        "  id TEXT NOT NULL UNIQUE,"
        "  weights TEXT NOT NULL,"
        "  format TEXT NOT NULL,"
        "  version TEXT NOT NULL,"
        "  sha256 TEXT NOT NULL,"
        "  bytes INTEGER NOT NULL,"
        "  created_ms INTEGER NOT NULL,"
        "  UNIQUE (weights, format));"
        "CREATE INDEX exports_sha256 ON exports (sha256);"

        /* A base model that is being downloaded, and why it was not. */
        "ALTER TABLE models ADD COLUMN progress TEXT;"
        "ALTER TABLE models ADD COLUMN error TEXT;"},
    {4, "ALTER TABLE datasets ADD COLUMN warnings TEXT;"},
    {5, "ALTER TABLE models ADD COLUMN text TEXT;"
        "ALTER TABLE models ADD COLUMN lineage TEXT;"},
    {6, "ALTER TABLE jobs ADD COLUMN ensemble TEXT;"
        "CREATE INDEX jobs_ensemble ON jobs (ensemble) WHERE ensemble IS NOT NULL;"},
};

int migrate_newest(void)
{
    return migrations[ARRAY_LEN(migrations) - 1].version;
}

static enum status read_version(struct sqlite3 *db, int *version, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(stmt);
    if (code == SQLITE_ROW)
        *version = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    if (code != SQLITE_ROW)
        return err_set(err, E_IO, "The database's version cannot be read: %s.", sqlite3_errmsg(db));
    return OK;
}

static enum status apply(struct sqlite3 *db, int version, const char *sql, struct err *err)
{
    char finish[64];
    snprintf(finish, sizeof finish, "PRAGMA user_version = %d; COMMIT", version);
    bool ok = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK &&
              sqlite3_exec(db, finish, NULL, NULL, NULL) == SQLITE_OK;
    if (ok)
        return OK;
    enum status status = sqlite3_errcode(db) == SQLITE_FULL ? E_NO_SPACE : E_IO;
    err_set(err, status, "The database cannot be brought to version %d: %s.", version,
            sqlite3_errmsg(db));
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

enum status migrate_run(struct sqlite3 *db, struct err *err)
{
    return migrate_to(db, migrate_newest(), err);
}

enum status migrate_to(struct sqlite3 *db, int newest, struct err *err)
{
    int version = 0;
    enum status status = read_version(db, &version, err);
    if (status)
        return status;
    if (version > migrate_newest())
        return err_set(err, E_CONFLICT,
                       "The database has version %d and this program knows versions up to %d: it "
                       "was written by a newer thawd, use that one.",
                       version, migrate_newest());
    for (size_t i = 0; status == OK && i < ARRAY_LEN(migrations); i++)
        if (migrations[i].version > version && migrations[i].version <= newest)
            status = apply(db, migrations[i].version, migrations[i].sql, err);
    return status;
}

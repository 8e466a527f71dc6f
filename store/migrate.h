/* migrate.h -- brings a database to this program's schema.
 *
 * The migrations are a table {version, sql} in migrate.c; each runs in one transaction together
 * with the new PRAGMA user_version. A database newer than the program is refused. */
#ifndef THAW_STORE_MIGRATE_H
#define THAW_STORE_MIGRATE_H

#include "base/status.h"

struct sqlite3;

enum status migrate_run(struct sqlite3 *db, struct err *err);
/* As far as `version` only: what an older program would have left. */
enum status migrate_to(struct sqlite3 *db, int version, struct err *err);
int migrate_newest(void); /* the version this program writes */

#endif

/* version.h -- the one number that thawd, thaw-engine and the files they write carry. */
#ifndef THAW_BASE_VERSION_H
#define THAW_BASE_VERSION_H

#define THAW_VERSION "0.1.0"

#endif

// The commit of this build. scripts/build passes it to the package manifest in the environment variable
// SWIREGUARD_COMMIT, and the manifest defines it for this target alone, so that only this target is
// compiled again when it changes.
#ifndef CVERSION_H
#define CVERSION_H

// The commit, such as "48f2741c5a04" or "48f2741c5a04-dirty", or "unknown commit". Never freed.
const char *_Nonnull cversion_commit(void);

#endif

#include "CVersion.h"

#define TEXT(tokens) #tokens
#define TEXT_OF(macro) TEXT(macro)

const char *cversion_commit(void)
{
#ifdef SWIREGUARD_COMMIT
    return TEXT_OF(SWIREGUARD_COMMIT);
#else
    return "unknown commit";
#endif
}

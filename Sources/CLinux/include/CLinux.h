// What the Glibc module lacks: header facts that Swift cannot import. No decisions are made here.
// _GNU_SOURCE must never be defined in this header: the functions that need it live in CLinux.c.
#ifndef CLINUX_H
#define CLINUX_H
#include <stdint.h>
#endif

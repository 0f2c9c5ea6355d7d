/* Numbers of R's serialization format. Made by `python -m rinterop.serialize.c_header csrc/codes.h`: change
 * rinterop/serialize/constants.py instead. */
#ifndef RINTEROP_CODES_H
#define RINTEROP_CODES_H

/* What rinterop/serialize/speed.py has as its ABI. */
#define ABI 4

/* Type codes of items. */
enum {
    SYM = 1,
    LIST = 2,
    CLO = 3,
    ENV = 4,
    PROM = 5,
    LANG = 6,
    SPECIAL = 7,
    BUILTIN = 8,
    CHAR = 9,
    LGL = 10,
    INT = 13,
    REAL = 14,
    CPLX = 15,
    STR = 16,
    DOT = 17,
    VEC = 19,
    EXPR = 20,
    BCODE = 21,
    EXTPTR = 22,
    WEAKREF = 23,
    RAW = 24,
    S4SXP = 25,
    ALTREP = 238,
    ATTRLIST = 239,
    ATTRLANG = 240,
    BASEENV = 241,
    EMPTYENV = 242,
    BCREPREF = 243,
    BCREPDEF = 244,
    PERSIST = 247,
    PACKAGE = 248,
    NAMESPACE = 249,
    BASENAMESPACE = 250,
    MISSINGARG = 251,
    UNBOUNDVALUE = 252,
    GLOBALENV = 253,
    NIL = 254,
    REF = 255
};

/* Bits of their flags words. */
#define IS_OBJECT 0x100u
#define HAS_ATTRIBUTES 0x200u
#define HAS_TAG 0x400u
#define CHAR_BITS 0x300u
#define GP_SHIFT 12
#define MAX_SYMBOL 10000
#define MAX_BUILTIN 256

/* The bits of a flags word that R heeds. */
static inline uint32_t heeded(uint32_t flags)
{
    switch (flags & 0xFF) {
    case ALTREP:
        return flags & 0xFFFF1FFu;
    case REF:
        return flags & 0xFFFFFFFFu;
    case LIST:
    case CLO:
    case PROM:
    case LANG:
    case DOT:
        return flags & 0xFFFF7FFu;
    case SYM:
    case ENV:
    case ATTRLIST:
    case ATTRLANG:
    case BASEENV:
    case EMPTYENV:
    case BCREPREF:
    case BCREPDEF:
    case PERSIST:
    case PACKAGE:
    case NAMESPACE:
    case BASENAMESPACE:
    case MISSINGARG:
    case UNBOUNDVALUE:
    case GLOBALENV:
    case NIL:
        return flags & 0xFFu;
    default:
        return flags & 0xFFFF3FFu;
    }
}

/* Bits of strings. */
#define ASCII_BIT 0x40u
#define UTF8_BIT 0x08u
#define MARKS 0x4Eu

/* Wrappers of vectors (ALTREP classes of base) as W(name, code), one after the other. */
#define EACH_WRAPPER(W) \
    W("wrap_logical", LGL) \
    W("wrap_integer", INT) \
    W("wrap_real", REAL) \
    W("wrap_complex", CPLX) \
    W("wrap_string", STR) \
    W("wrap_list", VEC) \
    W("wrap_raw", RAW)
#define MAX_OUT_DEC 9

#endif

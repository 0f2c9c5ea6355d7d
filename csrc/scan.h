/* The state of one walk over a payload. See scan.c. */
#ifndef RINTEROP_SCAN_H
#define RINTEROP_SCAN_H

#include "speed.h"

typedef const uint8_t *Place; /* 256 actions by type code: serialize/grammar.py */

enum { MAX_PARTS = 5 };

/* An item that waits for its parts: the same place `left` times, then the others. */
typedef struct {
    Place repeated;
    uint64_t left;
    Place parts[MAX_PARTS];
    uint8_t count, next;
    uint8_t waits;         /* a level of its own, even if nothing is in it */
    uint8_t owes_class;    /* among these attributes a class must come */
    Py_ssize_t depth;      /* levels so far, each cell of a chain counting as one */
    uint32_t item, shared; /* of the bytecode around it: its number, and how many shared calls it has */
} ScanFrame;

typedef struct {
    Py_ssize_t name; /* of a symbol: where its bytes are in the data; else -1 */
    uint32_t size;   /* of the name; or the type code of another object */
} Reference;

typedef struct {
    const uint8_t *data;
    Py_ssize_t size;
    int little;
    Py_ssize_t max_depth;
    ScanFrame *frames;
    Py_ssize_t depth, frame_capacity;
    Reference *references;
    Py_ssize_t known, reference_capacity;
    uint32_t bytecode_items;
    PairSet defined;
} Scan;

/* What to do with an item, by its place and type code; the names and numbers of serialize/grammar.py. */
typedef enum {
    REFUSE,
    FIXED,
    REFERENCE,
    STRINGS,
    SYMBOL,
    MARKER,
    CELL,
    NEXT_CELL,
    ITEMS,
    CLOSURE,
    ENVIRONMENT,
    PROMISE,
    BUILTIN_NAMED,
    STRING,
    BYTECODE,
    POINTER,
    BARE,
    BY_NAME,
    COMPACT,
    BUCKET_LIST,
    INTEGERS_1,
    INTEGERS_2,
    OBJECT_CELL,
    PROPER_CELL,
    PROPER_NEXT,
    STATE_CELL,
    CHAINS,
    KEY_CELL,
    KEY_NEXT,
    NESTED_CODE,
    CALL_TREE,
    SHARED,
    SHARED_HERE,
    LEAF
} Action;

extern Place any_item, pairlist, classed, tag_place, string_vector, numbers_place, cdr, state_place,
    state_cdr, protected_place, keyed, keyed_cdr, tag_or_null, proper_cdr, environments, hash_table, one_integer, two_integers, tree, constant,
    wrapped[256];

/* Check the item at *position, which moves behind it. */
int scan(Scan *s, Py_ssize_t *position, Place place);

/* An ALTREP item's class, and as much of its state as holds no items; the places that are left (scan.py:
 * compact). *position is behind the flags word. */
int compact(Scan *s, Py_ssize_t *position, uint32_t flags, Place place, ScanFrame *rest);

static inline int scan_word(const Scan *s, Py_ssize_t *position, uint32_t *bits)
{
    if (s->size - *position < 4)
        return GIVE_UP;
    *bits = load32(s->data + *position, s->little);
    *position += 4;
    return 0;
}

static inline int scan_flags(const Scan *s, Py_ssize_t *position, uint32_t *flags)
{
    if (scan_word(s, position, flags))
        return GIVE_UP;
    *flags = heeded(*flags);
    return 0;
}

static inline uint64_t left(const Scan *s, Py_ssize_t position)
{
    return (uint64_t)(s->size - position);
}

/* -- scan_pieces.c: what follows the flags word of an item without items inside */
int scan_length(const Scan *s, Py_ssize_t *position, uint64_t *count);
int scan_char(const Scan *s, Py_ssize_t *position, uint32_t flags);
int scan_strings(const Scan *s, Py_ssize_t *position, uint64_t count);
int scan_symbol(Scan *s, Py_ssize_t *position, uint32_t flags);
int scan_builtin(const Scan *s, Py_ssize_t *position, uint32_t flags);
int scan_by_name(Scan *s, Py_ssize_t *position, uint32_t flags);
int add_reference(Scan *s, Py_ssize_t name, uint32_t size);

static inline int is_named(const Scan *s, const Reference *reference, const char *name)
{
    return reference->name >= 0 && reference->size == strlen(name)
        && !memcmp(s->data + reference->name, name, reference->size);
}

/* What a REF item refers to; NULL if there is no such thing. *position is behind the flags word. */
const Reference *scan_reference(const Scan *s, Py_ssize_t *position, uint32_t flags);

#endif

/* The state of one call of loads. See reader.c. */
#ifndef RINTEROP_READER_H
#define RINTEROP_READER_H

#include "speed.h"

/* What a frame is in the middle of building. */
typedef enum {
    F_VECTOR,
    F_ITEMS,
    F_PAIRS,
    F_FUNCTION,
    F_ENVIRONMENT,
    F_BUCKETS,
    F_POINTER,
    F_BARE,
    F_ALTREP,
    F_BYTECODE,
    F_CODE_BODY,
    F_TREE,
    F_LEAF
} Work;

/* An item that waits for others. What it has got so far lies on the stack of values, from `base` on. */
typedef struct {
    uint8_t work;
    uint8_t kind;
    uint8_t state;  /* which part comes next: each kind of work has its own numbers */
    uint8_t proper; /* of pairs: no calls in the chain */
    uint8_t dotted; /* of pairs: the state of an ALTREP item, which may be a pair of two items */
    uint8_t keyed;  /* of pairs: the tags are keys of any kind; of a list: its pairlists are such */
    uint32_t flags;
    uint32_t code; /* of pairs: of the first cell; in bytecode: the type code of the constant being read */
    Py_ssize_t base;
    Py_ssize_t left;      /* elements still to come */
    const uint8_t *start; /* of attributes: where they begin; and what was known and pushed by then */
    Py_ssize_t references, pushed;
    uint32_t outer_item, outer_shared; /* of bytecode: what surrounds it */
} Frame;

/* Attributes read before: the same bytes again are the same value again. */
typedef struct {
    const uint8_t *start;
    Py_ssize_t size;
    PyObject *value;
} Known;

enum { KNOWN = 64, TEXTS = 256, KNOWN_PREFIX = 32, LONGEST_KNOWN = 4096, LONGEST_SHARED_TEXT = 24 };

typedef struct {
    PyObject *owner; /* the bytes */
    const uint8_t *at, *end;
    int little;
    int keep_mmap;
    PyObject *native;
    /* Whether environments or the like have been seen. Before that nothing can be part of a cycle, and what
     * is made is kept out of the garbage collector's sight for good. */
    int cyclic;
    Py_ssize_t max_depth, pushed;
    Frame *frames;
    Py_ssize_t depth, frame_capacity;
    PyObject **values;
    Py_ssize_t count, value_capacity;
    PyObject **references;
    Py_ssize_t known_references, reference_capacity;
    Known known[KNOWN];
    PyObject *texts[TEXTS];
    uint32_t bytecode_items, item, shared; /* of the bytecode being read: its number, and its shared calls */
    PairSet defined;
} Reader;

static inline int word(Reader *r, uint32_t *bits)
{
    if (r->end - r->at < 4)
        return GIVE_UP;
    *bits = load32(r->at, r->little);
    r->at += 4;
    return 0;
}

static inline int flags_word(Reader *r, uint32_t *flags)
{
    if (word(r, flags))
        return GIVE_UP;
    if (*flags > 0xFF)
        *flags = heeded(*flags);
    return 0;
}

/* The next word must be this one. */
static inline int expect(Reader *r, uint32_t wanted)
{
    uint32_t found;
    return word(r, &found) || found != wanted ? GIVE_UP : 0;
}

static inline Frame *top(Reader *r)
{
    return &r->frames[r->depth - 1];
}

/* -- reader.c */
int push(Reader *r, PyObject *value); /* steals */
PyObject *pop(Reader *r);
Frame *push_frame(Reader *r, Work work, Kind kind, uint32_t flags);
int finish(Reader *r, PyObject *value); /* the top frame's value is ready, its parts are taken; steals */
int item(Reader *r);
int item_of(Reader *r, uint32_t flags);
int protected_item(Reader *r); /* what an external pointer keeps */
int chain_or_null(Reader *r, int of_attributes);
PyObject *vector(
    Reader *r, Kind kind, PyObject *values, uint32_t flags, PyObject *attributes); /* steals both */

/* -- functions.c */
int function_step(Reader *r);
int environment(Reader *r, uint32_t flags);
int environment_step(Reader *r);
int buckets_step(Reader *r);
int pointer(Reader *r, uint32_t flags);
int pointer_step(Reader *r);
int bare(Reader *r, uint32_t flags);
int bare_step(Reader *r);

/* -- pieces.c */
PyObject *new_value(Kind kind);
void made(Reader *r, PyObject *value);
PyObject *tuple_of(Reader *r, Py_ssize_t from); /* the values from there on, which it takes */
int set_attributed(PyObject *value, Kind kind, uint32_t flags, PyObject *attributes); /* steals */
int remember(Reader *r, PyObject *value);
int length(Reader *r, Py_ssize_t width, Py_ssize_t *count);
PyObject *char_body(Reader *r, uint32_t flags);
PyObject *strings(Reader *r, Py_ssize_t count);
PyObject *array(Reader *r, int code, Py_ssize_t count);
PyObject *new_symbol(Reader *r);
PyObject *symbol(Reader *r);
PyObject *reference(Reader *r, uint32_t flags);
PyObject *builtin(Reader *r, uint32_t flags);
PyObject *named_reference(Reader *r, uint32_t flags);

/* -- altrep.c */
int altrep(Reader *r, uint32_t flags);
int altrep_step(Reader *r);

/* -- bytecode.c */
int bytecode(Reader *r, uint32_t flags);
int bytecode_step(Reader *r);
int code_body_step(Reader *r);
int tree_step(Reader *r);
int leaf_step(Reader *r);

#endif

/* The state of one call of dumps. See writer.c. */
#ifndef RINTEROP_WRITER_H
#define RINTEROP_WRITER_H

#include "speed.h"

/* What is still to be written; of keyed chains, the tags are keys of any kind. Objects are borrowed: the value that is being written holds them, and no
 * Python code runs meanwhile. */
typedef enum {
    P_VALUE,
    P_TUPLE,
    P_KEYED_CHAINS,
    P_CELLS,
    P_KEYED_CELLS,
    P_REST_OF_CELL,
    P_REST_OF_KEYED_CELL,
    P_CONSTANTS
} Work;

typedef struct {
    Work work;
    PyObject *value;
    Py_ssize_t next; /* of the elements of a tuple or the cells of a chain */
} Pending;

/* An entry of the reference table: by address for environments and the like, by the bytes of the name, which
 * stand in the output, for symbols. */
typedef struct {
    uint64_t hash;
    PyObject *object; /* NULL: a symbol */
    size_t name, size;
    uint32_t index; /* from 1; 0: free */
} Entry;

enum { SMALL = 4096, ADDRESSES = 64 };

typedef struct {
    uint8_t *bytes; /* the output, in `small` as long as it fits */
    size_t size, capacity;
    PyObject *large;
    int little, version;
    Pending *todo;
    Py_ssize_t count, capacity_todo;
    Entry *entries;
    Py_ssize_t entry_count, entry_capacity;
    uint32_t references;
    /* Symbols by address: most come again as the same object. */
    struct {
        PyObject *symbol;
        uint32_t index;
    } symbols[ADDRESSES];
    /* Attributes by address: where they stand in the output, if they can be copied from there. */
    struct {
        PyObject *attributes;
        size_t start, size;
    } known[ADDRESSES];
    uint8_t small[SMALL];
} Writer;

/* -- output.c */
int room_for(Writer *w, size_t size); /* that much may be put */
void release(Writer *w);
PyObject *output(Writer *w); /* as bytes */

static inline void put_word(Writer *w, uint32_t bits)
{
#if PY_BIG_ENDIAN
    bits = w->little ? __builtin_bswap32(bits) : bits;
#else
    bits = w->little ? bits : __builtin_bswap32(bits);
#endif
    memcpy(w->bytes + w->size, &bits, 4);
    w->size += 4;
}

static inline void put_bytes(Writer *w, const void *from, size_t size)
{
    memcpy(w->bytes + w->size, from, size);
    w->size += size;
}

static inline size_t address_place(PyObject *object)
{
    return ((uintptr_t)object >> 4) * 0x9E3779B1u >> 16 & (ADDRESSES - 1);
}

/* Before Python 3.12 a str could be in a form without characters. */
static inline int is_ready(PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    return PyUnicode_IS_READY(text);
#else
    return text != NULL;
#endif
}

int write_char(Writer *w, PyObject *text);
int write_strings(Writer *w, PyObject *tuple);
int write_symbol(Writer *w, PyObject *symbol);
/* 1: new in the table; 0: a reference to it has been written. */
int enter(Writer *w, PyObject *object);
int write_new_entry(Writer *w); /* an entry nothing will ever refer to */

/* -- vectors.c */
int later(Writer *w, Work work, PyObject *value);
int later_if_any(Writer *w, PyObject *value); /* None stands for "no such part" */
int small_number(PyObject *number, long most, uint32_t *bits);
/* The flags word of anything that begins with ATTRIBUTES, GP and OBJECT_BIT; there is room for 16 bytes more.
 */
int put_flags(Writer *w, uint32_t code, Kind kind, PyObject *value, int tag);
PyObject *tuple_in(Kind kind, PyObject *value, int index); /* borrowed; NULL if it is none */
int write_attributes(Writer *w, PyObject *attributes);
int write_numbers(Writer *w, Kind kind, PyObject *value);
int write_raw(Writer *w, PyObject *value);
int write_character(Writer *w, PyObject *value);
int write_list(Writer *w, Kind kind, PyObject *value, Work elements);

/* -- writer.c */
int write_item(Writer *w, PyObject *value);

#endif

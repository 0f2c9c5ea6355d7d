/* What the parts of rinterop._speed share.
 *
 * The compiled helper does what rinterop.serialize does in Python, for the binary forms, and gives the same
 * values, bytes and outlines. Whatever it finds malformed, or does not know, it leaves alone: it answers None
 * and the Python code does the whole thing again, raises the error with its place and cause, or knows better.
 * So the functions here say no more than "done" (0) or "given up" (-1); if an exception is set as well, it
 * is one that has to reach the caller, such as MemoryError.
 */
#ifndef RINTEROP_SPEED_H
#define RINTEROP_SPEED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "codes.h"

#define GIVE_UP (-1)

/* The classes of values, and their slots in the order in which module.c names them. */
typedef enum {
    K_NULL,
    K_ENVIRONMENT_MARKER,
    K_MARKER,
    K_SYMBOL,
    K_CHAR,
    K_BUILTIN,
    K_NAMESPACE,
    K_PACKAGE,
    K_PERSISTENT,
    K_LOGICAL,
    K_INTEGER,
    K_DOUBLE,
    K_COMPLEX,
    K_RAW,
    K_CHARACTER,
    K_LIST,
    K_EXPRESSION,
    K_ALTREP,
    K_PAIRLIST,
    K_CALL,
    K_DOT_ARGS,
    K_CELL,
    K_CLOSURE,
    K_PROMISE,
    K_ENVIRONMENT,
    K_EXTERNAL_POINTER,
    K_WEAK_REFERENCE,
    K_S4,
    K_BYTECODE,
    K_CODE_BODY,
    K_CONSTANT,
    K_CALL_TREE,
    K_SHARED_CALL,
    K_RTEXT,
    N_KINDS,
    K_OTHER = N_KINDS
} Kind;

enum { MAX_SLOTS = 7 };
enum { ATTRIBUTES, GP, OBJECT_BIT, VALUES }; /* of all that is Attributed; cells and pointers begin so, too */
enum { CLASS_NAME = 3, PACKAGE_NAME, TYPE_CODE, STATE };
enum { CELLS, END };
enum { CELL_VALUE = 3, CELL_TAG, CELL_IS_CALL };
enum { FORMALS = 3, BODY, ENCLOSURE };
enum { PROMISE_VALUE = 3, EXPRESSION, PROMISE_ENVIRONMENT };
enum { ENV_ATTRIBUTES, PARENT, FRAME, BUCKETS, LOCKED };
enum { PROTECTED = 3, POINTER_TAG };
enum { SHARED_COUNT = 3, CODE_BODY };
enum { CODE, CONSTANTS };
enum { CONSTANT_CODE, CONSTANT_VALUE };
enum { TREE_CODE, TREE_TAG, TREE_CAR, TREE_CDR, TREE_ATTRIBUTES, TREE_SHARED };
enum { BUILTIN_NAME, BUILTIN_SPECIAL, BUILTIN_GP };
enum { TEXT_RAW, TEXT_GP };
#define NAME                                                                                                 \
    0 /* the one slot of a symbol; likewise the text of Char, strings of a namespace, index of a call */

typedef struct {
    PyTypeObject *type;
    Py_ssize_t slot[MAX_SLOTS]; /* offsets in bytes */
} Class;

extern Class classes[N_KINDS];
extern PyObject *na, *null, *markers[256], *rtext, *native_codecs, *state_flaw;

#define SLOT(kind, value, index) (*(PyObject **)((char *)(value) + classes[kind].slot[index]))
#define IS(kind, value) (Py_TYPE(value) == classes[kind].type)

/* The class of an object: K_OTHER if it is none of ours. */
Kind kind_of(PyObject *value);

/* -- bytes of either order */

static inline uint32_t load32(const uint8_t *at, int little)
{
    uint32_t bits;
    memcpy(&bits, at, 4);
#if PY_BIG_ENDIAN
    return little ? __builtin_bswap32(bits) : bits;
#else
    return little ? bits : __builtin_bswap32(bits);
#endif
}

static inline uint64_t load64(const uint8_t *at, int little)
{
    uint64_t bits;
    memcpy(&bits, at, 8);
#if PY_BIG_ENDIAN
    return little ? __builtin_bswap64(bits) : bits;
#else
    return little ? bits : __builtin_bswap64(bits);
#endif
}

/* Copy numbers of `width` 4 or 8 bytes, `size` bytes in all, turning each round if `swap`. As integers:
 * moved through a float register, a signalling NaN would come out quiet. */
void copy_numbers(uint8_t *to, const uint8_t *from, size_t size, int width, int swap);

static inline int foreign(int little)
{
    return little == PY_BIG_ENDIAN;
}

/* -- strings (text.c) */

enum { ASCII_TEXT, OTHER_TEXT, NUL_INSIDE };

/* What the bytes of a string are. */
int classify(const uint8_t *text, size_t size);

/* The str, or RText, for a CHAR's bytes (values/text.py: text_of). `what` is from classify. */
PyObject *new_text(const uint8_t *text, Py_ssize_t size, uint32_t gp, int what, PyObject *native);

PyObject *ascii_text(const uint8_t *text, Py_ssize_t size);

/* Whether R could have written this state of a compact sequence (values/altrep.py: sequence_flaw). */
int sequence_is_sound(int is_integer, double length, double first, double step);

/* -- growing arrays */

/* Make room for one more of `width` bytes. */
int grow(void *array, Py_ssize_t *capacity, Py_ssize_t count, size_t width);

/* A set of pairs (bytecode item, shared call), of which streams have few. */
typedef struct {
    uint64_t *keys; /* 0: empty */
    Py_ssize_t count, capacity;
} PairSet;
int pair_set_add(PairSet *set, uint32_t item, uint32_t index);
int pair_set_has(const PairSet *set, uint32_t item, uint32_t index);

/* -- the functions of the module; each answers None where it gives up */

PyObject *speed_loads(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_dumps(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_walk(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *speed_outline(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* The header of a binary stream: gives the place of the item, and the codec of strings without a mark (a new
 * reference). Gives up on anything unusual. */
int read_header(const uint8_t *data, Py_ssize_t size, Py_ssize_t *position, int *little, PyObject **native);

/* Take the tables of serialize/grammar.py. */
int load_grammar(void);

#endif

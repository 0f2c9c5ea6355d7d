/* ALTREP items: serialize/reader.py, _altrep, and values/altrep.py, state_flaw. */
#include "reader.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL rinterop_speed_numpy
#define NO_IMPORT_ARRAY
#include <numpy/arrayobject.h>

int altrep(Reader *r, uint32_t flags)
{
    PyObject *class_name, *package;
    uint32_t type_code, state_flags;
    Frame *frame = push_frame(r, F_ALTREP, K_ALTREP, flags);
    if (frame == NULL || expect(r, LIST) || (class_name = symbol(r)) == NULL || push(r, Py_NewRef(class_name))
        || expect(r, LIST) || (package = symbol(r)) == NULL || push(r, Py_NewRef(package)) || expect(r, LIST)
        || expect(r, INT) || expect(r, 1) || word(r, &type_code) || expect(r, NIL)
        || flags_word(r, &state_flags))
        return GIVE_UP;
    switch (type_code) {
    case LGL:
    case INT:
    case REAL:
    case CPLX:
    case STR:
    case VEC:
    case EXPR:
    case RAW:
        frame->code = type_code;
        break;
    default:
        return GIVE_UP;
    }
    if ((state_flags & 0xFF) != LIST)
        return item_of(r, state_flags);
    Frame *pair = push_frame(r, F_PAIRS, K_PAIRLIST, state_flags);
    if (pair == NULL)
        return GIVE_UP;
    pair->code = LIST;
    pair->dotted = 1;
    return 0;
}

static int named(PyObject *symbol, const char *name)
{
    return !PyUnicode_CompareWithASCIIString(SLOT(K_SYMBOL, symbol, NAME), name);
}

static int is_bare(PyObject *value, Kind kind)
{
    return SLOT(kind, value, ATTRIBUTES) == Py_None && SLOT(kind, value, OBJECT_BIT) == Py_None
        && PyLong_AsLong(SLOT(kind, value, GP)) == 0;
}

static Py_ssize_t size_of(PyObject *value, Kind kind)
{
    return PyArray_DIM((PyArrayObject *)SLOT(kind, value, VALUES), 0);
}

static int is_sound_sequence(PyObject *state, uint32_t type_code)
{
    if (!IS(K_DOUBLE, state) || !is_bare(state, K_DOUBLE) || size_of(state, K_DOUBLE) != 3)
        return 0;
    double triple[3];
    memcpy(triple, PyArray_DATA((PyArrayObject *)SLOT(K_DOUBLE, state, VALUES)), sizeof triple);
    return sequence_is_sound(type_code == INT, triple[0], triple[1], triple[2]);
}

/* The type code of a vector of numbers or strings, whatever its form; 0 for all else. */
static long type_of(PyObject *value)
{
    switch (kind_of(value)) {
    case K_INTEGER:
        return INT;
    case K_DOUBLE:
        return REAL;
    case K_CHARACTER:
        return STR;
    case K_ALTREP:
        return PyLong_AsLong(SLOT(K_ALTREP, value, TYPE_CODE));
    default:
        return 0;
    }
}

/* Whether a state is a pair of a vector of one of two types, and `count` integers. */
static int is_sound_pair(PyObject *state, long one, long other, Py_ssize_t count)
{
    if (!IS(K_PAIRLIST, state))
        return 0;
    PyObject *cells = SLOT(K_PAIRLIST, state, CELLS), *end = SLOT(K_PAIRLIST, state, END);
    PyObject *first = PyTuple_GET_ITEM(cells, 0);
    long type = type_of(SLOT(K_CELL, first, CELL_VALUE));
    return PyTuple_GET_SIZE(cells) == 1 && SLOT(K_CELL, first, CELL_TAG) == Py_None && is_bare(first, K_CELL)
        && (type == one || type == other) && IS(K_INTEGER, end) && is_bare(end, K_INTEGER)
        && size_of(end, K_INTEGER) == count;
}

/* The commonest forms; all others are Python's to judge. */
static int is_plainly_sound(PyObject *class_name, PyObject *package, uint32_t type_code, PyObject *state)
{
    if (!named(package, "base"))
        return 0;
    if (type_code == INT && named(class_name, "compact_intseq"))
        return is_sound_sequence(state, type_code);
    if (type_code == STR && named(class_name, "deferred_string"))
        return is_sound_pair(state, INT, REAL, 1);
    const char *wrapper = type_code == INT ? "wrap_integer"
        : type_code == REAL                ? "wrap_real"
        : type_code == STR                 ? "wrap_string"
                                           : NULL;
    return wrapper != NULL && named(class_name, wrapper) && is_sound_pair(state, type_code, type_code, 2);
}

static int check(Reader *r, PyObject *class_name, PyObject *package, uint32_t type_code, PyObject *state)
{
    if (is_plainly_sound(class_name, package, type_code, state))
        return 0;
    if (!r->keep_mmap && named(package, "base")
        && (named(class_name, "mmap_integer") || named(class_name, "mmap_real")))
        return GIVE_UP;
    PyObject *flaw = PyObject_CallFunction(state_flaw, "OOkO", SLOT(K_SYMBOL, class_name, NAME),
        SLOT(K_SYMBOL, package, NAME), (unsigned long)type_code, state);
    Py_XDECREF(flaw);
    return flaw == Py_None ? 0 : GIVE_UP;
}

int altrep_step(Reader *r)
{
    Frame *frame = top(r);
    PyObject **parts = &r->values[frame->base];
    if (frame->state == 0) {
        frame->state = 1;
        return check(r, parts[0], parts[1], frame->code, parts[2]) ? GIVE_UP : chain_or_null(r, 1);
    }
    PyObject *found = new_value(K_ALTREP);
    if (found == NULL)
        return GIVE_UP;
    PyObject *attributes = pop(r);
    SLOT(K_ALTREP, found, STATE) = pop(r);
    SLOT(K_ALTREP, found, PACKAGE_NAME) = pop(r);
    SLOT(K_ALTREP, found, CLASS_NAME) = pop(r);
    SLOT(K_ALTREP, found, TYPE_CODE) = PyLong_FromLong((long)frame->code);
    if (set_attributed(found, K_ALTREP, frame->flags, attributes)
        || SLOT(K_ALTREP, found, TYPE_CODE) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return finish(r, found);
}
